"""The mail server of ``make ui`` and the examples."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage

from tools.mailbox import running_mailbox

MAIL = """\
<p>Please <a href="http://127.0.0.1:8090/consent?a=1&amp;b=2">log
in</a> before noon.</p>
<p>Your last login did not work: &lt;denied&gt;</p>
"""


def test_what_a_person_reads() -> None:
    mail = EmailMessage()
    mail["To"], mail["From"], mail["Subject"] = "ada@example.com", "airflow@example.com", "Please log in"
    mail.set_content(MAIL, subtype="html")
    with running_mailbox() as mailbox:
        with smtplib.SMTP("127.0.0.1", mailbox.port) as line:
            line.send_message(mail)
        assert mailbox.text(0) == (
            "Mail to ada@example.com: Please log in\n"
            "  Please log in ( http://127.0.0.1:8090/consent?a=1&b=2 ) before noon.\n"
            "  Your last login did not work: <denied>"
        )
        assert mailbox.link(0) == "http://127.0.0.1:8090/consent?a=1&b=2"
