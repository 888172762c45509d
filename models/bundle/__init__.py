"""The bundle: the folder that training writes and the service reads, and their only contract."""
