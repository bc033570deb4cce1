"""The command: how it starts, what it says, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.sandbox import cli
from airflow_provider_workato.sandbox.client import (
    SandboxControl,
    SandboxProcess,
    running_sandbox,
    wait_until,
)
from tests.support.raw import sent
from tools.tls import self_signed

COMMAND = [sys.executable, "-m", "airflow_provider_workato.sandbox"]


@contextmanager
def started(*args: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    process = subprocess.Popen(
        [*COMMAND, "--port=0", *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        stdout = process.stdout
        assert stdout is not None
        yield process, json.loads(stdout.readline())
    finally:
        process.kill()
        process.communicate()


def test_the_ready_line() -> None:
    with started("--token=t0ken") as (process, ready):
        assert set(ready) == {"url", "token", "airflow_conn"}
        assert ready["token"] == "t0ken"
        assert json.loads(ready["airflow_conn"]) == {
            "conn_type": "workato",
            "host": ready["url"],
            "password": "t0ken",
        }
        headers = {"Authorization": "Bearer t0ken"}
        assert requests.get(f"{ready['url']}/api/connections", headers=headers, timeout=30).status_code == 200
        process.terminate()
        rest, stderr = process.communicate(timeout=30)
        assert (rest, stderr) == ("", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_in_good_order(number: signal.Signals) -> None:
    with started() as (process, _):
        process.send_signal(number)
        assert process.wait(timeout=30) == 0


def test_a_call_being_held_does_not_keep_it() -> None:
    with started("--no-quota") as (process, ready):
        control = SandboxControl(ready["url"])
        control.add_fault("hold")
        with sent(ready["url"], token=ready["token"], method="GET", path="/api/connections"):
            control.wait_held()
            process.terminate()
            assert process.wait(timeout=30) == 0


def test_tokens_differ() -> None:
    with running_sandbox() as one, running_sandbox() as other:
        assert one.token != other.token
        assert one.url != other.url


def test_it_ends_with_the_process_that_started_it() -> None:
    program = (
        "from airflow_provider_workato.sandbox.client import SandboxProcess\n"
        "import os\n"
        "sandbox = SandboxProcess()\n"
        "sandbox.start()\n"
        "print(sandbox.url, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    starter = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60
    )
    assert starter.returncode == -signal.SIGKILL
    url = starter.stdout.strip()
    wait_until(lambda: not _is_answering(url), what="the end of the sandbox")


def _is_answering(url: str) -> bool:
    try:
        requests.get(url, timeout=5)
    except requests.ConnectionError:
        return False
    return True


def test_it_reads_on_from_stdin_until_its_end() -> None:
    process = subprocess.Popen(
        [*COMMAND, "--port=0", "--exit-with-stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None
    url = json.loads(stdout.readline())["url"]
    stdin.write("something\n")
    stdin.flush()
    assert requests.get(url, timeout=30).status_code == 200
    stdin.close()
    assert process.wait(timeout=30) == 0
    stdout.close()


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    text = capsys.readouterr().out
    for option in ("--host", "--port", "--token", "--list-per-minute", "--calls-per-second", "--no-quota"):
        assert option in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"workato-sandbox {version('airflow-provider-workato')}\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--host=0.0.0.0"], "not a loopback address; --allow-remote permits it"),
        (["--host=example.com"], "not a loopback address"),
        (["--list-per-minute=0"], "--list-per-minute: must be a whole number of at least 1"),
        (["--calls-per-second=x"], "--calls-per-second: must be a whole number of at least 1"),
        (["--port=99999"], "--port: must be a whole number from 0 to 65535"),
        (["--port=-1"], "--port: must be a whole number from 0 to 65535"),
        (["--port=http"], "--port: must be a whole number from 0 to 65535"),
        (["--port="], "--port: must be a whole number from 0 to 65535"),
        (["--allowed-host=vm:8090"], "--allowed-host: must be a host name without scheme and port"),
        (
            ["--certificate=nowhere.pem"],
            "--certificate: must be a PEM file with a certificate and its key, without",
        ),
        (["--allowed-host=http://vm"], "--allowed-host: must be a host name without scheme and port"),
        (["--host=256.1.1.1", "--allow-remote"], "cannot listen on 256.1.1.1"),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], argv: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    assert caught.value.code
    assert message in capsys.readouterr().err


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SystemExit, match="1"):
            cli.main([f"--port={port}"])
    message = f"cannot listen on 127.0.0.1 port {port}: Address already in use; choose another port"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "::1"])
def test_other_loopback_addresses(host: str) -> None:
    if host == "::1" and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with running_sandbox(f"--host={host}") as process:
        assert requests.get(process.url, timeout=30).status_code == 200


def test_remote_on_demand() -> None:
    with running_sandbox("--host=0.0.0.0", "--allow-remote") as process:
        assert process.url.startswith("http://0.0.0.0:")


def test_any_provider() -> None:
    with running_sandbox("--any-provider") as process:
        headers = {"Authorization": f"Bearer {process.token}"}

        def create(provider: str) -> int:
            body = {"name": "n", "provider": provider}
            url = f"{process.url}/api/connections"
            return requests.post(url, json=body, headers=headers, timeout=30).status_code

        process.control.set_quota(calls_per_second="off")
        assert [create("jirra"), create("brand_new"), create("Not a name!")] == [200, 200, 400]


def test_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path / "server.pem")
    monkeypatch.chdir(tmp_path)
    with running_sandbox("--certificate=server.pem") as process:
        assert process.url.startswith("https://")
        assert json.loads(process.airflow_conn)["extra"] == {"verify": str(certificate)}
        monkeypatch.setenv("AIRFLOW_CONN_WORKATO_DEFAULT", process.airflow_conn)
        with closing(WorkatoConnectionsHook()) as hook:
            made = hook.create_runtime_user_connection(parent_id=36, folder_id=4515, external_id="ada")
        url = str(made["url"])
        assert url.startswith(process.url)
        assert process.control.click_authorize(url) == 200
        assert process.control.connection(made["id"])["authorization_status"] == "success"


def test_without_the_extra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow_provider_workato.sandbox.server", None)
    with pytest.raises(SystemExit, match="1"):
        cli.main(["--port=0"])
    assert "install airflow-provider-workato[sandbox]" in capsys.readouterr().err


class TestProcess:
    def test_stop_twice(self) -> None:
        process = SandboxProcess()
        assert process.stop() is None
        assert (process.pid, process.stderr) == (None, "")
        process.start()
        pid = process.pid
        assert pid is not None
        assert process.stop() == process.stop() == 0
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    def test_one_that_does_not_start(self) -> None:
        with pytest.raises(
            RuntimeError, match=r"(?s)did not start \(exit code 2\).*--allow-remote permits it"
        ):
            SandboxProcess("--host=0.0.0.0").start()

    def test_one_that_is_late(self) -> None:
        with pytest.raises(RuntimeError, match="did not start"):
            SandboxProcess(deadline=0.0).start()

    def test_airflow_is_not_imported(self) -> None:
        program = (
            "import sys\n"
            "from airflow_provider_workato.sandbox import cli, client, server\n"
            "assert not [name for name in sys.modules if name.split('.')[0] == 'airflow'], 'airflow'\n"
            "assert 'requests' not in sys.modules, 'requests'\n"
        )
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
