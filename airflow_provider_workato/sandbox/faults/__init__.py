"""The faults, and how each is done."""
