"""The vendor's OpenAPI description, as a check of answers."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import requests
import yaml
from jsonschema import Draft202012Validator, FormatChecker

SPEC = Path(__file__).parents[1] / "data" / "workato-connections.openapi.yaml"

_formats = FormatChecker(formats=())


@_formats.checks("date-time", raises=ValueError)
def _is_timestamp(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def _without_nullable(schema: Any) -> Any:
    """Say ``nullable`` of OpenAPI 3.0 in the words of JSON Schema."""
    if isinstance(schema, list):
        return [_without_nullable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    said = {key: _without_nullable(value) for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [said, {"type": "null"}]} if schema.get("nullable") is True else said


@cache
def _spec() -> dict[str, Any]:
    spec: dict[str, Any] = _without_nullable(yaml.safe_load(SPEC.read_text()))
    return spec


def violations(*, method: str, path: str, status: int, body: Any) -> list[str]:
    """Return what the description does not allow about an answer.

    :param method: HTTP method.
    :param path: path as the description writes it, ``/api/connections/{connection_id}``.
    :param status: HTTP status of the answer.
    :param body: JSON body of the answer.
    """
    spec = _spec()
    answers = spec["paths"][path][method.lower()]["responses"]
    if str(status) not in answers:
        return [f"status {status} is not documented for {method} {path}"]
    answer = answers[str(status)]
    if "$ref" in answer:
        answer = spec["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    if "content" not in answer:
        return []
    schema = {**answer["content"]["application/json"]["schema"], "components": spec["components"]}
    validator = Draft202012Validator(schema, format_checker=_formats)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(body)]


def assert_documented(response: requests.Response, *, path: str) -> Any:
    """Check an answer and return its body.

    :param response: the answer.
    :param path: path as the description writes it.
    """
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    method = str(response.request.method)
    assert violations(method=method, path=path, status=response.status_code, body=body) == []
    return body
