"""The points at which a create is killed, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, eq=False)
class Point:
    """A point in the life of a create.

    :param name: the id of the run, and of the Airflow connection to the run's own workspace
    :param what: what the kill comes upon
    :param posts: how many creates the server sees of one task, all tries together
    :param fault: what the sandbox does to the first try so that it stays here; else the DAG sees to that
    :param server_timeout: seconds for which a retry takes the server to be still at work
    """

    name: str
    what: str
    posts: int
    fault: dict[str, Any] | None = None
    server_timeout: float = 5


BEFORE_POST = Point(
    name="before_post",
    what="before the POST",
    posts=1,
    fault={"fault": "hold", "operation": "list_connections", "performed": False},
)
POST_IGNORED = Point(
    name="post_ignored",
    what="POST sent, never carried out",
    posts=2,
    fault={"fault": "hold", "operation": "create_connection", "performed": False},
)
POST_LATE = Point(
    name="post_late",
    what="POST sent, carried out during the retry",
    posts=1,
    fault={"fault": "slow_server", "operation": "create_connection", "performed": False},
    server_timeout=600,
)
ANSWER_UNREAD = Point(
    name="answer_unread",
    what="connection stored, answer unread",
    posts=1,
    fault={"fault": "hold", "operation": "create_connection", "performed": True},
)
ANSWER_READ = Point(name="answer_read", what="answer read, task not ended", posts=1)

POINTS = (BEFORE_POST, POST_IGNORED, POST_LATE, ANSWER_UNREAD, ANSWER_READ)
