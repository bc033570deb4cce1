"""The faults and their effects."""
