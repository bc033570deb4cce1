"""The HTTP session: TLS, proxies, reading an answer in time, and libraries that mock HTTP."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import requests
import requests_mock
import responses
import vcr
from airflow.providers.common.compat.sdk import AirflowFailException
from vcr.errors import CannotOverwriteExistingCassetteException as CannotOverwriteError

from airflow_provider_workato.exceptions import (
    WorkatoAuthError,
    WorkatoNotFoundError,
    WorkatoResponseError,
    WorkatoServerError,
    WorkatoTLSError,
    WorkatoTransportError,
)
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.sandbox.client import running_sandbox
from tests.support.hook import Connect, create, hooked
from tests.support.listener import listening
from tests.support.raw import closed_port
from tests.support.sandbox import RunningSandbox
from tests.support.secrets import everything_shown
from tools.tls import self_signed

# Reading an answer


@pytest.mark.parametrize("fault", ["timeout", "slow_trickle"])
def test_an_answer_that_takes_too_long(connect: Connect, sandbox: RunningSandbox, fault: str) -> None:
    sandbox.control.add_fault(fault, times=None)
    with (
        hooked(connect, connect_timeout=0.3, read_timeout=0.5, retry_budget=0) as hook,
        pytest.raises(WorkatoTransportError, match=r"no complete answer within 0\.5 s") as caught,
    ):
        create(hook)
    assert caught.value.request_sent is True
    assert str(caught.value).endswith("raise 'Read timeout (s)' of Airflow connection 'workato_default'.")


def test_an_error_page_without_end(connect: Connect) -> None:
    with (
        listening(status=500, body=b'{"message": "' + b"x" * 10_000_000) as workato,
        hooked(connect, host=workato.url, retry_budget=0) as hook,
        pytest.raises(WorkatoServerError) as caught,
    ):
        hook.list_connections()
    assert len(str(caught.value)) < 2000


def test_compressed_answers(connect: Connect) -> None:
    packed = gzip.compress(b'[{"id": 7}]')
    with (
        listening(headers={"Content-Encoding": "gzip"}, body=packed) as workato,
        hooked(connect, host=workato.url, retry_budget=0) as hook,
    ):
        assert hook.list_connections() == [{"id": 7}]
        workato.body = b"[]"
        with pytest.raises(WorkatoTransportError):
            hook.list_connections()


# TLS


def test_an_unknown_certificate(connect: Connect, tmp_path: Path) -> None:
    with listening(certificate=self_signed(tmp_path / "server.pem")) as workato:
        with hooked(connect, host=workato.url) as hook, pytest.raises(WorkatoTLSError) as caught:
            create(hook)
        assert workato.heard == []
    assert caught.value.request_sent is False
    assert isinstance(caught.value, AirflowFailException)
    assert f"the certificate of {workato.url} is not trusted (self" in str(caught.value)
    assert "into 'Verify TLS' (extra verify) of Airflow connection 'workato_default'" in str(caught.value)


def test_a_certificate_for_another_host(connect: Connect, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path / "server.pem", address="127.0.0.2")
    with (
        listening(certificate=certificate) as workato,
        hooked(connect, host=workato.url, verify=str(certificate)) as hook,
        pytest.raises(WorkatoTLSError, match="IP address mismatch"),
    ):
        hook.list_connections()


def test_a_ca_bundle(connect: Connect, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path / "server.pem")
    with (
        listening(certificate=certificate) as workato,
        hooked(connect, host=workato.url, verify=str(certificate)) as hook,
    ):
        assert hook.list_connections() == []


def test_a_ca_bundle_of_the_environment(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path / "server.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with listening(certificate=certificate) as workato, hooked(connect, host=workato.url) as hook:
        assert hook.list_connections() == []


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_tls_without_verification(connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    with (
        listening(certificate=self_signed(tmp_path / "server.pem")) as workato,
        hooked(connect, host=workato.url, verify=False) as hook,
    ):
        assert hook.list_connections() == []


def test_tls_to_a_server_that_does_not_speak_it(connect: Connect, sandbox: RunningSandbox) -> None:
    url = sandbox.url.replace("http:", "https:")
    with hooked(connect, host=url) as hook, pytest.raises(WorkatoTLSError) as caught:
        create(hook)
    assert isinstance(caught.value, AirflowFailException)
    assert caught.value.request_sent is False
    assert "create_connection was not sent: the TLS handshake with https://127.0.0.1" in str(caught.value)
    assert "write http:// in front of 'Base URL' of Airflow connection 'workato_default'" in str(caught.value)


@contextmanager
def ending_handshakes(*, reset: bool) -> Iterator[tuple[str, list[bytes]]]:
    """Listen for TLS, and close each connection after the ClientHello."""
    heard: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            with line:
                heard.append(line.recv(65_536))
                if reset:
                    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.getsockname()[1]}", heard
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@pytest.mark.parametrize("reset", [True, False])
def test_a_handshake_that_breaks_sent_nothing(connect: Connect, reset: bool) -> None:
    """A create is retried after a broken handshake, because no byte of the request was sent."""
    with (
        ending_handshakes(reset=reset) as (url, heard),
        hooked(connect, host=url, retry_budget=1) as hook,
        pytest.raises(WorkatoTransportError, match="the request was not sent") as caught,
    ):
        create(hook)
    assert not isinstance(caught.value, WorkatoTLSError)
    assert caught.value.request_sent is False
    assert len(heard) > 1


def test_a_handshake_that_takes_too_long_sent_nothing(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://127.0.0.1:{mute.getsockname()[1]}"
        with (
            hooked(connect, host=url, connect_timeout=0.3, read_timeout=0.3, retry_budget=0) as hook,
            pytest.raises(
                WorkatoTransportError, match=r"no connection within 0\.3 s; the request was not sent"
            ),
        ):
            create(hook)


# Client certificates

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
CERTIFICATE = "'Client certificate' (extra client_certificate) of Airflow connection 'workato_default'"


@pytest.fixture
def verify(tmp_path: Path) -> str:
    """The server's certificate, and its own authority."""
    return str(self_signed(tmp_path / "server.pem"))


