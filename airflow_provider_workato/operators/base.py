"""The base classes of the operators."""

from __future__ import annotations

import difflib
import inspect
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache, cached_property, partial, wraps
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, TypeAlias, TypeVar

import jinja2
import jinja2.nativetypes

from airflow_provider_workato.arguments import EMPTY, FIELDS, one_of, to_flag, to_id
from airflow_provider_workato.exceptions import WorkatoConfigurationError, WorkatoError, WorkatoNotFoundError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.redaction import Sealed, log_texts, seal
from airflow_provider_workato.version_compat import (
    BaseOperator,
    comes_from_mapped,
    conf,
    forget_argument,
    forget_variables,
    mask_secrets,
    render_template_to_string,
    upstream_arguments,
)

if TYPE_CHECKING:
    from airflow.sdk import DAG, Context, XComArg

    from airflow_provider_workato.client.answers import WorkatoConnection

#: The types of arguments: a literal, a Jinja template, or the output of another task.
IdArgument: TypeAlias = "int | str | XComArg"
StringArgument: TypeAlias = "str | XComArg"
FlagArgument: TypeAlias = "bool | str | XComArg"
DictArgument: TypeAlias = "Mapping[str, Any] | str | XComArg"


_IF_MISSING = "If that is no error, as in a clean-up, set ignore_missing=True."

Operator = TypeVar("Operator", bound="WorkatoOperator")


def remembers_arguments(cls: type[Operator]) -> type[Operator]:
    """Let an operator know its parameters, and tell its own arguments from those of ``default_args``.

    Airflow merges the ``default_args`` of the DAG, its task groups and the task into the named parameters of
    each constructor, just before it runs. This decorator looks at the arguments before that, also at those
    of a mapped task or of a subclass. Decorate each class whose constructor names parameters.

    :param cls: the operator.
    """
    init: Any = cls.__init__
    parameters = inspect.signature(init).parameters
    cls._parameters = {**cls._parameters, **parameters}
    # Airflow takes from default_args what is not given at all.
    left_out = dict.fromkeys(cls._never_default)

    @wraps(init)
    def remember(self: Operator, **kwargs: Any) -> None:
        # Airflow's own __setattr__ needs what only the constructor sets.
        vars(self)["_explicit"] = self._explicit | (kwargs.keys() & parameters.keys())
        init(self, **left_out | kwargs)

    # By this, Airflow finds out which of the constructors is the task's own.
    vars(remember)["__wrapped__"] = init.__wrapped__
    cls.__init__ = remember  # type: ignore[method-assign, assignment]
    return cls


