"""The offline program: data in, a bundle out. Knows nothing of HTTP or of the service."""
