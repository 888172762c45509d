"""The online program: a bundle and an event log in, recommendations out; never training."""