@pytest.mark.parametrize("newest", [TLS_1_2, TLS_1_3])
@pytest.mark.parametrize("files", [1, 2])
def test_a_client_certificate(
    connect: Connect, verify: str, tmp_path: Path, newest: ssl.TLSVersion, files: int
) -> None:
    given = {"client_certificate": str(self_signed(tmp_path / "client.pem"))}
    if files == 2:
        text = (tmp_path / "client.pem").read_text()
        begin = text.index("-----BEGIN PRIVATE KEY")
        (tmp_path / "client.crt").write_text(text[:begin])
        (tmp_path / "client.key").write_text(text[begin:])
        given = {
            "client_certificate": str(tmp_path / "client.crt"),
            "client_key": str(tmp_path / "client.key"),
        }
    with (
        listening(certificate=Path(verify), client_ca=tmp_path / "client.pem", newest_tls=newest) as workato,
        hooked(connect, host=workato.url, verify=verify, **given) as hook,
    ):
        assert hook.list_connections() == []
        assert hook.get_conn().get(workato.url, timeout=5).status_code == 200
    assert len(workato.heard) == 2


@pytest.mark.parametrize("newest", [TLS_1_2, TLS_1_3])
@pytest.mark.parametrize("given", ["none", "one that the server does not know", "an expired one"])
def test_a_client_certificate_that_is_refused(
    connect: Connect, verify: str, tmp_path: Path, newest: ssl.TLSVersion, given: str
) -> None:
    """From TLS 1.3 on, the refusal can be lost; the request then looks like one with a lost answer."""
    client = self_signed(tmp_path / "client.pem", expired=given.startswith("an expired"))
    known = client if given.startswith("an expired") else self_signed(tmp_path / "known.pem")
    fields = {} if given == "none" else {"client_certificate": str(client)}
    with listening(certificate=Path(verify), client_ca=known, newest_tls=newest) as workato:
        with (
            hooked(connect, host=workato.url, verify=verify, **fields) as hook,
            pytest.raises(WorkatoTLSError) as caught,
        ):
            create(hook)
        assert workato.heard == []
    assert (caught.value.operation, caught.value.request_sent) == ("create_connection", False)
    assert isinstance(caught.value, AirflowFailException)
    assert CERTIFICATE in str(caught.value)
    if given != "none":
        assert f"does not accept the client certificate in {str(client)!r}" in str(caught.value)
    elif newest is TLS_1_3:
        assert f"{workato.url} demands a client certificate. Put the path of one" in str(caught.value)


