"""The command ``workato-sandbox``."""

from __future__ import annotations

import argparse
import asyncio
import errno
import ipaddress
import json
import os
import re
import secrets
import signal
import socket
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

from airflow_provider_workato import __version__

_EPILOG = """\
When it is ready, the sandbox prints one line of JSON to standard output: url, token, and airflow_conn, the
value for AIRFLOW_CONN_WORKATO_DEFAULT. Open url in a browser to see the workspace. Everything else goes to
standard error.

The control API at <url>/sandbox/ needs no token. It seeds, breaks and watches the sandbox.
"""


_PORT_ERRORS = (errno.EADDRINUSE, errno.EACCES)


def _positive(text: str) -> int:
    number = _whole_number(text)
    if number is None or number < 1:
        raise argparse.ArgumentTypeError(
            "must be a whole number of at least 1; --no-quota turns the quotas off"
        )
    return number


def _port(text: str) -> int:
    number = _whole_number(text)
    # The resolver accepts a greater number and drops what exceeds 16 bits.
    if number is None or not 0 <= number <= 65_535:
        raise argparse.ArgumentTypeError("must be a whole number from 0 to 65535; 0 takes any free port")
    return number


def _host_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+", text):
        raise argparse.ArgumentTypeError(
            "must be a host name without scheme and port, such as sandbox; addresses need no permission"
        )
    return text


def _certificate(path: str) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, password="")
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f"must be a PEM file with a certificate and its key, without a passphrase; {path}: "
            f"{error.strerror}"
        ) from error
    return str(Path(path).absolute())


def _whole_number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="workato-sandbox",
        description="A Workato to develop against without an account; its state is in memory.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=_port, default=8090, help="port; 0 takes any free port (default: %(default)s)"
    )
    parser.add_argument("--token", help="API token to accept (default: a random token)")
    parser.add_argument(
        "--list-per-minute",
        type=_positive,
        default=60,
        metavar="N",
        help="quota of the list (default: %(default)s)",
    )
    parser.add_argument(
        "--calls-per-second",
        type=_positive,
        default=1,
        metavar="N",
        help="quota shared by all other connection endpoints (default: %(default)s)",
    )
    parser.add_argument("--no-quota", action="store_true", help="no quotas")
    parser.add_argument(
        "--any-provider",
        action="store_true",
        help="accept every provider name, not only those of known connectors and custom ones",
    )
    parser.add_argument(
        "--allow-remote",
        action="store_true",
        help="listen on an address that other machines can reach, although the control API needs no token",
    )
    parser.add_argument(
        "--allowed-host",
        type=_host_name,
        action="append",
        default=[],
        metavar="NAME",
        help="a host name to accept, beside localhost and that of --host (can be repeated)",
    )
    parser.add_argument(
        "--certificate",
        type=_certificate,
        metavar="FILE",
        help="speak https with the certificate and key in this PEM file",
    )
    parser.add_argument(
        "--exit-with-stdin",
        action="store_true",
        help="end when standard input ends, for programs that start the sandbox",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sandbox until it receives SIGINT or SIGTERM.

    :param argv: the arguments, by default those of the process.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if not options.allow_remote and not _is_loopback(options.host):
        parser.error(f"--host {options.host} is not a loopback address; --allow-remote permits it")
    try:
        from airflow_provider_workato.sandbox.sandbox import Sandbox
        from airflow_provider_workato.sandbox.server import serve
        from airflow_provider_workato.sandbox.traffic import QuotaLimits
    except ModuleNotFoundError as error:
        parser.exit(1, f"{error}; install airflow-provider-workato[sandbox]\n")
    limits = QuotaLimits(list_per_minute=options.list_per_minute, calls_per_second=options.calls_per_second)
    if options.no_quota:
        limits = QuotaLimits(list_per_minute=None, calls_per_second=None)
    try:
        listener = _listen(host=options.host, port=options.port)
    except OSError as error:
        advice = (
            "; choose another port with --port, or 0 for any free port" if error.errno in _PORT_ERRORS else ""
        )
        parser.exit(1, f"cannot listen on {options.host} port {options.port}: {error.strerror}{advice}\n")
    token = options.token or f"sandbox-{secrets.token_urlsafe(24)}"

    # uvicorn raises the signal that ended it again when it is done. With a handler of our own the process
    # then exits with 0 instead of being killed by that signal.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)

    def announce() -> None:
        host, port = listener.getsockname()[:2]
        scheme = "https" if options.certificate else "http"
        url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
        connection: dict[str, object] = {"conn_type": "workato", "host": url, "password": token}
        if options.certificate:
            connection["extra"] = {"verify": options.certificate}
        ready = {"url": url, "token": token, "airflow_conn": json.dumps(connection)}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()

    asyncio.run(
        serve(
            listener=listener,
            sandbox=Sandbox(token=token, limits=limits, any_provider=options.any_provider),
            hosts=[options.host, *options.allowed_host],
            on_ready=announce,
            exit_with_stdin=options.exit_with_stdin,
            certificate=options.certificate,
        )
    )
    return os.EX_OK


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(*, host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
