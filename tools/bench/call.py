"""One call to a small workspace."""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median

from airflow_provider_workato.sandbox.client import running_sandbox
from tools.bench.contenders import HOOK, HTTP_HOOK, SESSION, VENDOR, contender
from tools.bench.measure import alternate
from tools.bench.report import Row, Section, Table, milliseconds, times

CONNECTIONS = 10
CALLS = 20
LIMIT = 1.2
METHOD = f"""\
`WorkatoConnectionsHook.list_connections()`, `requests.Session.get` and `json.loads` on a kept-alive
connection, `HttpHook.run().json()` and the vendor's `ConnectionsApi.list_connections()` ask the same
sandbox, its quota off, for the same {CONNECTIONS + 1} connections. One process; the contenders take turns
of {CALLS} calls; the median call. The time includes the server's."""


def run(*, rounds: int) -> Section:
    """Time the calls.

    :param rounds: how often each contender has its turn.
    """
    names = (HOOK, SESSION, HTTP_HOOK, VENDOR)
    with running_sandbox("--no-quota") as sandbox, ExitStack() as stack:
        sandbox.control.seed(count=CONNECTIONS)
        contenders = {
            name: stack.enter_context(contender(name, url=sandbox.url, token=sandbox.token)) for name in names
        }
        alternate(contenders, rounds=1, calls=CALLS)
        seconds = {
            name: median(taken) for name, taken in alternate(contenders, rounds=rounds, calls=CALLS).items()
        }
    ours = seconds[HOOK]
    rows = [
        Row(label="a call", values=[milliseconds(seconds[name]) for name in names]),
        Row(
            label="the hook beside it",
            values=["", *(times(ours, seconds[name]) for name in names[1:])],
            goal=f"<= {LIMIT} x the session, < 1 x HttpHook",
            met=ours <= LIMIT * seconds[SESSION] and ours < seconds[HTTP_HOOK],
        ),
    ]
    return Section(title="A call", method=METHOD, tables=[Table(title="One call", columns=names, rows=rows)])
