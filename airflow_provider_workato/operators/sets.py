"""Operators for a declared set of connections: compare what there should be with what there is, and apply it.

https://docs.workato.com/en/workato-api/connections.html describes the calls behind them. All raise
:class:`~airflow_provider_workato.exceptions.WorkatoError`; an error that a retry cannot fix fails the task at
once. A boolean may be a string: true, false, yes, no, 1 or 0.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, get_args

import jinja2

from airflow_provider_workato import exceptions
from airflow_provider_workato.arguments import one_of, to_flag, to_optional_count
from airflow_provider_workato.authorization import State, status_text
from airflow_provider_workato.exceptions import (
    WorkatoAuthorizationError,
    WorkatoConfigurationError,
    WorkatoSetError,
    WorkatoSetRefusedError,
)
from airflow_provider_workato.links.connections import WorkatoConnectionLink, push_folder_url
from airflow_provider_workato.operators.asking import AskingOperator
from airflow_provider_workato.operators.base import (
    FlagArgument,
    IdArgument,
    StringArgument,
    WorkatoOperator,
    check_choice,
    check_flag,
    mask_in_log,
    remembers_arguments,
)
from airflow_provider_workato.operators.connections import ON_REFUSED, OnRefused
from airflow_provider_workato.provisioning.apply import PRUNE, Apply, Prune, check_prune, orphan_text
from airflow_provider_workato.provisioning.manifest import Scope, read_manifest
from airflow_provider_workato.provisioning.plan import DeclaredSet
from airflow_provider_workato.provisioning.task_state import TaskState
from airflow_provider_workato.redaction import secret_texts
from airflow_provider_workato.version_compat import (
    AirflowFailException,
    AirflowSkipException,
)

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from airflow_provider_workato.client.answers import WorkatoConnection
    from airflow_provider_workato.provisioning.plan import Plan
    from airflow_provider_workato.redaction import Sealed

OnDrift = Literal["return", "fail", "skip"]
ON_DRIFT: tuple[OnDrift, ...] = get_args(OnDrift)

#: A manifest's path, its entries, or the output of a task that returns entries.
ManifestArgument: TypeAlias = "str | Sequence[Mapping[str, Any]] | XComArg"

#: XCom key of the plan on which an apply acted.
PLAN_KEY = "workato_plan"

#: XCom key of an apply's results, pushed while it runs.
RESULTS_KEY = "workato_connections"

#: Seconds between two pushes of the results.
_PUSHES = 10.0


@remembers_arguments
class DeclaredSetOperator(WorkatoOperator):
    """An operator on a declared set of connections.

    :param connections: the path of a manifest, absolute or from the DAG's folder (templated; the file may
        hold templates, too); a list of its entries; or the output of a task that returns such a list, also
        by a template. In that output, nothing is a template.
    :param folder_id: the set is about the connections in this folder (templated).
    :param external_id_prefix: or about those whose external id begins like this (templated).
    :param reauthenticate: send all credentials again (templated).
    """

    template_fields: Sequence[str] = (
        *WorkatoOperator.template_fields,
        "connections",
        "folder_id",
        "external_id_prefix",
        "prune",
        "prune_limit",
        "reauthenticate",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"connections": "yaml"}
    _object_fields: ClassVar[frozenset[str]] = frozenset({"connections"})

    def __init__(
        self,
        *,
        connections: ManifestArgument,
        folder_id: IdArgument | None = None,
        external_id_prefix: StringArgument | None = None,
        prune: Prune | StringArgument = "report",
        prune_limit: int | str | None = None,
        reauthenticate: FlagArgument = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if own := self._explicit & {"folder_id", "external_id_prefix"}:
            # The other may come from default_args, for the creates of the DAG.
            folder_id = folder_id if "folder_id" in own else None
            external_id_prefix = external_id_prefix if "external_id_prefix" in own else None
        check_choice(prune, PRUNE, what="prune")
        check_flag(reauthenticate, what="reauthenticate")
        self.connections: Any = connections
        self.folder_id: Any = folder_id
        self.external_id_prefix: Any = external_id_prefix
        self.prune: Any = prune
        self.prune_limit: Any = prune_limit
        self.reauthenticate: Any = reauthenticate
        #: Whether the path stands in the DAG file, so that its templates are the DAG's, too.
        self._has_own_file = isinstance(connections, str)
        if (folder_id is None) == (external_id_prefix is None):
            raise WorkatoConfigurationError(
                f"{type(self).__name__} needs either folder_id or external_id_prefix: which connections the "
                "set is about."
            )

    def declared(self, context: Context) -> DeclaredSet:
        """Return the set, with its credentials.

        :param context: the task's context.
        :raises WorkatoConfigurationError: naming every mistake of the manifest.
        """
        self._check_given()
        scope = Scope.checked(folder_id=self.folder_id, external_id_prefix=self.external_id_prefix)
        manifest, file = self.connections, ""
        if isinstance(manifest, str):
            file = manifest
            manifest = self._text(manifest, context)
        entries = read_manifest(manifest, scope=scope, file=Path(file).name)
        found = DeclaredSet(self.hook.transport, entries, scope)
        mask_in_log(*(entry.spec.credentials for entry in found.entries if entry.spec.credentials))
        return found

    def make_plan(self, declared: DeclaredSet) -> Plan:
        """Compare the set with Workato's list, log the plan, and check what would be removed.

        :param declared: the set.
        """
        one_of(self.prune, PRUNE, what="prune")
        limit = to_optional_count(self.prune_limit, what="prune_limit")
        plan = declared.plan(
            reauthenticate=to_flag(self.reauthenticate, what="reauthenticate"),
            orphans_are=partial(orphan_text, prune=self.prune),
        )
        self.log.info("%s", plan.text())
        check_prune(plan, prune=self.prune, limit=limit)
        return plan

    def _text(self, path: str, context: Context) -> str:
        """Return the text of a file, with its templates rendered if it belongs to the DAG."""
        if "\n" in path or path.lstrip().startswith(("[", "{")):
            # Not quoted: a credential may stand where none belongs.
            raise WorkatoConfigurationError(
                "connections must be the path of a manifest or a list of entries, and is the text of one. A "
                "template that gives the list must stand alone, without other text. Nothing was sent."
            )
        env = self.get_template_env()
        try:
            if Path(path).is_absolute() or env.loader is None:
                text = Path(path).read_text(encoding="utf-8")
            else:
                text = env.loader.get_source(env, path)[0]
        except (OSError, UnicodeDecodeError, jinja2.TemplateNotFound) as error:
            reason = getattr(error, "strerror", None) or (
                "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "there is no such file"
            )
        else:
            is_own = self._has_own_file and "connections" not in self._upstream_names
            if not (is_own and self._is_template(text, env)):
                return text
            rendered: str = self._rendered(text, f"the manifest {path}", context, env, set())
            return rendered
        raise WorkatoConfigurationError(
            f"Cannot read the manifest {path!r}: {reason}. Nothing was sent. A path that is not absolute "
            "begins in the DAG file's folder."
        )


@remembers_arguments
class WorkatoPlanConnectionsOperator(DeclaredSetOperator):
    """Compare a declared set of connections with those that exist, and change nothing.

    Costs one list call. Logs the plan as a table, and returns it: ``drift``, whether anything is not as
    declared; ``counts`` by action; and ``changes``, one dict for each connection, with ``action``, ``name``,
    ``provider``, ``connection_id``, ``fields`` (old and new value of each that differs), ``reason`` and
    ``declared_at``. The actions are ``create``, ``update``, ``authenticate`` (send the credentials),
    ``unchanged``, ``orphan`` (exists, but is not declared), ``conflict`` (several match, one matches twice,
    or one has the name but no external id) and ``invalid`` (the credentials cannot be had).

    :param connections: the path of a manifest, absolute or from the DAG's folder (templated; the file may
        hold templates, too); a list of its entries; or the output of a task that returns such a list, also
        by a template. In that output, nothing is a template.
    :param folder_id: the set is about the connections in this folder (templated).
    :param external_id_prefix: or about those whose external id begins like this (templated). Give one of the
        two. Connections elsewhere are neither looked at nor touched.
    :param prune: what an apply with this argument would do to orphans (templated).
    :param prune_limit: fail if more than that many would be removed (templated); by default a fifth of the
        scope, at least one.
    :param reauthenticate: plan to send all credentials again (templated).
    :param on_drift: if anything is not as declared, ``return`` the plan all the same, or ``fail`` or ``skip``
        the task (templated). The plan is pushed in any case.
    :param workato_conn_id: the Airflow connection with the API token (templated).
    :raises WorkatoConfigurationError: naming every mistake of the manifest; or if *prune* would remove too
        many.
    """

    template_fields: Sequence[str] = (*DeclaredSetOperator.template_fields, "on_drift")
    ui_color = "#e3e8ff"

    def __init__(self, *, on_drift: OnDrift | StringArgument = "return", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_choice(on_drift, ON_DRIFT, what="on_drift")
        self.on_drift: Any = on_drift

    def execute(self, context: Context) -> dict[str, Any]:
        """Compare them."""
        one_of(self.on_drift, ON_DRIFT, what="on_drift")
        plan = self.make_plan(self.declared(context))
        data = plan.as_data()
        if not plan.has_drift or self.on_drift == "return":
            return data
        if self.do_xcom_push:
            context["ti"].xcom_push(key="return_value", value=data)
        found = f"The connections of {plan.scope} are not as declared; the log has the plan."
        if self.on_drift == "skip":
            raise AirflowSkipException(found)
        raise WorkatoSetRefusedError(found)


@remembers_arguments
class WorkatoApplyConnectionsOperator(DeclaredSetOperator, AskingOperator):
    """Make the connections of a folder, or of a prefix of external ids, what a manifest declares.

    Costs one list call, and one call for each connection that is not as declared. Each is created exactly
    once, as by :class:`~airflow_provider_workato.operators.connections.WorkatoCreateConnectionOperator`; a
    task that is killed, retried or cleared goes on where it was. Whatever goes wrong with one connection, the
    others are done; then the task fails and names each bad one. What is wrong with every call, such as the
    API token, fails it at once.

    Workato never shows credentials. So they are sent only to a connection that is new or not authorized, if
    they have changed since this operator sent them, or if *reauthenticate* is set. To tell, it keeps a keyed
    fingerprint of each in an Airflow variable.

    Returns one dict for each connection: ``name``, ``provider``, ``id``, what the task ``did`` (``created``,
    ``changed``, ``reused``, ``unchanged``, ``reported``, ``disconnected``, ``deleted``, ``missing`` or
    ``failed``), its ``status``, such as ``authorized``, ``declared_at``, the ``reason``, and the ``error``'s
    class. They are also pushed while the task runs, under the XCom key ``workato_connections``, and the plan
    under ``workato_plan``.

    :param connections: the path of a manifest, absolute or from the DAG's folder (templated; the file may
        hold templates, too); a list of its entries; or the output of a task that returns such a list, also
        by a template. In that output, nothing is a template.
    :param folder_id: the set is about the connections in this folder (templated).
    :param external_id_prefix: or about those whose external id begins like this (templated). Give one of the
        two. Connections elsewhere are neither looked at nor touched.
    :param prune: what to do to connections that are not declared: ``report``, ``disconnect`` or ``delete``
        (templated).
    :param prune_limit: fail before any change if more than that many would be removed (templated); by default
        a fifth of the scope, at least one.
    :param reauthenticate: send all credentials again (templated).
    :param on_refused: if an app refuses credentials, ``fail`` the task in the end, or ``return`` all the same
        (templated).
    :param wait_for_authorization: wait until people have authorized all connections that are not (templated),
        without those that failed here. *notifiers* are called once for all; *remind_every*, *deferrable*,
        *poke_interval*, *timeout* and *max_failed_polls* say how.
    :param workato_conn_id: the Airflow connection with the API token (templated).
    :raises WorkatoConfigurationError: naming every mistake of the manifest; or if *prune* would remove too
        many.
    :raises WorkatoSetError: naming each connection that is not as declared.
    :raises AirflowSensorTimeout: if not all are authorized within *timeout*.
    """

    template_fields: Sequence[str] = (
        *DeclaredSetOperator.template_fields,
        "on_refused",
        "wait_for_authorization",
    )
    operator_extra_links = (WorkatoConnectionLink(),)
    ui_color = "#b9f2d0"

    # A failed login ends the wait of nobody: the person may log in again.
    fail_fast = False

    def __init__(self, *, on_refused: OnRefused | StringArgument = "fail", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_choice(on_refused, ON_REFUSED, what="on_refused")
        self.on_refused: Any = on_refused
        self._results: Sequence[dict[str, Any]] = ()
        self._pushed_at = 0.0
        #: ``None`` in a process that resumes the task: it does not read the credentials again.
        self._known_secrets: Sealed | None = None

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Apply the set."""
        one_of(self.on_refused, ON_REFUSED, what="on_refused")
        to_flag(self.wait_for_authorization, what="wait_for_authorization")
        declared = self.declared(context)
        self._known_secrets = declared.search.secrets
        self._publish(context, (), ())
        plan = self.make_plan(declared)
        context["ti"].xcom_push(key=PLAN_KEY, value=plan.as_data())
        removes = {"disconnect": self.hook.disconnect_connection, "delete": self.hook.delete_connection}
        remove: Any = removes.get(self.prune)
        apply = Apply(
            plan=plan,
            transport=self.hook.transport,
            search=declared.search,
            fingerprints=declared.fingerprints,
            state_of_tries=lambda key: TaskState(context, key=f"{TaskState.KEY}_{key}"),
            remove=remove and (lambda number: remove(number, ignore_missing=True)),
            prune=self.prune,
            report=lambda results: self._push(context, results),
        )
        self._pushed_at = time.monotonic()
        try:
            apply.run()
        finally:
            self._push(context, apply.results, at_once=True)
        did = [result["did"] for result in apply.results]
        self.log.info(
            "Applied %s: %s.",
            plan.scope,
            ", ".join(f"{did.count(each)} {each}" for each in dict.fromkeys(did)) or "nothing declared",
        )
        result: list[dict[str, Any]] = self.ask_and_wait(context, apply.unauthorized)
        return result

    def _push(self, context: Context, results: Sequence[dict[str, Any]], *, at_once: bool = False) -> None:
        self._results = results
        if at_once or time.monotonic() - self._pushed_at > _PUSHES:
            self._pushed_at = time.monotonic()
            self._push_if_new(context, RESULTS_KEY, list(results))

    def _pushed_before(self, context: Context) -> list[WorkatoConnection]:
        self._results = self._pulled(context, RESULTS_KEY)
        return [
            each
            for each in self._results
            if each["declared_at"] and each["status"] not in (None, State.AUTHORIZED) and not each["error"]
        ]

    def _push_authorized(self, context: Context, connections: Sequence[WorkatoConnection]) -> None:
        now = {each["id"]: status_text(each) for each in connections}
        self._push(
            context,
            [each | {"status": now.get(each["id"], each["status"])} for each in self._results],
            at_once=True,
        )

    def _result(self, connections: Sequence[WorkatoConnection]) -> list[dict[str, Any]]:  # noqa: ARG002
        failed = [each for each in self._results if each["error"]]
        if self.on_refused == "return":
            failed = [each for each in failed if each["error"] != WorkatoAuthorizationError.__name__]
        if not failed:
            return list(self._results)
        said = "\n".join(
            f"- {each['declared_at'] or 'not declared'}, {each['name']!r}: {each['reason']}"
            for each in failed
        )
        is_final = all(
            issubclass(getattr(exceptions, each["error"]), AirflowFailException) for each in failed
        )
        raise (WorkatoSetRefusedError if is_final else WorkatoSetError)(
            f"{len(failed)} of {len(self._results)} connections are not as declared; all others are done:\n"
            f"{said}"
        )

    def _publish(
        self,
        context: Context,
        connections: Sequence[WorkatoConnection],  # noqa: ARG002
        urls: Sequence[str],  # noqa: ARG002
    ) -> None:
        push_folder_url(context, self.hook.settings, self.folder_id)

    def _secrets(self) -> Sequence[str]:
        return secret_texts(self._known_secrets.leaves()) if self._known_secrets else ()

    def _quotes_app(self) -> bool:
        return self._known_secrets is not None and super()._quotes_app()
