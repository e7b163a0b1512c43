"""`make soak`: random changes and faults for minutes, and a server that must not be wrong."""
