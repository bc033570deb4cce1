"""What the operators have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from airflow.providers.common.compat.sdk import BaseOperator, conf, mask_secret

from airflow_provider_workato.arguments import one_of, to_flag, to_id
from airflow_provider_workato.exceptions import WorkatoConfigurationError, WorkatoNotFoundError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.redaction import Sealed, seal, secret_texts
from airflow_provider_workato.version_compat import forget_variables

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

#: What an id, a text, a boolean and an object may be given as: a literal, Jinja, or another task's output.
Id: TypeAlias = "int | str | XComArg"
Text: TypeAlias = "str | XComArg"
Flag: TypeAlias = "bool | str | XComArg"
Object: TypeAlias = "Mapping[str, Any] | str | XComArg"


#: Tells an argument that was left out from ``None``, which an upstream task may give.
NOT_GIVEN: Any = object()


class WorkatoOperator(BaseOperator):
    """The base of all operators of this provider.

    :param workato_conn_id: the Airflow connection with the API token (templated).
    """

    template_fields: Sequence[str] = ("workato_conn_id",)
    ui_color = "#67eadd"

    def __init__(
        self, *, workato_conn_id: str = WorkatoConnectionsHook.default_conn_name, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.workato_conn_id = workato_conn_id

    @cached_property
    def hook(self) -> WorkatoConnectionsHook:
        """The hook that makes the calls."""
        return WorkatoConnectionsHook(self.workato_conn_id)


class CredentialsOperator(WorkatoOperator):
    """An operator that is given credentials, and lets nobody see them.

    Airflow stores the rendered fields before ``execute`` runs. So the moment ``input`` is rendered,
    its values are made known to Airflow's masker and move to where only the hook finds them;
    the field itself keeps its keys, with ``***`` for each value.

    :param input: the connection's parameters (templated). Take them from Airflow connections,
        variables or a secrets backend: a literal in the DAG file is stored with the DAG.
    """

    template_fields_renderers: ClassVar[dict[str, str]] = {"input": "json"}

    def __init__(self, *, input: Object | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.input: Any = input
        self._credentials: Sealed | None = None

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Context, *args: Any, **kwargs: Any
    ) -> None:
        # Mapped and ordinary tasks both pass here; render_template_fields is for the latter only.
        super()._do_render_template_fields(parent, template_fields, context, *args, **kwargs)
        if parent is self:
            self._hide_input()
            # A traceback with local variables shows the context.
            forget_variables(context)

    def _hide_input(self) -> None:
        # Airflow 2 renders a task's fields more than once.
        if self.input is None or (self._credentials and self.input == self._credentials.masked()):
            return
        self._credentials = seal(self.input)
        self.input = self._credentials.masked() if self._credentials else None
        shortest = conf.getint("logging", "min_length_masked_secret", fallback=5)
        for text in secret_texts(self._credentials.leaves() if self._credentials else iter(())):
            # Airflow refuses shorter ones with a warning for each.
            if len(text) >= shortest:
                mask_secret(text)

    @property
    def credentials(self) -> Sealed | None:
        """What the hook is to send as ``input``."""
        if self._credentials is None:
            self._hide_input()
        return self._credentials


class TargetOperator(WorkatoOperator):
    """An operator on a connection that is told by its id, or by what a create would find it by.

    :param connection_id: the connection (templated), with which *provider*, *folder_id* and *parent_id* are
        ignored; or leave it out and give
    :param external_id: your own id for it, with *provider* or, for a runtime user's connection, with
        *parent_id* (templated), or
    :param name: its name, with *provider* and *folder_id* (templated).
    :param provider: the app, for example ``jira`` (templated).
    :param folder_id: the folder or project it is in (templated).
    :param parent_id: its parent connection (templated).
    :param ignore_missing: succeed if there is no such connection, or if an upstream task gave no id
        (templated; true, false, yes, no, 1 or 0).
    :raises WorkatoConfigurationError: if it is not told by exactly one of these ways.
    """

    template_fields: Sequence[str] = (
        *WorkatoOperator.template_fields,
        "connection_id",
        "external_id",
        "name",
        "provider",
        "folder_id",
        "parent_id",
        "ignore_missing",
    )

    def __init__(
        self,
        *,
        connection_id: Id | None = NOT_GIVEN,
        external_id: Text | None = None,
        name: Text | None = None,
        provider: Text | None = None,
        folder_id: Id | None = None,
        parent_id: Id | None = None,
        ignore_missing: Flag = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._by_id = connection_id is not NOT_GIVEN
        self.connection_id: Any = connection_id if self._by_id else None
        self.external_id: Any = external_id
        self.name: Any = name
        self.provider: Any = provider
        self.folder_id: Any = folder_id
        self.parent_id: Any = parent_id
        self.ignore_missing: Any = ignore_missing
        check_flag(ignore_missing, what="ignore_missing")
        # The others may be a DAG's default_args, and say no more than the id does.
        if self._by_id == (external_id is not None or name is not None):
            raise WorkatoConfigurationError(
                f"{type(self).__name__} needs either connection_id, or external_id (with provider or "
                "parent_id), or name (with provider and folder_id)."
            )
        self._told_by = "connection_id" if self._by_id else "name" if external_id is None else "external_id"

    def find_target(self) -> int | None:
        """Return the id of the connection, ``None`` if there is none and that is fine."""
        ignore_missing = to_flag(self.ignore_missing, what="ignore_missing")
        if _is_missing(getattr(self, self._told_by)):
            if not ignore_missing:
                raise WorkatoConfigurationError(
                    f"There is no {self._told_by}: the task that should give it failed, was skipped or "
                    "returned nothing. Set ignore_missing=True if that is fine, as in a clean-up."
                )
            self.log.info("No %s was given; nothing to do.", self._told_by)
            return None
        if self._by_id:
            return to_id(self.connection_id)
        try:
            found = self.hook.find_matching(
                provider=self.provider,
                name=self.name,
                folder_id=self.folder_id,
                parent_id=self.parent_id,
                external_id=self.external_id,
            )
        except WorkatoNotFoundError as error:
            # The list itself can be what was not found.
            if not ignore_missing or error.status is not None:
                raise
            self.log.info("%s Nothing to do.", error)
            return None
        return int(found["id"])


def check_choice(value: object, choices: Sequence[str], *, what: str) -> None:
    """Check a literal while the DAG is parsed; what is templated is checked when the task runs.

    :param value: what was given.
    :param choices: the values there are.
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: if *value* is a literal and none of them.
    """
    if isinstance(value, str) and not _is_template(value):
        one_of(value, choices, what=what)


def check_flag(value: object, *, what: str) -> None:
    """Check a boolean while the DAG is parsed; what is templated is checked when the task runs.

    :param value: what was given.
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: if *value* is a literal and says neither yes nor no.
    """
    if isinstance(value, str) and not _is_template(value):
        to_flag(value, what=what)


def _is_template(value: str) -> bool:
    return "{{" in value or "{%" in value


def _is_missing(value: object) -> bool:
    # A template renders None to its name.
    if isinstance(value, str):
        return value.strip() in ("", "None")
    return value is None or (isinstance(value, Sequence) and len(value) == 0)
