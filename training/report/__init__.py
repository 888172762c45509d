"""What a person may look at after a run: the report and its figures."""