@pytest.mark.parametrize("given", [False, True])
def test_the_page_with_which_nginx_refuses_a_client_certificate(
    connect: Connect, sandbox: RunningSandbox, tmp_path: Path, given: bool
) -> None:
    said = "The SSL certificate error" if given else "No required SSL certificate was sent"
    page = f"<html>\r\n<head><title>400 {said}</title></head>\r\n<body>\r\n</body>\r\n</html>"
    fields = {"client_certificate": str(self_signed(tmp_path / "client.pem"))} if given else {}
    with (
        listening(status=400, headers={"Content-Type": "text/html"}, body=page.encode()) as workato,
        hooked(connect, host=workato.url, **fields) as hook,
        pytest.raises(WorkatoTLSError, match=f"create_connection was not carried out.* It said '{said}'"),
    ):
        create(hook)
    assert len(workato.heard) == 1


def test_a_connection_that_breaks_later_is_not_the_certificate(connect: Connect, tmp_path: Path) -> None:
    """A server that has answered once is not asked again what it has against the certificate."""
    certificate = self_signed(tmp_path / "server.pem")
    with running_sandbox("--no-quota", f"--certificate={certificate}") as process:
        fields = {"host": process.url, "password": process.token, "verify": str(certificate)}
        for answers in (0, 1):
            process.control.add_fault("reset_before_answer", skip=answers, times=None)
            with hooked(connect, **fields, retry_budget=0) as hook:
                for _ in range(answers):
                    hook.list_connections()
                with pytest.raises(WorkatoTransportError, match="got no answer") as caught:
                    create(hook)
            assert not isinstance(caught.value, WorkatoTLSError)
            assert caught.value.request_sent is True
            process.control.reset()


# Proxies and settings of the environment


@pytest.mark.parametrize("given", ["{url}", {"http": "{url}"}])
def test_the_proxy_is_used(connect: Connect, given: Any) -> None:
    with listening() as proxy:
        proxies = (
            given.format(url=proxy.url)
            if isinstance(given, str)
            else {key: value.format(url=proxy.url) for key, value in given.items()}
        )
        with hooked(connect, host="http://workato.example", allow_http=True, proxies=proxies) as hook:
            assert hook.list_connections() == []
    (heard,) = proxy.heard
    assert heard.path == "http://workato.example/api/connections"


