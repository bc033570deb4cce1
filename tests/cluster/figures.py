"""The figures of a scenario."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from airflow_provider_workato.sandbox.client import SandboxControl
from tools.airflow_api import AirflowApi
from tools.waiting import wait_until
from tools.watch_reports import WatchReports, compare

TRIGGERERS = 2


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The figures of one scenario.

    :param duplicates: connections of the workspace that have the app and external id of another
    :param lost_waits: waits that did not end, or not with their own connection; None if the scenario has none
    :param polls: when list calls without a filter came, as only triggerers make them, and their answer
    :param list_calls: all list calls
    :param refused_lists: list calls answered with 429
    :param other_calls: all other calls
    :param refused_calls: other calls answered with 429
    """

    scenario: str
    tasks: int
    succeeded: int
    failed: int
    duplicates: int
    lost_waits: int | None
    reports: WatchReports
    polls: list[tuple[float, int | None]]
    list_calls: int
    refused_lists: int
    other_calls: int
    refused_calls: int
    seconds: float

    @property
    def list_calls_per_minute(self) -> float:
        return self.list_calls / self.seconds * 60

    def __str__(self) -> str:
        lost = "-" if self.lost_waits is None else self.lost_waits
        return (
            f"{self.scenario}: {self.tasks} tasks, {self.succeeded} succeeded, {self.failed} failed, "
            f"{self.duplicates} duplicates, {lost} lost waits, {self.reports.count} changes, "
            f"{len(self.reports.twice)} reported twice, {len(self.reports.missed)} missed, "
            f"{self.list_calls_per_minute:.1f} list calls a minute ({len(self.polls)} polls in all), "
            f"429 for {self.refused_lists} of {self.list_calls} list calls and {self.refused_calls} of "
            f"{self.other_calls} others, {self.seconds:.0f} s"
        )


class Meter:
    """Counts from its creation.

    :param scenario: what the figures are of
    :param watched: the apps whose changes are reported, each to an asset ``cluster_<app>``
    :param lasting: seconds for which a change must last to be reported for certain
    """

    def __init__(
        self,
        scenario: str,
        *,
        control: SandboxControl,
        api: AirflowApi,
        watched: Collection[str],
        lasting: float,
    ) -> None:
        self._scenario = scenario
        self._control = control
        self._api = api
        self._watched = watched
        self._lasting = lasting
        self._began = time.monotonic()
        self._request = max((row["seq"] for row in control.requests()), default=0)
        self._change = max((row["seq"] for row in control.changes()), default=0)

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def reports(self, *, so_far: bool = False) -> WatchReports:
        """Compare the changes that happened with those that were reported.

        :param so_far: miss the states that hold now, however new they are
        """
        changes = self._control.changes(since=self._change)
        touched = {change["id"] for change in changes}
        events = [
            event
            for provider in self._watched
            for event in self._api.asset_events(f"cluster_{provider}")
            if event["extra"]["payload"]["connection"]["id"] in touched
        ]
        return compare(
            changes,
            events,
            providers=self._watched,
            now=time.monotonic(),
            lasting=None if so_far else self._lasting,
        )

    def wait_until_reported(self) -> None:
        """Wait until every change is reported.

        :raises AssertionError: if some stay unreported, although the triggerers had time to take over watches
        """
        try:
            wait_until(
                lambda: not self.reports(so_far=True).missed,
                what="the changes to be reported",
                deadline=180 + 6 * self._lasting,
                interval=1,
            )
        except TimeoutError as error:
            raise AssertionError(f"{error}: {self.reports(so_far=True).missed}") from error

    def figures(self, runs: Mapping[str, Collection[str]], *, lost_waits: int | None = None) -> Figures:
        """Return the figures of everything since the start.

        :param runs: the runs by DAG
        """
        self.wait_until_reported()
        seconds = self.seconds()
        states = Counter(
            task["state"]
            for dag_id, run_ids in runs.items()
            for run_id in run_ids
            for task in self._api.task_instances(dag_id, run_id)
        )
        calls = self._control.requests(since=self._request)
        lists = [row for row in calls if row["operation"] == "list_connections"]
        refused = Counter(row["operation"] for row in calls if row["status"] == 429)
        refused_lists = refused["list_connections"]
        polls = [row for row in lists if is_poll(row) and row["status"] != 429]
        return Figures(
            scenario=self._scenario,
            tasks=states.total(),
            succeeded=states["success"] + states["skipped"],
            failed=states["failed"] + states["upstream_failed"],
            duplicates=_duplicates(self._control.connections()),
            lost_waits=lost_waits,
            reports=self.reports(),
            polls=[(round(row["at"] - self._began, 1), row["status"]) for row in polls],
            list_calls=len(lists),
            refused_lists=refused_lists,
            other_calls=len(calls) - len(lists),
            refused_calls=refused.total() - refused_lists,
            seconds=seconds,
        )


def most_polls(seconds: float, *, interval: float, starts: int = 2 * TRIGGERERS) -> float:
    """Return how many polls there may be: one an interval for each triggerer.

    :param starts: how often a triggerer may have begun to poll, which does not wait for an interval: once
        each, and once more when waits or watches moved there
    """
    return TRIGGERERS * seconds / interval + starts


def is_poll(row: Mapping[str, Any]) -> bool:
    """Tell whether a list call has no filter, as only triggerers make them."""
    return not {"external_id", "folder_id", "parent_id", "project_id"} & set(parse_qs(row["query"]))


def _duplicates(rows: Collection[Mapping[str, Any]]) -> int:
    named = Counter((row["provider"], row["external_id"]) for row in rows if row["external_id"])
    return sum(count - 1 for count in named.values())
