"""The points at which a create is killed, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, eq=False)
class Point:
    """A point during a create.

    :param name: the id of the run, and of the Airflow connection to the run's own workspace.
    :param what: how far the create has come.
    :param posts: how many create calls the server receives from one task, over all tries.
    :param fault: the sandbox's fault that holds the first try at this point; without it the DAG does.
    :param server_timeout: seconds for which a retry assumes that the server may still be processing the call.
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
