"""Readers of foreign formats, one file each; all return a canonical `Dataset`."""
