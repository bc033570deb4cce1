"""Every snippet of the README and the docs, run as it stands."""

from __future__ import annotations

import ast
import json
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from cryptography.fernet import Fernet

from airflow_provider_workato import __version__
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.sandbox.client import running_sandbox, wait_until
from tests.support.dags import Run, own_workspace, run_dag
from tests.support.sandbox import RunningSandbox
from tools.matrix.distributions import PACKAGE
from tools.matrix.legs import RELEASES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
#: Their commands belong together: tests/test_walkthroughs.py runs them.
WALKTHROUGHS = ("docs/tutorial.md", "docs/guides/testing.md")
#: The folders whose files the tests run. A page includes its code from them.
RUN = (ROOT / "example_dags", DOCS / "snippets")
_INCLUDED = re.compile(r"^```\{literalinclude\} (\S+)$", re.MULTILINE)
_EXCERPT = re.compile(
    r"^```\{literalinclude\} (?P<file>\S+\.py)\n(?P<options>(?:^:.*\n)*)^```$", re.MULTILINE
)
_BLOCK = re.compile(r"^```(?P<language>\S*)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


NIGHTLY = DOCS / "snippets" / "dags" / "nightly_connections.py"
MANIFEST = NIGHTLY.with_suffix(".yaml")
TENANTS = re.findall(r'"(\w+)"', MANIFEST.read_text().partition("%}")[0])


@dataclass(frozen=True, kw_only=True)
class Snippet:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def _snippets() -> Iterator[Snippet]:
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]:
        page = path.read_text()
        for found in _BLOCK.finditer(page):
            if found["language"].startswith("{"):
                # An instruction to Sphinx.
                continue
            yield Snippet(
                page=str(path.relative_to(ROOT)),
                line=page.count("\n", 0, found.start()) + 1,
                language=found["language"],
                text=found["text"],
            )


SNIPPETS = list(_snippets())
PYTHON = [snippet for snippet in SNIPPETS if snippet.language == "python"]
CONSOLE = [snippet for snippet in SNIPPETS if snippet.language == "console"]
ALONE = [snippet for snippet in CONSOLE if snippet.page not in WALKTHROUGHS]
#: Their lines use what an earlier one has printed.
IN_A_SHELL = [snippet for snippet in ALONE if "$(" in snippet.text]
YAML = [snippet for snippet in SNIPPETS if snippet.language == "yaml"]
PLAIN = [snippet for snippet in SNIPPETS if snippet.language == ""]
COMMANDS = [
    line for snippet in PLAIN for line in snippet.text.splitlines() if line.startswith(("make ", "pip "))
]
CONNECTIONS = [
    line for snippet in PLAIN for line in snippet.text.splitlines() if line.startswith("AIRFLOW_CONN_")
]
#: Of the file that a hosted Airflow reads.
REQUIREMENTS = [
    line for snippet in PLAIN if snippet.page == "docs/guides/hosted.md" for line in snippet.text.splitlines()
]


def test_every_snippet_is_of_a_kind_that_is_run_here() -> None:
    assert (len(PYTHON) > 0, len(CONSOLE) > 0, len(CONNECTIONS) > 0) == (True, True, True)
    assert [str(one) for one in SNIPPETS if one not in PYTHON + CONSOLE + YAML + PLAIN] == []
    lines = {line for snippet in PLAIN for line in snippet.text.splitlines() if line}
    assert lines - {*COMMANDS, *CONNECTIONS, *REQUIREMENTS} == set()


def test_a_hosted_airflow_is_told_to_install_the_package_under_constraints_that_were_tested() -> None:
    constraints = [line for line in REQUIREMENTS if line.startswith("--constraint ")]
    assert {*REQUIREMENTS} - {*constraints} == {"airflow-provider-workato"}
    (release,) = re.findall(r"/constraints-([\d.]+)/constraints-3\.\d+\.txt", "".join(constraints))
    assert release in RELEASES


