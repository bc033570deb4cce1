"""Apache Airflow provider for the connections of a Workato workspace."""

__version__ = "0.1.0"
