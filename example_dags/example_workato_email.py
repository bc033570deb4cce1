"""Create a connection for a user, ask the user by e-mail to log in, and wait for the login.

One task does all of it. It publishes the login URL, also as the button "Authorize" on its page, sends the
mail, and waits in the triggerer. A login that failed or was denied uses up the URL: the task then sends a new
one and keeps waiting, for three days at most. The tasks that follow receive the connection's id.

The next run sends no mail while the login works. If the login failed or was lost, it asks for a new one.

The mail goes out over the Airflow connection ``smtp_default``. Any other notifier works as well.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow import DAG
from airflow.providers.smtp.notifications.smtp import SmtpNotifier

from airflow_provider_workato.operators.connections import (
    WorkatoCreateRuntimeUserConnectionOperator,
    WorkatoGetPicklistOperator,
)

MAIL = """\
<p>Please <a href="{{ workato.url | e }}">log in to Salesforce</a> before
{{ workato.expires_at.strftime("%A, %H:%M UTC") }}, so that Workato can act in your name.</p>
{% if workato.reason %}<p>Your last login did not work: {{ workato.reason | e }}</p>{% endif %}
"""

with DAG(
    "example_workato_email",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # Otherwise two runs on different machines could both create the connection. A backfill has a limit
    # of its own: for one, also give the create a pool with one slot.
    max_active_runs=1,
    params={"parent_id": 36, "folder_id": 4515, "user": "grace@example.com"},
    description="Create a connection, e-mail its user, and wait for the login.",
    doc_md=__doc__,
    tags=["example", "workato"],
) as dag:
    login = WorkatoCreateRuntimeUserConnectionOperator(
        task_id="login",
        parent_id="{{ params.parent_id }}",
        folder_id="{{ params.folder_id }}",
        external_id="{{ params.user }}",
        name="Salesforce of {{ params.user }}",
        wait_for_authorization=True,
        notifiers=SmtpNotifier(
            to="{{ params.user }}", subject="Please log in to Salesforce", html_content=MAIL
        ),
        # After a Deny, send a new link.
        ask_again=True,
        deferrable=True,
        poke_interval=timedelta(seconds=5),
        timeout=timedelta(days=3),
    )
    objects = WorkatoGetPicklistOperator(
        task_id="objects", connection_id=login.output, pick_list_name="all_sobjects"
    )
