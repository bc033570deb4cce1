"""Pages of other sites, open in a browser on this machine, neither read nor change the sandbox."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_workato.sandbox.client import SandboxProcess, running_sandbox
from tests.support.sandbox import RunningSandbox

FOREIGN = {
    "cross-site": {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"},
    "another port of this machine": {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
    "an old browser": {"Origin": "http://evil.example"},
    "an old browser, another port": {"Origin": "http://127.0.0.1:1"},
    "a sandboxed frame": {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    "an old browser, a sandboxed frame": {"Origin": "null"},
    "a browser that hides the origin": {"Sec-Fetch-Site": "cross-site"},
}


def port(url: str) -> int:
    found = urlsplit(url).port
    assert found is not None
    return found


@pytest.mark.parametrize("path", ["", "sandbox/state", "api/connections", "connections/36"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}"])
def test_a_rebound_name_reads_nothing(sandbox: RunningSandbox, host: str, path: str) -> None:
    headers = {"Host": host.format(port=port(sandbox.url))}
    answer = sandbox.session.get(f"{sandbox.url}/{path}", headers=headers, timeout=30)
    assert answer.status_code == 400
    assert "--allowed-host NAME" in answer.text


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "127.0.0.1", "192.0.2.1", "[::1]", "[2001:db8::1]"]
)
@pytest.mark.parametrize("tail", ["", ":{port}"])
def test_names_of_this_machine(sandbox: RunningSandbox, host: str, tail: str) -> None:
    headers = {"Host": host + tail.format(port=port(sandbox.url))}
    assert requests.get(f"{sandbox.url}/sandbox/state", headers=headers, timeout=30).status_code == 200


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_another_site_changes_nothing(sandbox: RunningSandbox, headers: dict[str, str]) -> None:
    before = sandbox.control.state()
    for method, path in (
        ("POST", "reset"),
        ("POST", "connections/36/lose"),
        ("POST", "faults"),
        ("DELETE", "requests"),
    ):
        answer = requests.request(
            method, f"{sandbox.url}/sandbox/{path}", json={"fault": "forbidden"}, headers=headers, timeout=30
        )
        assert answer.status_code == 403
        assert "another site" in answer.json()["detail"]
    assert sandbox.control.state() == before
    assert sandbox.control.faults() == []


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("button", ["authorize", "fail", "lose", "delete"])
def test_another_site_presses_no_button(
    sandbox: RunningSandbox, headers: dict[str, str], button: str
) -> None:
    before = sandbox.control.state()
    answer = requests.post(f"{sandbox.url}/connections/36/{button}", headers=headers, timeout=30)
    assert answer.status_code == 403
    assert sandbox.control.state() == before


def test_another_site_gives_no_consent(sandbox: RunningSandbox) -> None:
    body = {"parent_id": 36, "folder_id": 4515, "external_id": "user@example.com"}
    data = sandbox.call("POST", "connections/runtime_user_connections", json=body).json()["data"]
    for headers in FOREIGN.values():
        assert requests.post(data["url"], headers=headers, timeout=30).status_code == 403
    assert sandbox.control.connection(data["id"])["authorization_status"] is None
    # The page itself may be opened from anywhere: Airflow links to it.
    opened = requests.get(data["url"], headers={"Sec-Fetch-Site": "cross-site"}, timeout=30)
    assert opened.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "{url}", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "{url}"},
        {},
    ],
    ids=str,
)
def test_own_pages_and_programs_may_write(sandbox: RunningSandbox, headers: dict[str, str]) -> None:
    sent = {name: value.format(url=sandbox.url) for name, value in headers.items()}
    answer = requests.post(f"{sandbox.url}/sandbox/connections/36/lose", headers=sent, timeout=30)
    assert answer.status_code == 200


def test_old_browsers_get_an_origin_to_send(sandbox: RunningSandbox) -> None:
    """With the policy ``no-referrer`` a browser sends ``Origin: null`` from the sandbox's own pages, too."""
    assert requests.get(sandbox.url, timeout=30).headers["referrer-policy"] == "same-origin"


@pytest.fixture(scope="module")
def remote() -> Iterator[SandboxProcess]:
    names = ("--allowed-host=Sandbox.internal", "--allowed-host=workato")
    with running_sandbox("--host=0.0.0.0", "--allow-remote", *names) as process:
        yield process


@pytest.mark.parametrize(
    "host", ["evil.example", "sandbox.internal.evil.example", "1.2.3.4.evil.example", "["]
)
def test_a_rebound_name_reads_nothing_of_a_remote_sandbox(remote: SandboxProcess, host: str) -> None:
    url = f"http://127.0.0.1:{port(remote.url)}/sandbox/state"
    assert requests.get(url, headers={"Host": host}, timeout=30).status_code == 400


def test_the_api_says_in_json_that_a_host_name_is_unknown(sandbox: RunningSandbox) -> None:
    # The provider quotes the message of JSON answers only.
    answer = requests.get(f"{sandbox.url}/api/connections", headers={"Host": "sandbox:8090"}, timeout=30)
    assert answer.status_code == 400
    assert "--allowed-host NAME" in answer.json()["message"]


def test_a_remote_sandbox_has_names_and_refuses_other_sites_all_the_same(remote: SandboxProcess) -> None:
    url = f"http://127.0.0.1:{port(remote.url)}/sandbox"
    for host in ("workato", "192.0.2.1:8090", "[2001:db8::1]:8090"):
        assert requests.get(f"{url}/state", headers={"Host": host}, timeout=30).status_code == 200
    named = {"Host": "sandbox.internal:8090"}
    assert requests.get(f"{url}/state", headers=named, timeout=30).status_code == 200
    own = {**named, "Origin": "http://sandbox.internal:8090"}
    assert requests.post(f"{url}/reset", headers=own, timeout=30).status_code == 200
    foreign = {**named, "Origin": "http://evil.example"}
    assert requests.post(f"{url}/reset", headers=foreign, timeout=30).status_code == 403


@pytest.mark.parametrize("host", ["::1", "127.0.0.2", "localhost"])
def test_the_address_listened_on_is_trusted(host: str) -> None:
    if host == "::1" and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with running_sandbox(f"--host={host}") as process:
        assert requests.get(f"{process.url}/sandbox/state", timeout=30).status_code == 200
        evil = {"Host": "evil.example"}
        assert requests.get(f"{process.url}/sandbox/state", headers=evil, timeout=30).status_code == 400
