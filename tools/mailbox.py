"""A mail server that keeps what it receives, for examples that send mail."""

from __future__ import annotations

import email
import html
import json
import re
import socketserver
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import policy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

    from airflow_provider_workato.sandbox.client import SandboxControl


@dataclass(kw_only=True)
class Mailbox:
    """The mails received, oldest first.

    :param port: the port of the server on 127.0.0.1.
    """

    port: int
    mails: list[EmailMessage] = field(default_factory=list)

    def body(self, number: int) -> str:
        """Return the HTML of a mail.

        :param number: its position, 0 for the oldest.
        """
        parts = {part.get_content_type(): part for part in self.mails[number].walk()}
        return str(parts["text/html"].get_content())

    def text(self, number: int) -> str:
        """Return what a person reads in a mail: recipient, subject, and the text with the links' addresses.

        :param number: its position, 0 for the oldest.
        """
        mail = self.mails[number]
        linked = re.sub(r'<a href="([^"]+)">(.*?)</a>', r"\2 ( \1 )", self.body(number), flags=re.DOTALL)
        paragraphs = re.split(r"</?p>|<br */?>", linked)
        plain = [" ".join(html.unescape(re.sub(r"<[^>]*>", "", each)).split()) for each in paragraphs]
        return "\n  ".join([f"Mail to {mail['to']}: {mail['subject']}", *filter(None, plain)])

    def link(self, number: int) -> str:
        """Return the first link in a mail.

        :param number: its position, 0 for the oldest.
        """
        return html.unescape(re.findall(r'href="([^"]+)"', self.body(number))[0])

    @property
    def airflow_conn(self) -> str:
        """The Airflow connection to the server, as JSON."""
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.com"}
        return json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": self.port, "extra": extra})


class MailReader:
    """A person who clicks on the consent page to which each mail links.

    The answer to the first mail is Deny, so that another one follows.

    :param mailbox: the mails.
    :param control: the workspace with the consent page.
    """

    def __init__(self, mailbox: Mailbox, *, control: SandboxControl) -> None:
        self._mailbox = mailbox
        self._control = control
        self._read = 0

    def look(self) -> None:
        """Answer the mails that are new."""
        while len(self._mailbox.mails) > self._read:
            click = self._control.click_authorize if self._read else self._control.click_deny
            click(self._mailbox.link(self._read))
            self._read += 1


@contextmanager
def running_mailbox() -> Iterator[Mailbox]:
    """Receive mail on a free port while the block runs."""

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 mailbox")
            while line := self.rfile.readline():
                command = line[:4].upper().strip()
                if command == b"DATA":
                    self._say("354 go on")
                    mailbox.mails.append(self._mail())
                self._say("221 bye" if command == b"QUIT" else "250 ok")
                if command == b"QUIT":
                    return

        def _mail(self) -> EmailMessage:
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                # A line that starts with a dot arrives with a second one.
                lines.append(line.removeprefix(b"."))
            return email.message_from_bytes(b"".join(lines), policy=policy.default)

        def _say(self, reply: str) -> None:
            self.wfile.write(f"{reply}\r\n".encode())

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Session) as server:
        mailbox = Mailbox(port=server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield mailbox
        finally:
            server.shutdown()
            thread.join()
