"""What is measured of lists, of the catalog and of what comes in: one module each."""
