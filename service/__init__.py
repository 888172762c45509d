"""The online program: a bundle and an event log in, recommendations out. Knows nothing of training."""
