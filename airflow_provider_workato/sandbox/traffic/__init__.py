"""What the traffic is made of and limited by: operations, quotas and the request log."""
