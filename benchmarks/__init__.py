"""Measures the claims that depend on the machine. Knows all rooms; nothing imports it."""
