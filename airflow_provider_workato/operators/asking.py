"""Ask a person to authorize a connection, and wait until that has happened."""

from __future__ import annotations

import copy
import inspect
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_workato.arguments import to_flag, to_optional_count, to_seconds
from airflow_provider_workato.authorization import (
    Advice,
    State,
    failure,
    failure_mark,
    ids_text,
    state_of,
)
from airflow_provider_workato.client.answers import without_secrets
from airflow_provider_workato.exceptions import (
    WorkatoAuthorizationError,
    WorkatoConfigurationError,
    WorkatoError,
)
from airflow_provider_workato.links.connections import (
    WorkatoConnectionLink,
    WorkatoOAuthLink,
    connection_url,
    push_link,
)
from airflow_provider_workato.operators.base import FlagArgument, check_flag, remembers_arguments
from airflow_provider_workato.operators.waiting import AuthorizationWait
from airflow_provider_workato.provisioning.task_state import TaskState
from airflow_provider_workato.version_compat import BaseNotifier, comes_from_mapped, conf

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_workato.client.answers import WorkatoConnection

#: XCom key of the whole connection, beside the id that a create returns.
CONNECTION_KEY = "workato_connection"

#: The variable with which a notifier's templates get at the URL and the connection.
NOTIFIER_VARIABLE = "workato"

#: Where a try records whom it has asked. Do not rename it: tries that are running would ask again.
_ASKED_KEY = "workato_asked"

#: A timeout may end after the last day of the calendar.
_LAST_DAY = datetime(9999, 12, 31, tzinfo=UTC).timestamp()

Notifier = Callable[[Any], Any]