@pytest.fixture
def jira(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Airflow connections from which the snippets take credentials."""
    for conn_id in ("jira", *(f"{app}_{tenant}" for app in ("jira", "zendesk") for tenant in TENANTS)):
        set_credential(monkeypatch, conn_id, "a-credential")


def set_credential(monkeypatch: pytest.MonkeyPatch, conn_id: str, credential: str) -> None:
    connection = {"conn_type": "http", "login": "ada@acme.example", "password": credential}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))


@pytest.mark.parametrize("snippet", PYTHON, ids=str)
def test_a_python_snippet_runs_and_so_does_its_dag(snippet: Snippet, airflow_db: None, jira: None) -> None:
    names: dict[str, Any] = {"__name__": "snippet"}
    with own_workspace():
        exec(compile(snippet.text, str(snippet), "exec"), names)  # noqa: S102 - it is ours
        _run_all(names)


@pytest.mark.parametrize(
    "path", sorted((DOCS / "snippets" / "dags").glob("*.py")), ids=lambda path: path.stem
)
def test_a_dag_that_pages_include_runs(path: Path, airflow_db: None, jira: None) -> None:
    with own_workspace():
        _run_all(runpy.run_path(str(path)))


def test_a_night_with_a_refused_credential_a_bad_request_and_a_tenant_that_left(
    airflow_db: None, jira: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guide's nightly job: at most 15 lines of DAG, and its second run makes one call."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    for path in (NIGHTLY, MANIFEST):
        (tmp_path / path.name).write_text(path.read_text())
    dag, manifest = tmp_path / NIGHTLY.name, tmp_path / MANIFEST.name
    assert len([line for line in dag.read_text().partition("with DAG")[2].splitlines() if line]) <= 15

    def run() -> Run:
        return run_dag(runpy.run_path(str(dag))["dag"])

    with own_workspace() as workato:
        set_credential(monkeypatch, "zendesk_wayne", "wrong-credentials")
        misspelt = "{{ 'jirra' if tenant == 'acme' else 'jira' }}"
        manifest.write_text(manifest.read_text().replace("provider: jira", f"provider: {misspelt}"))
        assert run().states == {"apply": "failed"}
        set_credential(monkeypatch, "zendesk_wayne", "a-credential")
        manifest.write_text(MANIFEST.read_text())
        first = run()
        assert first.states == {"apply": "success"}
        assert {each["status"] for each in first.xcom("apply")} == {"authorized"}
        workato.control.clear_requests()
        assert {each["did"] for each in run().xcom("apply")} == {"unchanged"}
        assert [each["operation"] for each in workato.control.requests()] == ["list_connections"]
        manifest.write_text(MANIFEST.read_text().replace('"acme", ', ""))
        assert [each["did"] for each in run().xcom("apply")].count("disconnected") == 2
        workato.control.clear_requests()
        assert [each["did"] for each in run().xcom("apply")].count("reported") == 2
        assert [each["operation"] for each in workato.control.requests()] == ["list_connections"]


def test_pages_include_their_code_from_files_that_are_run() -> None:
    assert {snippet.page for snippet in PYTHON} == {"README.md"}
    included = {
        page: [(page.parent / target).resolve() for target in _INCLUDED.findall(page.read_text())]
        for page in DOCS.rglob("*.md")
    }
    files = [file for files in included.values() for file in files]
    assert [file for file in files if not file.is_file()] == []
    assert [file for file in files if not any(file.is_relative_to(folder) for folder in RUN)] == []
    assert {file for folder in RUN for file in folder.rglob("*.py")} <= set(files), "each is on a page"


EXCERPTS = [
    pytest.param(
        page, found, id=f"{page.relative_to(ROOT)}:{page.read_text().count(chr(10), 0, found.start()) + 1}"
    )
    for page in sorted(DOCS.rglob("*.md"))
    for found in _EXCERPT.finditer(page.read_text())
]


@pytest.mark.parametrize(("page", "found"), EXCERPTS)
def test_an_excerpt_shows_whole_statements(page: Path, found: re.Match[str]) -> None:
    """None ends in a decorator, which would not parse, or leaves out the decorator of its first function."""
    lines = (page.parent / found["file"]).read_text().splitlines()
    options = dict(re.findall(r"^:([\w-]+): *(.*)$", found["options"], re.MULTILINE))
    assert options.keys() <= {"caption", "dedent", "start-at", "start-after", "end-before"}

    def line_with(text: str, *, after: int) -> int:
        return next(number for number in range(after, len(lines)) if text in lines[number])

    first, end = 0, len(lines)
    if "start-at" in options:
        first = line_with(options["start-at"], after=0)
    if "start-after" in options:
        first = line_with(options["start-after"], after=0) + 1
    if "end-before" in options:
        end = line_with(options["end-before"], after=first)
    ast.parse(textwrap.dedent("\n".join(lines[first:end])))
    above = [line.strip() for line in lines[:first] if line.strip()]
    assert not (above and above[-1].startswith("@")), above[-1]


def _run_all(names: dict[str, Any]) -> None:
    """Run the DAGs whose tasks are among these names."""
    dags = {id(task.dag): task.dag for task in names.values() if _is_task(task)}
    assert dags
    for dag in dags.values():
        run = run_dag(dag)
        assert set(run.states.values()) == {"success"}, run.states


def _is_task(value: Any) -> bool:
    return hasattr(value, "task_id") and hasattr(value, "dag")


@pytest.mark.parametrize("line", CONNECTIONS)
def test_an_airflow_connection_is_read_as_the_page_says(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (assignment,) = shlex.split(line.replace("…", "a-token"))
    name, _, value = assignment.partition("=")
    monkeypatch.setenv(name, value)
    settings = WorkatoConnectionsHook(name.removeprefix("AIRFLOW_CONN_").lower()).settings
    assert settings.data_center == "eu"
    assert settings.token.reveal() == "wrkaeu-a-token"


@pytest.mark.parametrize("snippet", YAML, ids=str)
def test_airflow_imports_a_file_of_connections(snippet: Snippet, airflow_db: None, tmp_path: Path) -> None:
    file = tmp_path / "connections.yaml"
    file.write_text(snippet.text.replace("…", "a-token"))
    connections = list(yaml.safe_load(snippet.text))
    airflow = [str(Path(sys.executable).with_name("airflow")), "connections"]
    try:
        subprocess.run([*airflow, "import", str(file)], check=True)
        for conn_id in connections:
            shown = subprocess.check_output([*airflow, "get", conn_id, "--output", "json"], text=True)
            # On Python 3.14, Airflow 3.3 prints a warning about its own arguments before it.
            (found,) = json.loads(shown[shown.index("[{") :])
            assert (found["conn_type"], found["password"]) == ("workato", "wrkaeu-a-token")
            assert found["extra_dejson"] == {"data_center": "eu"}
    finally:
        for conn_id in connections:
            subprocess.run([*airflow, "delete", conn_id], check=True)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_one_that_there_is(line: str) -> None:
    program, *words = shlex.split(line, comments=True)
    targets = re.findall(r"^([a-z0-9.%-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    mentioned = re.findall(r"make ([\w.-]+)", line)
    for target in [*words, *mentioned] if program == "make" else []:
        assert target in targets, target
    if program == "pip":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert words[0] == "install"
        assert any(_is_ours(word, project) for word in words[1:])


def _is_ours(requirement: str, project: dict[str, Any]) -> bool:
    name, _, extras = requirement.rstrip("]").partition("[")
    known = project["optional-dependencies"].keys() | {""}
    wheel = f"build/dist/{PACKAGE}-{__version__}-py3-none-any.whl"
    return name in (project["name"], wheel) and extras in known


@pytest.mark.parametrize("snippet", IN_A_SHELL, ids=str)
def test_a_shell_gets_what_the_sandbox_prints(
    snippet: Snippet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        ["bash"],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as shell:
        stdin, stdout = shell.stdin, shell.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            background, *lines = (line[2:] for line in snippet.text.splitlines())
            assert background.endswith("&")
            # The default port may be in use.
            print(background.replace("workato-sandbox", "workato-sandbox --port 0"), file=stdin, flush=True)
            ready = json.loads(stdout.readline())
            wait_until((tmp_path / "sandbox.json").read_text, what="the file")
            print(*lines, 'echo "$AIRFLOW_CONN_WORKATO_DEFAULT"', sep="\n", file=stdin, flush=True)
            monkeypatch.setenv("AIRFLOW_CONN_WORKATO_DEFAULT", stdout.readline().strip())
            hook = WorkatoConnectionsHook()
            assert hook.settings.token.reveal() == ready["token"]
            assert [connection["id"] for connection in hook.iter_connections()] == [36]
        finally:
            os.killpg(shell.pid, signal.SIGTERM)


@pytest.mark.parametrize("snippet", [one for one in ALONE if one not in IN_A_SHELL], ids=str)
def test_a_console_session_goes_as_shown(
    snippet: Snippet,
    sandbox: RunningSandbox,
    request: pytest.FixtureRequest,
) -> None:
    joined = snippet.text.replace("\\\n", " ")
    commands = [shlex.split(line[2:]) for line in joined.splitlines() if line.startswith("$ ")]
    assert commands
    for program, *words in commands:
        if program == "pip":
            test_a_command_is_one_that_there_is(shlex.join([program, *words]))
        elif program == "curl":
            url, body = next(word for word in words if word.startswith("localhost:")), words[-1]
            path = url.partition("/")[2]
            answer = requests.post(f"{sandbox.url}/{path}", json=json.loads(body), timeout=30)
            answer.raise_for_status()
        elif program == "export":
            # The page names the default port, the sandbox of the tests has another.
            local = [word.replace("http://127.0.0.1:8090", sandbox.url) for word in words]
            _check_environment(dict(word.split("=", 1) for word in local), sandbox)
        elif program == "airflow":
            request.getfixturevalue("airflow_db")
            subprocess.run([Path(sys.executable).with_name(program), *words], check=True)
        elif program == "workato":
            # tests/vendor runs it, in an environment that has it.
            assert words[0] == "connections"
        else:
            assert program == "workato-sandbox"
            with running_sandbox(*words) as process:
                shown = re.search(r"^\{.*\}$", snippet.text, re.MULTILINE)
                assert shown is not None
                assert all(word in shown[0] for word in ("url", "token", "airflow_conn"))
                assert process.url
                assert process.token
                assert process.airflow_conn


def _check_environment(variables: dict[str, str], sandbox: RunningSandbox) -> None:
    """Call the sandbox with the host and token of environment variables that a page shows."""
    sandbox.control.set_tokens(variables["WORKATO_API_TOKEN"])
    headers = {"Authorization": f"Bearer {variables['WORKATO_API_TOKEN']}"}
    url = f"{variables['WORKATO_HOST']}/api/connections"
    assert requests.get(url, headers=headers, timeout=30).status_code == 200
