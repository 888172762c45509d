"""One module a dashboard: rows of panels, each a question."""
