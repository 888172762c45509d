"""What is done to answer: represent, retrieve, filter, rank. Knows views; nothing of HTTP."""
