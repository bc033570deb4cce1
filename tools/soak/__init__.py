"""A soak: waits, watches, creates, faults and restarts on a real cluster, for half an hour."""