def test_the_proxy_of_the_environment(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with hooked(connect, host="http://workato.example", allow_http=True) as hook:
            assert hook.list_connections() == []
            assert hook.list_connections() == []
    assert len(proxy.heard) == 2


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_no_proxy_of_the_environment_gets_the_token_of_a_local_sandbox(
    connect: Connect, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    url = sandbox.url.replace("127.0.0.1", name)
    with listening() as proxy, hooked(connect, host=url) as hook:
        behind(monkeypatch, proxy.url)
        assert [row["id"] for row in hook.list_connections()] == [36]
        assert hook.get_conn().get(f"{url}/api/connections", timeout=5).status_code == 200
    assert proxy.heard == []
    assert len(sandbox.control.requests()) == 2


def test_a_local_host_through_the_proxy_of_the_airflow_connection(connect: Connect) -> None:
    proxy = closed_port()
    with (
        hooked(connect, host="http://localhost:8090", proxies=proxy, retry_budget=0) as hook,
        pytest.raises(WorkatoTransportError, match=r"Check 'Base URL'.*'workato_default'\.$") as caught,
    ):
        hook.list_connections()
    assert f"through the proxy {proxy.removeprefix('http://')}: " in str(caught.value)
    assert "workato-sandbox" not in str(caught.value)


def test_an_unreachable_proxy_of_the_environment_is_named(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = closed_port()
    behind(monkeypatch, proxy.replace("http://", "http://user:pr0xy-passw0rd@"))
    with (
        hooked(connect, host="http://workato.example", allow_http=True, retry_budget=0) as hook,
        pytest.raises(WorkatoTransportError, match="and the environment variable http_proxy") as caught,
    ):
        hook.list_connections()
    assert f"through the proxy {proxy.removeprefix('http://')}: " in str(caught.value)
    assert "passw0rd" not in str(caught.value)


def behind(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """Set a proxy in the environment, for all hosts."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", proxy)


def test_a_proxy_that_is_down(connect: Connect) -> None:
    proxy = closed_port().replace("http://", "http://user:pr0xy-passw0rd@")
    with (
        hooked(connect, host="https://workato.example", proxies=proxy, retry_budget=0) as hook,
        pytest.raises(WorkatoTransportError, match="and 'Proxies' of Airflow connection") as caught,
    ):
        create(hook)
    assert caught.value.request_sent is False
    assert f"through the proxy {proxy.rpartition('@')[2]}: " in str(caught.value)
    assert "pr0xy-passw0rd" not in everything_shown(caught.value)


def test_netrc_does_not_replace_the_token(
    connect: Connect, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with listening() as workato, hooked(connect, host=workato.url) as hook:
        hook.list_connections()
        hook.get_conn().get(workato.url, timeout=5)
    assert [heard.headers["Authorization"] for heard in workato.heard] == [f"Bearer {sandbox.token}"] * 2


# Libraries with which users mock `requests`


URL = "https://www.workato.com/api/connections"
ROW = {"id": 7, "name": "A", "provider": "jira", "external_id": None}


@pytest.fixture
def nowhere(connect: Connect) -> Iterator[WorkatoConnectionsHook]:
    """A hook for a host that no test reaches."""
    with hooked(connect, host="https://www.workato.com", proxies=closed_port(), retry_budget=0) as hook:
        yield hook


def test_requests_mock(nowhere: WorkatoConnectionsHook) -> None:
    with requests_mock.Mocker() as mocked:
        mocked.get(URL, json=[ROW])
        mocked.post(URL, json=ROW)
        mocked.put(f"{URL}/7", status_code=302, headers={"Location": "https://elsewhere.example/"})
        mocked.delete(f"{URL}/7", status_code=404, json={"message": "Not found"})
        assert nowhere.list_connections() == [ROW]
        assert create(nowhere)["id"] == 7
        with pytest.raises(WorkatoResponseError, match=r"was redirected .* to elsewhere\.example"):
            nowhere.update_connection(7, name="B")
        with pytest.raises(WorkatoNotFoundError):
            nowhere.delete_connection(7)
        with pytest.raises(Exception, match="No mock address: GET"):
            nowhere.get_oauth_url(7)
    assert mocked.call_count == 5


def test_an_adapter_of_requests_mock(nowhere: WorkatoConnectionsHook) -> None:
    adapter = requests_mock.Adapter()
    adapter.register_uri("GET", URL, json=[ROW])
    nowhere.get_conn().mount("https://", adapter)
    assert nowhere.list_connections() == [ROW]


def test_responses(nowhere: WorkatoConnectionsHook) -> None:
    with responses.RequestsMock() as mocked:
        mocked.get(URL, json=[ROW])
        mocked.post(URL, json=ROW, headers={"Set-Cookie": "a=b"})
        mocked.get(URL, body=gzip.compress(b"[]"), headers={"Content-Encoding": "gzip"})
        assert nowhere.list_connections() == [ROW]
        assert create(nowhere)["id"] == 7
        assert nowhere.list_connections() == []
        with pytest.raises(WorkatoTransportError):
            nowhere.delete_connection(7)


def test_vcrpy(connect: Connect, sandbox: RunningSandbox, tmp_path: Path) -> None:
    recorder = vcr.VCR(filter_headers=["Authorization"], record_mode="once")
    with hooked(connect) as hook:
        for _ in range(2):
            with recorder.use_cassette(str(tmp_path / "cassette.yaml")):
                assert [row["id"] for row in hook.list_connections()] == [36]
                assert create(hook)["name"] == "A"
                with pytest.raises(WorkatoNotFoundError):
                    hook.update_connection(999, name="B")
        assert len(sandbox.control.requests()) == 3
        with recorder.use_cassette(str(tmp_path / "cassette.yaml")), pytest.raises(CannotOverwriteError):
            hook.delete_connection(36)
    assert len(sandbox.control.requests()) == 3


@pytest.mark.parametrize(
    "method", ["requests.Session.request", "requests.Session.send", "requests.adapters.HTTPAdapter.send"]
)
@pytest.mark.parametrize("status", [200, 401])
def test_a_patched_method(nowhere: WorkatoConnectionsHook, method: str, status: int) -> None:
    answer = requests.Response()
    answer.status_code = status
    answer._content = json.dumps([ROW] if status == 200 else {"message": "Unauthorized"}).encode()
    with mock.patch(method, return_value=answer) as patched:
        if status == 200:
            assert nowhere.list_connections() == [ROW]
        else:
            with pytest.raises(WorkatoAuthError):
                nowhere.list_connections()
    assert patched.call_count == 1
