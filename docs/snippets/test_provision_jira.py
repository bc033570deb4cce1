from dags.provision_jira import dag


def test_jira_is_provisioned(workato_sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_JIRA", "http://ada:a-token@acme.atlassian.net")
    assert dag.test().state == "success"
    created = workato_sandbox.control.connections()[-1]
    assert (created["name"], created["authorization_status"]) == ("Prod JIRA", "success")


def test_refused_credentials_fail_the_run(workato_sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_JIRA", "http://ada:wrong-credentials@acme.atlassian.net")
    assert dag.test().state == "failed"