@remembers_arguments
class AskingOperator(AuthorizationWait):
    """An operator that can wait until a person has authorized its connection.

    Before it waits, it publishes the URL at which the person does that, and calls the notifiers. In their
    templates, ``workato`` has the keys ``url``, ``connection`` (as Workato describes it), ``expires_at`` (a
    ``datetime``, when the task stops waiting), ``reason`` (why the last login failed or how the connection
    was lost, else ``None``), ``is_reminder``, and ``connections``, for a task that asks for several: one dict
    for each with ``url``, ``connection`` and ``reason``. How long Workato accepts a URL is not documented.

    On Airflow 3.3 and later, a retry keeps the URL and continues with the notifier that failed. It calls all
    if one was added, removed or replaced. A cleared task asks again.

    :param wait_for_authorization: wait until the connection is authorized (templated). Without it, the
        options below are refused, unless they come from ``default_args``.
    :param ask_again: after a login that failed or was denied, and after a loss, fetch a new URL, publish it,
        call the notifiers again and keep waiting; otherwise the task fails.
    :param notifiers: an Airflow notifier, or a function that takes the task's context, or a list of them.
    :param remind_every: call the notifiers again whenever this many seconds have passed; also a
        ``timedelta``. ``None`` for no reminder.
    :param deferrable: wait in the triggerer, without a worker.
    :param poke_interval: seconds between two list calls; also a ``timedelta``.
    :param timeout: seconds until the task fails, from when it begins to wait; also a ``timedelta``. It starts
        anew with each try, as in a sensor, but not when the person is asked again. ``None`` for Airflow's
        default for sensors, seven days. A shorter ``execution_timeout`` also ends the wait, counted from the
        start of the try; then the task's retries apply.
    :param max_failed_polls: how many polls in a row may fail while deferred; ``None`` for any number that a
        retry could cure.
    """

    #: The button on the task's page that opens the URL.
    _button: WorkatoConnectionLink | WorkatoOAuthLink = WorkatoConnectionLink()
    _advice = Advice.ASKED

    def __init__(
        self,
        *,
        wait_for_authorization: FlagArgument = False,
        ask_again: bool = False,
        notifiers: Notifier | Sequence[Notifier] | None = None,
        remind_every: timedelta | float | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float = 30,
        timeout: timedelta | float | None = None,
        max_failed_polls: int | None = 5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_flag(wait_for_authorization, what="wait_for_authorization")
        self.wait_for_authorization: Any = wait_for_authorization
        self.ask_again = to_flag(ask_again, what="ask_again")
        self.notifiers = _checked(notifiers)
        self.deferrable = to_flag(deferrable, what="deferrable")
        self._refuse_unused(
            ask_again=self.ask_again,
            notifiers=self.notifiers,
            remind_every=remind_every,
            deferrable=self.deferrable,
            poke_interval=poke_interval,
            timeout=timeout,
            max_failed_polls=max_failed_polls,
        )
        self.remind_every = None if remind_every is None else to_seconds(remind_every, what="remind_every")
        if self.remind_every and not self.notifiers:
            raise WorkatoConfigurationError(
                f"remind_every of task {self.task_id!r} would have no effect without notifiers."
            )
        self.poke_interval = to_seconds(poke_interval, what="poke_interval")
        if timeout is None:
            timeout = conf.getfloat("sensors", "default_timeout", fallback=7 * 24 * 3600.0)
        self.timeout = to_seconds(timeout, what="timeout")
        self.max_failed_polls = to_optional_count(max_failed_polls, what="max_failed_polls")
        #: The connections that it asks for, and waits for.
        self._asked: list[WorkatoConnection] = []
        self._pushed: dict[str, Any] = {}

    def _refuse_unused(self, **options: Any) -> None:
        """Refuse options that only matter to a task that waits.

        They may come from a DAG's ``default_args``, from which a mapped task cannot tell its own. And
        ``wait_for_authorization=False`` may be a switch.
        """
        on_purpose = "wait_for_authorization" in self._explicit or comes_from_mapped(self)
        if self.wait_for_authorization or on_purpose:
            return
        if unused := [name for name, value in options.items() if value and name in self._explicit]:
            raise WorkatoConfigurationError(
                f"{', '.join(unused)} of task {self.task_id!r} would have no effect without "
                f"wait_for_authorization=True. Set that, or leave {'it' if len(unused) == 1 else 'them'} out."
            )

    def ask_and_wait(self, context: Context, connections: Sequence[WorkatoConnection]) -> Any:
        """Ask for the authorization and wait for it, if the task is to do so; return the task's result.

        :param connections: the connections, as the create found them or left them.
        :raises WorkatoAuthorizationError: if a login failed or the connection was lost, without *ask_again*.
        :raises AirflowSensorTimeout: after *timeout*.
        :raises AirflowTaskTimeout: after ``execution_timeout``.
        """
        if not to_flag(self.wait_for_authorization, what="wait_for_authorization"):
            return self._result(connections)
        self._asked = [each for each in connections if state_of(each) is not State.AUTHORIZED]
        if not self._asked:
            if connections:
                self.log.info("Already authorized: %s.", ids_text(_ids(connections)))
            return self._result(connections)
        self._limit_execution(context)
        deadline = time.time() + self.timeout
        self._ask(context, self._asked, deadline=deadline)
        return self._wait_for_person(context, deadline=deadline)

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """End the task with the trigger's outcome, or ask the person again.

        :param event: the trigger's event.
        """
        resumed_at = time.time()
        told = event if isinstance(event, Mapping) else {}
        # Before Airflow 3.3, the start date of a resumed task is when it was resumed.
        self._execution_deadline = told.get("execution_deadline")
        deadline = told.get("deadline") or resumed_at + self.timeout
        if (pending := told.get("pending")) is not None:
            self._remind(context, pending, deadline=deadline)
            return self._wait_for_person(context, deadline=deadline)
        seen = told.get("connections") or []
        if seen and "error" not in told:
            self._push_authorized(context, seen)
        try:
            return super().execute_complete(context, event)
        except WorkatoAuthorizationError as error:
            failed = error
        try:
            authorized = self._look_again(deadline=deadline, listed_at=told.get("listed_at"))
        except WorkatoAuthorizationError as error:
            failed, authorized, seen = error, None, self._seen()
        if authorized is None:
            self._ask_again(context, failed, seen, deadline=deadline, at=resumed_at)
            return self._wait_for_person(context, deadline=deadline)
        self._push_authorized(context, authorized)
        return self._result(authorized)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume a deferred wait. Errors end the task as they do on a worker.

        :param next_method: the method to resume with.
        :param next_kwargs: its arguments.
        """
        # Airflow keeps no arguments of ours if the trigger failed, and `dag.test()` never does.
        self._asked = self._pushed_before(context)
        return super().resume_execution(next_method, next_kwargs, context)

    def _pushed_before(self, context: Context) -> list[WorkatoConnection]:
        """Return the connections that a process before this one asked for."""
        return [self._pulled(context, CONNECTION_KEY)]

    def _pulled(self, context: Context, key: str) -> Any:
        ti = context["ti"]
        if pushed := ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=ti.map_index):
            return pushed
        raise WorkatoError(
            f"This task's XCom {key!r} is missing, so the wait cannot go on. Clear the task to wait again."
        )

    def _wait_for_person(self, context: Context, *, deadline: float) -> Any:
        while True:
            remind_at = time.time() + self.remind_every if self.remind_every else None
            if self.deferrable:
                self.defer_wait(
                    deadline=deadline,
                    # A list from before can show the connection as it was before it was lost.
                    accept_newest=False,
                    remind_at=remind_at,
                )
            try:
                connections = self.wait(deadline=deadline, remind_at=remind_at)
            except WorkatoAuthorizationError as error:
                self._ask_again(context, error, self._seen(), deadline=deadline)
                continue
            if connections is not None:
                self._push_authorized(context, connections)
                return self._result(connections)
            pending = [each for each in self._seen() if state_of(each) is not State.AUTHORIZED]
            self._remind(context, pending, deadline=deadline)

    def _push_authorized(self, context: Context, connections: Sequence[WorkatoConnection]) -> None:
        self._push_if_new(context, CONNECTION_KEY, connections[0])

    def _look_again(self, *, deadline: float, listed_at: object) -> Sequence[WorkatoConnection] | None:
        """Return the connection if it is authorized by now, ``None`` if nothing newer is known.

        The person may have logged in since the triggerer saw a failure. And the triggerer leaves out what an
        app says to a task with credentials.

        :param deadline: when the wait's timeout is over, in seconds since the epoch.
        :param listed_at: when the triggerer listed it, in seconds since the epoch.
        :raises WorkatoAuthorizationError: if it failed or was lost, with what the app says.
        """
        is_recent = isinstance(listed_at, float) and time.time() - listed_at < self.poke_interval
        if self._quotes_app() and (is_recent or not self.ask_again):
            return None
        began = deadline - self.timeout
        try:
            newest = self._rows()
        except WorkatoError as error:
            # In the triggerer, too, a failed poll does not end a wait.
            self.log.warning("%s Using what the triggerer saw.", error)
            return None
        # If it was disconnected since, the person needs a new URL as after the failure.
        return self._begin(began, polled=time.time() - began).see(*newest)

    def _ask_again(
        self,
        context: Context,
        error: WorkatoAuthorizationError,
        seen: Sequence[WorkatoConnection],
        *,
        deadline: float,
        at: float | None = None,
    ) -> None:
        if not self.ask_again or not seen:
            raise error
        # A list call may have waited for the rate limiter since.
        if (time.time() if at is None else at) >= (ends := self._ends(deadline)):
            wait = self._begin(deadline - self.timeout)
            raise wait.timed_out(seen, by_execution=ends != deadline) from error
        # Without the error's advice: nobody has to do what the task does itself.
        self.log.warning("%s Asking again.", failure(seen[0]))
        self._ask(context, seen, deadline=deadline)

    def _ask(self, context: Context, connections: Sequence[WorkatoConnection], *, deadline: float) -> None:
        """Publish the URLs and call the notifiers, unless an earlier try has already done so."""
        marks = [failure_mark(each) for each in connections]
        self.known_failures = [mark for mark in marks if mark]
        state = TaskState(context, key=_ASKED_KEY)
        about = {
            "ids": _ids(connections),
            "failures": marks,
            # Airflow raises it when a person clears the task.
            "max_tries": getattr(context["ti"], "max_tries", None),
        }
        record = state.read()
        is_retry = about.items() <= record.items() and {"urls", "notifiers", "notified"} <= record.keys()
        if not is_retry:
            record = {**about, "urls": [self._login_url(each) for each in connections]}
        notifiers = [_name(notifier) for notifier in self.notifiers]
        if record.get("notifiers") != notifiers:
            # Also after a change of the DAG: better to notify twice than never.
            record |= {"notifiers": notifiers, "notified": 0}
        self._asked = [{**each, "url": url} for each, url in zip(connections, record["urls"], strict=True)]
        self._publish(context, connections, record["urls"])
        if is_retry and record["notified"] == len(notifiers):
            self.log.info("An earlier try asked a person to authorize %s.", ids_text(_ids(connections)))
            return
        self._set_variable(context, connections, record["urls"], deadline=deadline)
        state.write(record)
        # A notifier that fails ends the try; the next try goes on with it.
        for notifier in self.notifiers[record["notified"] :]:
            _send(notifier, context)
            # Only now, for the same reason.
            record["notified"] += 1
            state.write(record)
        called = len(notifiers)
        self.log.info(
            "Asked a person to authorize %s: the URL is behind the button %r on this task's page "
            "(tab Details)%s.",
            ids_text(_ids(connections)),
            self._button.name,
            f" and was given to {called} notifier{'s' if called > 1 else ''}" if called else "",
        )

    def _remind(self, context: Context, connections: Sequence[WorkatoConnection], *, deadline: float) -> None:
        """Call the notifiers again, with the same URLs."""
        # Without a list since the last time, all may still be waiting.
        connections = connections or self._asked
        # A list has no URL for logging in.
        asked = {each["id"]: each.get("url") for each in self._asked}
        urls = [self._login_url({**each, "url": asked.get(each["id"])}) for each in connections]
        self._set_variable(context, connections, urls, deadline=deadline, is_reminder=True)
        for notifier in self.notifiers:
            _send(notifier, context)
        self.log.info("Reminded a person to authorize %s.", ids_text(_ids(connections)))

    def _set_variable(
        self,
        context: Context,
        connections: Sequence[WorkatoConnection],
        urls: Sequence[str],
        *,
        deadline: float,
        is_reminder: bool = False,
    ) -> None:
        """Put what the notifiers' templates read into the context."""
        failures = [failure(each) for each in connections]
        asked = [
            {"url": url, "connection": row, "reason": failed.authorization_error if failed else None}
            for url, row, failed in zip(urls, connections, failures, strict=True)
        ]
        cast("dict[str, Any]", context)[NOTIFIER_VARIABLE] = {
            **asked[0],
            "connections": asked,
            "expires_at": datetime.fromtimestamp(min(self._ends(deadline), _LAST_DAY), tz=UTC),
            "is_reminder": is_reminder,
        }

    def _login_url(self, connection: WorkatoConnection) -> str:
        """Return the URL at which a person authorizes the connection."""
        return connection_url(self.hook.settings, connection["id"])

    def _publish(
        self,
        context: Context,
        connections: Sequence[WorkatoConnection],  # noqa: ARG002
        urls: Sequence[str],
    ) -> None:
        push_link(context, self._button, urls[0])

    def _secrets(self) -> Sequence[str]:
        """Return the strings that no log, notifier or XCom may quote, longest first."""
        return ()

    def _quotes_app(self) -> bool:
        return not self._secrets()

    def _push_if_new(self, context: Context, key: str, value: Any) -> None:
        """Push an XCom unless this process has: a custom backend keeps the objects of replaced values."""
        if key not in self._pushed or self._pushed[key] != value:
            context["ti"].xcom_push(key=key, value=value)
            self._pushed[key] = value

    def _waits_for(self) -> Any:
        ids = _ids(self._asked)
        return ids[0] if len(ids) == 1 else ids

    def _result(self, connections: Sequence[WorkatoConnection]) -> Any:
        return int(connections[0]["id"])

    def _shown(self, connection: WorkatoConnection) -> WorkatoConnection:
        # An app can quote in its error what it refused. A list does not know what that is.
        return without_secrets(connection, self._secrets())

    def _seen(self) -> Sequence[WorkatoConnection]:
        return self._wait.seen() if self._wait else ()


def _ids(connections: Sequence[WorkatoConnection]) -> list[int]:
    return [int(each["id"]) for each in connections]


def _checked(notifiers: Notifier | Sequence[Notifier] | None) -> list[Notifier]:
    if notifiers is None:
        return []
    given: Any = notifiers
    is_list = isinstance(given, Iterable) and not callable(given) and not isinstance(given, str)
    given = list(given) if is_list else [given]
    for notifier in given:
        # Calling a class or a `@task` function makes a notifier or a task, which notifies nobody.
        if not callable(notifier) or isinstance(notifier, type) or _is_task(notifier):
            raise WorkatoConfigurationError(
                "notifiers must be an Airflow notifier, a plain function that takes the task's context, or a "
                f"list of them, not {_kind(notifier)}."
            )
    return list(given)


def _kind(notifier: object) -> str:
    if isinstance(notifier, type):
        return f"the class {notifier.__name__}; call it"
    return "a @task function" if _is_task(notifier) else type(notifier).__name__


def _name(notifier: object) -> str:
    return str(getattr(notifier, "__name__", type(notifier).__name__))


def _is_task(notifier: object) -> bool:
    return isinstance(getattr(notifier, "operator_class", None), type)


def _send(notifier: Notifier, context: Context) -> None:
    if isinstance(notifier, BaseNotifier):
        # A notifier renders its templates in place: a second call would send the first URL again.
        notifier = copy.copy(notifier)
        for name in notifier.template_fields:
            setattr(notifier, name, _copied(getattr(notifier, name)))
        # As Airflow calls a notifier; but before 3.1, Airflow logs its error and goes on.
        cast("dict[str, Any]", context).update(
            {name: getattr(notifier, name) for name in notifier.template_fields}
        )
        notifier.render_template_fields(context)
        notify: Notifier = notifier.notify
        answer = notify(context)
    else:
        answer = notifier(context)
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        raise WorkatoConfigurationError(
            f"The notifier {_name(notifier)} is asynchronous, so it has notified nobody. Use one with a "
            "synchronous notify()."
        )


def _copied(value: Any) -> Any:
    # Airflow renders the templates of nested objects in place, and replaces all others.
    if isinstance(value, (list, tuple, dict)) or hasattr(value, "template_fields"):
        with suppress(Exception):
            return copy.deepcopy(value)
    return value


class LoginAskingOperator(AskingOperator):
    """The same for a runtime user connection, which has a login URL of its own."""

    callback_url: Any
    redirect_url: Any
    _button = WorkatoOAuthLink()

    def _login_url(self, connection: WorkatoConnection) -> str:
        # The URL of a create is still unused; any other may have been used.
        return connection.get("url") or self.hook.get_oauth_url(
            connection["id"], callback_url=self.callback_url, redirect_url=self.redirect_url
        )

    def _publish(
        self, context: Context, connections: Sequence[WorkatoConnection], urls: Sequence[str]
    ) -> None:
        super()._publish(context, connections, urls)
        self._push_if_new(context, CONNECTION_KEY, {**connections[0], "url": urls[0]})
