"""Proxies and CA bundles: where they come from, and this machine's mistakes, which no retry cures."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_workato.client.retries import is_ambiguous
from airflow_provider_workato.exceptions import WorkatoConfigurationError, WorkatoTransportError
from tests.support.hook import Connect, create, hooked
from tests.support.listener import listening
from tests.support.raw import closed_port
from tests.support.secrets import everything_shown
from tools.tls import self_signed

FIELD = "'Proxies' (extra proxies) of Airflow connection 'workato_default'"
ELSEWHERE: dict[str, Any] = {"host": "http://workato.example", "allow_http": True}


@pytest.fixture(autouse=True)
def _no_settings_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "no_proxy",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "requests_ca_bundle",
        "curl_ca_bundle",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def refusal(connect: Connect, **fields: Any) -> str:
    """Return the error of a create that was not sent and must not be retried."""
    with hooked(connect, **fields) as hook, pytest.raises(WorkatoConfigurationError) as caught:
        create(hook)
    assert isinstance(caught.value, AirflowFailException)
    assert caught.value.request_sent is False
    assert not is_ambiguous(caught.value)
    assert "pr0xy-passw0rd" not in everything_shown(caught.value)
    return str(caught.value)


# The CA bundle


def spoil(bundle: Path, how: str) -> None:
    """Spoil a CA bundle."""
    text = bundle.read_text()
    match how:
        case "gone":
            bundle.unlink()
        case "empty":
            bundle.write_text("")
        case "text":
            bundle.write_text("<html>Please log in.</html>")
        case "cut":
            bundle.write_text(text[:300])
        case "its last certificate cut":
            bundle.write_text(text + text[:300])
        case "no text":
            bundle.write_bytes(bytes(range(256)))


@pytest.mark.parametrize("how", ["gone", "empty", "text", "cut", "its last certificate cut", "no text"])
@pytest.mark.parametrize("source", ["field", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_ca_bundle_that_cannot_be_used(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, source: str
) -> None:
    bundle = tmp_path / "ca.pem"
    with listening(certificate=self_signed(tmp_path / "server.pem")) as workato:
        bundle.write_bytes((tmp_path / "server.pem").read_bytes())
        if source == "field":
            connect(host=workato.url, verify=str(bundle))
        else:
            connect(host=workato.url)
            monkeypatch.setenv(source, str(bundle))
        with hooked(lambda: None) as hook:
            settings = hook.settings  # as the Airflow connection was read before the file changed
            assert hook.list_connections() == []
            hook.close()
            spoil(bundle, how)
            with pytest.raises(WorkatoConfigurationError) as caught:
                create(hook)
        assert hook.settings is settings
        assert len(workato.heard) == 1
    said = str(caught.value)
    assert f"create_connection was not sent: the CA bundle {str(bundle)!r}" in said
    assert ("cannot be read (No such file" if how == "gone" else "has no certificate, or an inc") in said
    named = "'Verify TLS' (extra verify) of Airflow connection" if source == "field" else source
    assert f"its path in {'' if source == 'field' else 'the environment variable '}{named}" in said


def test_a_key_log_that_cannot_be_written(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path / "server.pem")
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "nowhere" / "keys.log"))
    with listening(certificate=certificate) as workato:
        said = refusal(connect, host=workato.url, verify=str(certificate))
        assert workato.heard == []
    assert "keys.log' cannot be used (No such file or directory)" in said
    assert "SSLKEYLOGFILE" in said


# The client certificate

ENCRYPTED = "has a passphrase, which the provider cannot enter"


@pytest.mark.parametrize(
    ("spoiled", "how", "problem"),
    [
        ("certificate", "gone", "cannot be read (No such file or directory)"),
        ("certificate", "empty", "has no certificate, or an incomplete one"),
        ("certificate", "no text", "has no certificate, or an incomplete one"),
        ("certificate", "cut", "has no certificate, or an incomplete one"),
        ("key", "gone", "cannot be read (No such file or directory)"),
        ("key", "empty", "has no key, or an incomplete one"),
        ("key", "no text", "has no key, or an incomplete one"),
        ("key", "of another", "belongs to another certificate"),
        ("key", "encrypted", ENCRYPTED),
    ],
)
def test_a_client_certificate_that_cannot_be_used(
    connect: Connect, tmp_path: Path, spoiled: str, how: str, problem: str
) -> None:
    paths = {"certificate": self_signed(tmp_path / "certificate.pem"), "key": tmp_path / "key.pem"}
    paths["key"].write_bytes(paths["certificate"].read_bytes())
    with listening(certificate=self_signed(tmp_path / "server.pem")) as workato:
        fields = {"client_certificate": str(paths["certificate"]), "client_key": str(paths["key"])}
        connect(host=workato.url, verify=str(tmp_path / "server.pem"), **fields)
        with hooked(lambda: None) as hook:
            assert hook.list_connections() == []
            hook.close()
            if how == "of another":
                self_signed(paths[spoiled])
            elif how == "encrypted":
                self_signed(paths[spoiled], passphrase="a passphrase")
            else:
                spoil(paths[spoiled], how)
            with pytest.raises(WorkatoConfigurationError) as caught:
                create(hook)
        assert len(workato.heard) == 1
    said = str(caught.value)
    assert (
        f"create_connection was not sent: the client {spoiled} in {str(paths[spoiled])!r} {problem}" in said
    )
    assert f"'Client {spoiled}' (extra client_{spoiled}) of Airflow connection 'workato_default'" in said


def test_a_passphrase_in_the_file_of_the_certificate(
    connect: Connect, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """OpenSSL would ask for it on the terminal."""
    client = self_signed(tmp_path / "client.pem", passphrase="a passphrase")
    with listening(certificate=self_signed(tmp_path / "server.pem")) as workato:
        said = refusal(
            connect, host=workato.url, verify=str(tmp_path / "server.pem"), client_certificate=str(client)
        )
        assert workato.heard == []
    assert f"the client key in {str(client)!r} {ENCRYPTED}" in said
    assert "'Client certificate' (extra client_certificate)" in said
    assert "phrase" not in "".join(capfd.readouterr())


# Proxies that cannot be used

WRONG_PROXIES = {
    "ftp://proxy:21": "must begin with one of http://, https://, socks4://",
    "htp://proxy:3128": "must begin with one of http://, https://, socks4://",
    "http://": "has no valid host",
    "http://:3128": "has no valid host",
    "http://user:pr0xy-passw0rd@": "has no valid host",
    "http://user:pr0xy-passw0rd@:3128": "has no valid host",
    "http://pro xy:3128": "has no valid host",
    "http://proxy..example:3128": "has no valid host",
    f"http://{'a' * 64}:3128": "has no valid host",
    "http://proxy:port": "is not a URL with a valid host and port",
    "http://proxy:99999": "is not a URL with a valid host and port",
    "http://proxy:0": "has port 0",
    "http://[::1:3128": "is not a URL with a valid host and port",
    "http://user:x#pr0xy-passw0rd@proxy:3128": "is not a URL with a valid host and port",
    "http://user:1/pr0xy-passw0rd@proxy:3128": "has a user or password with a special character",
}


@pytest.mark.parametrize("source", ["field", "http_proxy", "HTTP_PROXY", "all_proxy"])
@pytest.mark.parametrize(("proxy", "problem"), WRONG_PROXIES.items())
def test_a_proxy_that_cannot_be_used(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, source: str, proxy: str, problem: str
) -> None:
    if source == "field":
        said = refusal(connect, **ELSEWHERE, proxies=proxy)
        assert f"The proxy in {FIELD} {problem}" in said
    else:
        monkeypatch.setenv(source, proxy)
        said = refusal(connect, **ELSEWHERE)
        assert f"The proxy in the environment variable {source} {problem}" in said


@pytest.mark.skipif(importlib.util.find_spec("socks") is not None, reason="with PySocks, it is no mistake")
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy_needs_a_package(connect: Connect, scheme: str) -> None:
    said = refusal(connect, **ELSEWHERE, proxies=f"{scheme}://proxy:1080")
    assert f"The proxy in {FIELD} is a SOCKS proxy" in said
    assert "pip install 'requests[socks]'" in said


# Which proxy is used


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
@pytest.mark.parametrize("key", ["all", "http", "all://workato.example", "http://workato.example"])
def test_a_proxy_of_the_airflow_connection_wins_over_the_environment(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, name: str, key: str
) -> None:
    """Otherwise the token would pass another proxy than the one that was named for it."""
    with listening() as ours, listening() as theirs:
        monkeypatch.setenv(name, theirs.url)
        with hooked(connect, **ELSEWHERE, proxies={key: ours.url}) as hook:
            assert hook.list_connections() == []
            assert hook.get_conn().get("http://workato.example/api/connections", timeout=5).ok
    assert (len(ours.heard), len(theirs.heard)) == (2, 0)


@pytest.mark.parametrize(
    "proxies",
    [
        {"http": None},
        {"all": None},
        {"http": None, "all": "{proxy}"},
        {"no_proxy": "workato.example"},
        {"no_proxy": "127.0.0.1,.example", "http": "{proxy}"},
    ],
)
def test_no_proxy(connect: Connect, monkeypatch: pytest.MonkeyPatch, proxies: dict[str, str | None]) -> None:
    """As for requests; but ``no_proxy`` holds for the proxies beside it, too."""
    with listening() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        given = {name: url and url.format(proxy=proxy.url) for name, url in proxies.items()}
        with (
            hooked(connect, **ELSEWHERE, retry_budget=0, proxies=given) as hook,
            pytest.raises(WorkatoTransportError, match="the request was not sent") as caught,
        ):
            hook.list_connections()
    assert "through the proxy" not in str(caught.value)
    assert proxy.heard == []


def test_a_proxy_for_another_scheme_leaves_the_environments(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removeprefix("http://"))
        with hooked(connect, **ELSEWHERE, proxies={"https": closed_port()}) as hook:
            assert hook.list_connections() == []
    assert len(proxy.heard) == 1