class WorkatoOperator(BaseOperator):
    """The base of all operators of this provider.

    :param workato_conn_id: the Airflow connection with the API token (templated).
    """

    template_fields: Sequence[str] = ("workato_conn_id",)
    ui_color = "#67eadd"

    #: The optional arguments that a mapped task may not be given as ``None``. It cannot tell a literal, which
    #: would count as left out, from what an upstream task gave.
    _never_none: ClassVar[frozenset[str]] = frozenset({"external_id", "input"})

    #: The optional arguments that do not come from ``default_args``.
    _never_default: ClassVar[frozenset[str]] = frozenset()

    #: The parameters of the operator, and the names of those that the task itself gave: both are what
    #: :func:`remembers_arguments` saw.
    _parameters: ClassVar[Mapping[str, inspect.Parameter]] = {}
    _explicit: frozenset[str] = frozenset()

    #: The names of the optional arguments that were given.
    _given: frozenset[str] = frozenset()

    #: The fields that become a dict or a list if they are one template, and the fields with credentials.
    _object_fields: ClassVar[frozenset[str]] = frozenset()
    _secret_fields: ClassVar[frozenset[str]] = frozenset()

    #: What upstream tasks gave, by argument. Its texts are no templates.
    _upstream: Sealed | None = None

    #: The arguments that upstream tasks gave to a task made from a mapped one.
    _upstream_names: frozenset[str] = frozenset()

    def __new__(cls, *_: Any, **kwargs: Any) -> Self:
        """Make the object and remember the arguments with which Airflow makes it from a mapped task."""
        task = super().__new__(cls)
        if "_airflow_from_mapped" in kwargs:
            vars(task)["_upstream"] = Sealed(kwargs)
        return task

    def __init__(
        self, *, workato_conn_id: str = WorkatoConnectionsHook.default_conn_name, **kwargs: Any
    ) -> None:
        _check_names(type(self), kwargs)
        super().__init__(**kwargs)
        # Airflow 2 copies a task's attributes in their order, and its __setattr__ needs its own first.
        for name in vars(self).keys() & {"_explicit", "_upstream"}:
            vars(self)[name] = vars(self).pop(name)
        self.workato_conn_id = workato_conn_id
        #: What rendering made of the fields, by name.
        self._rendered_values: dict[str, Any] = {}

    def _fields(self) -> dict[str, Any]:
        """Return the operator's arguments that are fields of a connection or filters, not checked yet."""
        return {name: getattr(self, name) for name in self._parameters if name in FIELDS}

    def get_template_env(self, dag: DAG | None = None) -> jinja2.Environment:
        """Return the DAG's Jinja environment for text, also if the DAG renders native objects.

        :param dag: the DAG, ``None`` for the task's own.
        """
        dag = dag or self.get_dag()
        return dag.get_template_env(force_sandboxed=True) if dag else super().get_template_env()

    def _render(self, template: jinja2.Template, context: Context, dag: DAG | None = None) -> str:  # noqa: ARG002
        # If the DAG renders native objects, Airflow's own method makes a number of 1e5.
        return render_template_to_string(template, context)

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        # Airflow calls this for all tasks, and render_template_fields for unmapped tasks only.
        if parent is not self:
            super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
        else:
            failure = self._render_fields(template_fields, context, jinja_env, seen_oids)
            # Airflow's frame that makes a mapped task has its arguments, which a traceback with local
            # variables prints. So such a task fails when Airflow runs it, whatever a subclass replaces.
            if failure is not None and not comes_from_mapped(self):
                raise failure
            for name in ("pre_execute", "execute", "resume_execution"):
                vars(self).pop(name, None)
                if failure is not None:
                    vars(self)[name] = partial(_fail, failure)

    def _render_fields(
        self, names: Iterable[str], context: Context, env: jinja2.Environment, seen: set[int]
    ) -> Exception | None:
        """Render the fields. Return an error that shows none of them, also in its traceback."""
        # Not in the constructor: a DAG can also assign the attribute later.
        never_none = self._never_none & self._explicit if comes_from_mapped(self) else ()
        self._given |= {
            name
            for name, parameter in self._parameters.items()
            if parameter.default is None and (name in never_none or getattr(self, name) is not None)
        }
        if isinstance(env, jinja2.nativetypes.NativeEnvironment):
            env = self.get_template_env()
        self._forget_what_is_no_template(context, env)
        try:
            for name in names:
                value = getattr(self, name)
                # What a template became is no template: Airflow 2 renders a task more than once.
                is_result = name in self._rendered_values and self._rendered_values[name] is value
                if is_result or id(value) in seen:
                    continue
                rendered = self._rendered(value, name, context, env, seen)
                setattr(self, name, rendered)
                if name not in self._secret_fields:
                    self._rendered_values[name] = rendered
        except Exception as error:  # noqa: BLE001 - the caller raises it
            error.__context__ = error.__cause__
            return error.with_traceback(None)
        return None

    def _forget_what_is_no_template(self, context: Context, env: jinja2.Environment) -> None:
        """Keep only those texts of upstream tasks that look like templates, which are few or none."""
        given = self._upstream.reveal() if self._upstream else {}
        if given:
            self._upstream_names = upstream_arguments(self, given, context)
        texts = {
            name: [
                text
                for text in Sealed(given[name]).leaves()
                if isinstance(text, str) and self._is_template(text, env)
            ]
            for name in self._upstream_names.intersection(given)
        }
        vars(self)["_upstream"] = Sealed(texts) if any(texts.values()) else None

    def _is_upstream(self, text: str, env: jinja2.Environment) -> bool:
        """Tell whether a text came from an upstream task, also if a subclass made it part of a longer one."""
        # Each template contains one of these.
        signs = (env.variable_start_string, env.block_start_string, env.comment_start_string)
        return any(
            given == text or (given in text and given.strip() not in signs)
            for texts in (self._upstream.reveal().values() if self._upstream else ())
            for given in texts
        )

    def _rendered(
        self, value: Any, place: str, context: Context, env: jinja2.Environment, seen: set[int]
    ) -> Any:
        """Render nested dicts and lists; return strings for templates.

        :param place: where *value* stands, for the error.
        """
        if isinstance(value, Mapping):
            return {
                key: self._rendered(item, f"{place}[{key!r}]", context, env, seen)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self._rendered(item, f"{place}[{i}]", context, env, seen) for i, item in enumerate(value)]
        try:
            return self._render_leaf(value, place, context, env, seen)
        except Exception as error:  # noqa: BLE001 - raised again, or one in its place
            failed = error
        # Outside the except block: a log handler that fails prints what is being handled.
        self.log.warning("Cannot render the template of %s: %s.", place, type(failed).__name__)
        raise self._template_error(failed, place, str(value)) from failed.__cause__

    def _render_leaf(
        self, value: Any, place: str, context: Context, env: jinja2.Environment, seen: set[int]
    ) -> Any:
        # Airflow calls a whole field only, too.
        if callable(value) and "[" not in place:
            return value(context=context, jinja_env=env)
        if isinstance(value, str):
            # Jinja would take what an enum's __str__ returns, and drop a newline at the end.
            value = str.__str__(value)
            if not self._is_template(value, env) or self._is_upstream(value, env):
                return value
            if place in self._object_fields:
                return self._object_or_text(value, context, env)
        return self.render_template(value, context, env, seen)

    def _is_template(self, text: str, env: jinja2.Environment) -> bool:
        signs = (env.variable_start_string, env.block_start_string, env.comment_start_string)
        has_lines = env.line_statement_prefix or env.line_comment_prefix
        is_file = text.endswith(tuple(self.template_ext))
        return bool(has_lines) or is_file or any(sign in text for sign in signs)

    def _object_or_text(self, template: str, context: Context, env: jinja2.Environment) -> Any:
        """Render a template that consists of one expression to its value, any other to text.

        A value that is a JSON object or array is parsed.
        """
        values: list[Any] = []

        @jinja2.pass_context  # so that Jinja does not call it for constants while it compiles the template
        def remember(_: object, value: Any) -> Any:
            values.append(value)
            return value

        text = self.render_template(template, context, env.overlay(finalize=remember))
        if len(values) != 1 or isinstance(values[0], jinja2.Undefined) or str(values[0]) != text.strip():
            return text
        (value,) = values
        with suppress(TypeError, ValueError):
            parsed = json.loads(value)
            if isinstance(parsed, (dict, list)):
                return parsed
        return value

    def _template_error(self, error: Exception, place: str, template: str) -> Exception:
        """Return the error to raise for a template that cannot be rendered.

        Of a credential's template, an error of Jinja or Python can quote a part.
        """
        is_secret = place.partition("[")[0] in self._secret_fields
        if isinstance(error, jinja2.TemplateSyntaxError):
            reason = "" if is_secret else f": {error.message}"
            return WorkatoConfigurationError(
                f"{place} is no valid Jinja template{reason}. Nothing was sent. Put text with braces that is "
                "no template between {% raw %} and {% endraw %}."
            )
        if isinstance(error, jinja2.UndefinedError) and (
            # Of data[key], it quotes the key's value.
            not is_secret or set(str(error).split("'")[-2:-1]) & set(re.findall(r"\w+", template))
        ):
            return WorkatoError(f"The template of {place} failed: {error}. Nothing was sent.")
        if is_secret and isinstance(error, (jinja2.UndefinedError, TypeError, ValueError)):
            return WorkatoError(
                f"The template of {place} failed with {type(error).__name__}. Its message is not shown: it "
                "can contain a credential. Nothing was sent."
            )
        return error

    def _check_given(self, *only: str) -> None:
        """Check that no optional argument became ``None``: it would count as left out.

        :param only: check these arguments, without names all.
        :raises WorkatoConfigurationError: naming the argument.
        """
        for name in sorted(self._given.intersection(only) if only else self._given):
            if getattr(self, name) is None:
                raise WorkatoConfigurationError(
                    f"{name} is None: the template or the upstream task that sets it returned nothing. "
                    "Nothing was sent. Correct the template or the task, or leave the argument out."
                )

    def reread_connection(self) -> bool:
        """Read the Airflow connection again; return whether it has another token for the same workspace."""
        known = self.hook
        # A subclass may make its own.
        self.__dict__.pop("hook", None)
        try:
            now, before = self.hook.settings, known.settings
            changed = now != before and now.base_url == before.base_url
        except WorkatoError:
            changed = False
        if changed:
            known.close()
            self.log.info("Airflow connection %s was changed; using the new settings.", self.workato_conn_id)
        else:
            self.__dict__["hook"] = known
        return changed

    @cached_property
    def hook(self) -> WorkatoConnectionsHook:
        """The hook that makes the calls."""
        return WorkatoConnectionsHook(self.workato_conn_id)


