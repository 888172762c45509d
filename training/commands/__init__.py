"""What people call from a terminal: a function for each command of `python -m training`."""
