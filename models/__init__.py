"""The shared floor: the paper's networks and the bundle format. Knows nothing of training or serving."""