class CredentialsOperator(WorkatoOperator):
    """An operator that takes credentials and hides them.

    Airflow stores rendered fields before ``execute`` runs. So as soon as ``input`` is rendered, its values
    are registered with Airflow's secrets masker and moved to a sealed attribute; the field itself keeps its
    keys, with ``***`` for each value.

    Airflow's masker replaces a registered value wherever it occurs in the task's log. If ``input`` contains
    an ordinary word such as a database's name, name its key in *public_input_keys*.

    :param input: the connection's parameters (templated). Take them from Airflow connections,
        variables or a secrets backend: Airflow stores a literal in the DAG file with the DAG.
    :param public_input_keys: the keys of *input* whose values are not secret, for example
        ``["host_name", "auth_type"]``; for nested dicts a path such as ``advanced_settings.host``. Their
        values are shown in the rendered fields and in logs, unless they contain a value of another key.
        All other values are secret.
    :raises WorkatoConfigurationError: if *public_input_keys* is not a list of strings.
    """

    template_fields_renderers: ClassVar[dict[str, str]] = {"input": "json"}
    _object_fields: ClassVar[frozenset[str]] = frozenset({"input"})
    _secret_fields: ClassVar[frozenset[str]] = frozenset({"input"})

    def __init__(
        self,
        *,
        input: DictArgument | None = None,
        public_input_keys: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # A string is a sequence too, and each of its letters would count as a key.
        keys: Any = public_input_keys
        if not isinstance(keys, (list, tuple, set, frozenset)) or not all(
            isinstance(key, str) for key in keys
        ):
            raise WorkatoConfigurationError(
                "public_input_keys must be a list of keys such as ['host_name', 'auth_type']."
            )
        self.input: Any = input
        self.public_input_keys = tuple(public_input_keys)
        self._credentials: Sealed | None = None

    def _render_fields(
        self, names: Iterable[str], context: Context, env: jinja2.Environment, seen: set[int]
    ) -> Exception | None:
        try:
            return super()._render_fields(names, context, env, seen)
        finally:
            self._hide_input()
            # A traceback that prints local variables shows the context, and with it the variables.
            forget_variables(context)

    def _hide_input(self) -> None:
        masked = self._rendered_values.get("input")
        if self.input is None or (masked is not None and self.input == masked):
            return
        self._credentials = seal(self.input, public=self.public_input_keys)
        self.input = self._rendered_values["input"] = self._credentials.masked()
        forget_argument(self, "input")
        mask_in_log(self._credentials)

    def _check_given(self, *only: str) -> None:
        super()._check_given(*only)
        for key in self.credentials.keys_of(EMPTY) if self.credentials else ():
            self.log.warning(
                "input[%r] is empty or the string 'None'. Unless you mean that, check what its template "
                "reads: the Airflow connection may have no password.",
                key,
            )
        # Not every key that is missing: tenants of a mapped task may lack some.
        for path, close in self.credentials.misspelt().items() if self.credentials else ():
            self.log.warning(
                "public_input_keys has %r, but input has %s, so its value stays hidden.",
                path,
                " and ".join(map(repr, close)),
            )

    @property
    def credentials(self) -> Sealed | None:
        """The credentials that the hook sends as ``input``."""
        self._hide_input()
        return self._credentials


@remembers_arguments
class TargetOperator(WorkatoOperator):
    """An operator on a connection, named by its id or by the fields that a create finds it by.

    If the task itself gives one of *connection_id*, *external_id* and *name*, the other two do not come from
    ``default_args``.

    :param connection_id: the connection (templated); then *provider*, *folder_id* and *parent_id* are
        ignored. Leave it out to give *external_id* or *name*.
    :param external_id: your own id for it (templated); needs *provider* or, for a runtime user's connection,
        *parent_id*.
    :param name: its name (templated); needs *provider* and *folder_id*.
    :param provider: the app, for example ``jira`` (templated).
    :param folder_id: the folder or project it is in (templated).
    :param parent_id: its parent connection (templated).
    :param ignore_missing: succeed if the connection does not exist, or if an upstream task gave no id
        (templated).
    :raises WorkatoConfigurationError: if both or neither of *connection_id* and the fields that replace it
        are given.
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
        connection_id: IdArgument | None = None,
        external_id: StringArgument | None = None,
        name: StringArgument | None = None,
        provider: StringArgument | None = None,
        folder_id: IdArgument | None = None,
        parent_id: IdArgument | None = None,
        ignore_missing: FlagArgument = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if own := self._explicit & {"connection_id", "external_id", "name"}:
            connection_id = connection_id if "connection_id" in own else None
            external_id = external_id if "external_id" in own else None
            name = name if "name" in own else None
        # An upstream task may give None.
        self._by_id = "connection_id" in own or connection_id is not None
        self.connection_id: Any = connection_id
        self.external_id: Any = external_id
        self.name: Any = name
        self.provider: Any = provider
        self.folder_id: Any = folder_id
        self.parent_id: Any = parent_id
        self.ignore_missing: Any = ignore_missing
        check_flag(ignore_missing, what="ignore_missing")
        # The remaining fields may come from default_args, as those of a create do.
        if self._by_id == (external_id is not None or name is not None):
            raise WorkatoConfigurationError(
                f"{type(self).__name__} needs either connection_id, or external_id (with provider or "
                "parent_id), or name (with provider and folder_id)."
            )
        self._found_by = "connection_id" if self._by_id else "name" if external_id is None else "external_id"

    def find_target(self) -> WorkatoConnection | None:
        """Return the connection, ``None`` if it does not exist and *ignore_missing* is set.

        Of a connection named by its id, nothing else is known.
        """
        ignore_missing = to_flag(self.ignore_missing, what="ignore_missing")
        if _is_missing(getattr(self, self._found_by)):
            if not ignore_missing:
                raise WorkatoConfigurationError(
                    f"There is no {self._found_by}: the task that should give it failed, was skipped or "
                    f"returned nothing. {_IF_MISSING}"
                )
            self.log.info("No %s was given; nothing to do.", self._found_by)
            return None
        if self._by_id:
            return {"id": to_id(self.connection_id)}
        self._check_given("provider", "folder_id", "parent_id")
        try:
            return self.hook.find_matching(**self._fields())
        except WorkatoNotFoundError as error:
            # With a status, the list call itself got a 404.
            if error.status is not None:
                raise
            if not ignore_missing:
                raise WorkatoNotFoundError(f"{error} {_IF_MISSING}", operation=error.operation) from None
            self.log.info("%s Nothing to do.", error)
            return None


def mask_in_log(*credentials: Sealed) -> None:
    """Mask credentials in the task's log.

    :param credentials: dicts of credentials.
    """
    # Airflow 3 logs a warning for each shorter one and does not mask it. Airflow 2, which has no minimum,
    # would mask every "1" and "us" in the log.
    shortest = conf.getint("logging", "min_length_masked_secret", fallback=5)
    leaves = itertools.chain.from_iterable(each.leaves() for each in credentials)
    mask_secrets(log_texts(leaves, shortest=shortest))


def _fail(failure: Exception, *_: Any, **__: Any) -> NoReturn:
    raise failure


def _check_names(kind: type[BaseOperator], arguments: Iterable[str]) -> None:
    """Check that a constructor takes all arguments. Airflow's own error prints their values.

    :raises WorkatoConfigurationError: naming those it does not take.
    """
    known = _argument_names(kind)
    # Airflow passes some of its own, whose names begin with an underscore.
    for name in arguments:
        if name not in known and not name.startswith("_"):
            close = difflib.get_close_matches(name, sorted(known), n=2)
            raise WorkatoConfigurationError(
                f"{kind.__name__} has no argument {name!r}."
                + (f" Did you mean {' or '.join(map(repr, close))}?" if close else "")
            )


@cache
def _argument_names(kind: type[BaseOperator]) -> frozenset[str]:
    constructors = [vars(base)["__init__"] for base in kind.__mro__ if "__init__" in vars(base)]
    return frozenset(
        name
        for constructor in constructors
        for name, parameter in inspect.signature(constructor).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY or parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ) - {"self"}


def check_choice(value: object, choices: Sequence[str], *, what: str) -> None:
    """Check a literal argument when the DAG is parsed. A template is checked when the task runs.

    :param value: the argument.
    :param choices: the values allowed.
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: if *value* is a literal that is not among *choices*.
    """
    if isinstance(value, str) and not may_be_template(value):
        one_of(value, choices, what=what)


def check_flag(value: object, *, what: str) -> None:
    """Check a literal boolean when the DAG is parsed. A template is checked when the task runs.

    :param value: the argument.
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: if *value* is a literal string that does not stand for a boolean.
    """
    if isinstance(value, str) and not may_be_template(value):
        to_flag(value, what=what)


def may_be_template(value: str) -> bool:
    """Tell whether a literal in a DAG file looks like a Jinja template.

    :param value: the literal.
    """
    return "{{" in value or "{%" in value


def _is_missing(value: object) -> bool:
    if isinstance(value, str):
        return value.strip() in EMPTY
    return value is None or (isinstance(value, Sequence) and len(value) == 0)
