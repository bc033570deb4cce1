"""A client for Airflow's REST API, with the calls that the demo, the tests and the benchmarks need."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

import requests

from tools.waiting import wait_until

FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


class AirflowApi:
    """A client for the stable REST API of Airflow 3.

    :param url: where the API server listens, without a path.
    """

    def __init__(self, *, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        # The API server is on this machine: ignore the developer's proxies and .netrc.
        self._session.trust_env = False
        # The API server may close an idle connection at the moment the next call uses it.
        self._session.headers["Connection"] = "close"

    def close(self) -> None:
        """Close the connections to the API server."""
        self._session.close()

    def health(self) -> dict[str, str]:
        """Return the status of each component; empty while the API server does not answer."""
        try:
            answer = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=5)
            answer.raise_for_status()
        except requests.RequestException:
            return {}
        return {name: part.get("status") or "absent" for name, part in answer.json().items()}

    def import_errors(self) -> list[str]:
        """Return the tracebacks of the DAG files that could not be imported."""
        return [error["stack_trace"] for error in self._get("/importErrors")["import_errors"]]

    def dag_ids(self) -> set[str]:
        """Return the ids of the DAGs that Airflow knows."""
        return {dag["dag_id"] for dag in self._all("/dags", "dags")}

    def wait_for_dags(self, *dag_ids: str, deadline: float = 120) -> None:
        """Wait until the DAG processor has read the DAGs.

        :param dag_ids: the DAGs.
        :param deadline: seconds to wait at most.
        :raises RuntimeError: if a DAG file cannot be imported.
        """

        def all_known() -> bool:
            if errors := self.import_errors():
                raise RuntimeError("\n".join(errors))
            return set(dag_ids) <= self.dag_ids()

        wait_until(all_known, what=f"the DAGs {', '.join(dag_ids)}", deadline=deadline)

    def pause(self, dag_id: str, *, paused: bool) -> None:
        """Pause a DAG, or end its pause.

        :param dag_id: the DAG.
        :param paused: which of both.
        """
        self._call("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})

    def trigger(self, dag_id: str, *, conf: dict[str, Any] | None = None, run_id: str | None = None) -> str:
        """Start a run and return its id.

        :param dag_id: the DAG.
        :param conf: the run's configuration.
        :param run_id: the run's id; Airflow chooses one by default.
        """
        body = {"logical_date": None, "conf": conf or {}} | ({"dag_run_id": run_id} if run_id else {})
        return str(self._call("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def run_states(self, dag_id: str) -> list[str]:
        """Return the states of a DAG's latest hundred runs.

        :param dag_id: the DAG.
        """
        return [str(run["state"]) for run in self._get(f"/dags/{dag_id}/dagRuns", limit=100)["dag_runs"]]

    def run_ids(self, dag_id: str) -> list[str]:
        """Return the ids of a DAG's latest hundred runs.

        :param dag_id: the DAG.
        """
        return [str(run["dag_run_id"]) for run in self._get(f"/dags/{dag_id}/dagRuns", limit=100)["dag_runs"]]

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return a run's state.

        :param dag_id: the DAG.
        :param run_id: the run.
        """
        return str(self._get(_run(dag_id, run_id))["state"])

    def wait_for_run(self, dag_id: str, run_id: str, *, deadline: float) -> str:
        """Wait until a run has ended and return its state.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param deadline: seconds to wait at most.
        """

        def ended() -> str | None:
            state = self.run_state(dag_id, run_id)
            return state if state in FINISHED else None

        return wait_until(ended, what=f"the end of {dag_id}/{run_id}", deadline=deadline, interval=0.5)

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> bool:
        """Answer a task that asks a person (Airflow 3.1 and later); return whether it was asking.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param task_id: the task.
        :param option: the answer.
        """
        path = f"{_task(dag_id, run_id, task_id, -1)}/-1/hitlDetails"
        body = {"chosen_options": [option], "params_input": {}}
        return self._request("PATCH", path, json=body).ok

    def clear(self, dag_id: str, run_id: str) -> None:
        """Clear all tasks of a run, so that they run again.

        :param dag_id: the DAG.
        :param run_id: the run.
        """
        body = {"dry_run": False, "only_failed": False}
        self._call("POST", f"{_run(dag_id, run_id)}/clear", json=body)

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return all task instances of a run, in the order in which they started.

        :param dag_id: the DAG.
        :param run_id: the run.
        """
        found = self._all(f"{_run(dag_id, run_id)}/taskInstances", "task_instances")
        return sorted(found, key=lambda task: (task["start_date"] or "~", task["map_index"]))

    def task_count(self, dag_id: str, run_id: str, state: str) -> int:
        """Return how many tasks of a run are in a state, which is cheaper than to fetch them.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param state: the state.
        """
        found: int = self._get(f"{_run(dag_id, run_id)}/taskInstances", state=state, limit=1)["total_entries"]
        return found

    def task_instance(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> dict[str, Any]:
        """Return one task instance. Its ``pid`` is that of the task's own process.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param task_id: the task.
        :param map_index: the instance, if the task is mapped.
        """
        found: dict[str, Any] = self._get(_task(dag_id, run_id, task_id, map_index))
        return found

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", *, map_index: int = -1
    ) -> Any:
        """Return an XCom of a task, or ``None`` if there is none.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param task_id: the task.
        :param key: the XCom's key.
        :param map_index: the instance, if the task is mapped.
        """
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}/xcomEntries/{quote(key)}"
        params = {"map_index": str(map_index), "deserialize": "true"}
        answer = self._request("GET", path, params=params)
        if answer.status_code == requests.codes.not_found:
            return None
        answer.raise_for_status()
        return answer.json()["value"]

    def links(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> dict[str, str | None]:
        """Return the extra links of a task by name.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param task_id: the task.
        :param map_index: the instance, if the task is mapped.
        """
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}/links"
        found: dict[str, str | None] = self._get(path, map_index=map_index)["extra_links"]
        return found

    def log(self, dag_id: str, run_id: str, task_id: str, *, try_number: int = 1, map_index: int = -1) -> str:
        """Return a task's log as the web interface shows it, one event a line.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param task_id: the task.
        :param try_number: the number of the try.
        :param map_index: the instance, if the task is mapped.
        """
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}/logs/{try_number}"
        content = self._get(path, map_index=map_index, full_content="true")["content"]
        return "\n".join(_line(entry) for entry in content)

    def set_password(self, conn_id: str, password: str) -> None:
        """Replace the password of an Airflow connection.

        :param conn_id: the connection.
        :param password: the new password.
        """
        given = self._get(f"/connections/{quote(conn_id)}")
        body = {"connection_id": conn_id, "conn_type": given["conn_type"], "password": password}
        self._call("PATCH", f"/connections/{quote(conn_id)}", params={"update_mask": "password"}, json=body)

    def add_connection(self, conn_id: str, **values: Any) -> None:
        """Add an Airflow connection.

        :param conn_id: the connection.
        :param values: its fields.
        """
        self._call("POST", "/connections", json={"connection_id": conn_id, **values})

    def delete_connection(self, conn_id: str) -> None:
        """Delete an Airflow connection.

        :param conn_id: the connection.
        """
        self._request("DELETE", f"/connections/{quote(conn_id)}").raise_for_status()

    def has_job(self, job_type: str, *, since: datetime) -> bool:
        """Return whether a component that started after a moment has sent a heartbeat.

        :param job_type: its job, for example ``TriggererJob``.
        :param since: the moment.
        """
        jobs = self._get("/jobs", job_type=job_type, job_state="running", start_date_gte=since.isoformat())
        moment = datetime.fromisoformat
        return any(moment(job["latest_heartbeat"]) > moment(job["start_date"]) for job in jobs["jobs"])

    def asset_events(self, uri: str) -> list[dict[str, Any]]:
        """Return the events of an asset.

        :param uri: the asset's URI; by default, that is its name.
        """

        def events() -> tuple[list[dict[str, Any]]] | None:
            try:
                return (self._all("/assets/events", "asset_events"),)
            except RuntimeError as error:
                # Airflow 3.3 fails while a run that an event started is still queued.
                if f": {requests.codes.server_error} " not in str(error):
                    raise
                return None

        [found] = wait_until(events, what="the asset events", deadline=60)
        return [event for event in found if event["uri"] == uri]

    def audit_log(self, dag_id: str, run_id: str, event: str) -> list[dict[str, Any]]:
        """Return the log entries of a run's tasks that a worker put into a state, oldest first.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param event: the state.
        """
        return self._all(
            "/eventLogs", "event_logs", dag_id=dag_id, run_id=run_id, event=event, order_by="event_log_id"
        )

    def _all(self, path: str, key: str, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = self._get(path, limit=100, offset=len(found), **params)
            found += page[key]
            if len(found) >= page["total_entries"] or not page[key]:
                return found

    def _get(self, path: str, **params: Any) -> Any:
        return self._call("GET", path, params=params)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        answer = self._request(method, path, **options)
        if not answer.ok:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:2000]}")
        return answer.json()

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        url = f"{self.url}/api/v2{path}"
        answer = self._session.request(method, url, timeout=60, **options)
        if answer.status_code == requests.codes.unauthorized:
            # Airflow 3.1 requires a token even if all users are admins, and gives one to any client.
            token = self._session.get(f"{self.url}/auth/token", timeout=60).json()["access_token"]
            self._session.headers["Authorization"] = f"Bearer {token}"
            answer = self._session.request(method, url, timeout=60, **options)
        return answer


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id)}"


def _task(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}"
    return path if map_index < 0 else f"{path}/{map_index}"


def _line(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    parts = [str(entry.get("timestamp") or ""), str(entry.get("level") or ""), str(entry.get("event"))]
    parts += [
        f"{error.get('exc_type')}: {error.get('exc_value')}" for error in entry.get("error_detail") or []
    ]
    return " ".join(part for part in parts if part)
