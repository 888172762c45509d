"""What is known now: the snapshot of a bundle and what the event log has added since."""
