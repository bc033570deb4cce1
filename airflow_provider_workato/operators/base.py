"""What the operators have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from airflow.providers.common.compat.sdk import BaseOperator, conf, mask_secret

from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.redaction import Sealed, seal, secret_texts
from airflow_provider_workato.version_compat import forget_variables

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

#: What an id, a text and an object may be given as: a literal, Jinja, or another task's output.
Id: TypeAlias = "int | str | XComArg"
Text: TypeAlias = "str | XComArg"
Object: TypeAlias = "Mapping[str, Any] | str | XComArg"


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
