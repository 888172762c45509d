"""The shared floor: the paper's networks and the bundle format. Never training or serving."""
