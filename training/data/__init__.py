"""Datasets: the canonical folder, what is imported into it, what is drawn from it."""
