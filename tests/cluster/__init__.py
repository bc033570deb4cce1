"""Scenarios on a cluster with Celery workers and two triggerers that share no temporary folder."""
