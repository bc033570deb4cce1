"""API traffic: operations, quotas and the request log."""
