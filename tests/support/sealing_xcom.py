"""An XCom backend that cannot read what it did not write, as one that encrypts."""

from __future__ import annotations

import json
from typing import Any

try:
    from airflow.sdk.bases.xcom import BaseXCom
except ImportError:
    from airflow.models.xcom import BaseXCom  # type: ignore[no-redef]

_SEAL = "sealed:"


class SealingXCom(BaseXCom):
    """Puts a seal on each value, and reads only values with the seal."""

    @staticmethod
    def serialize_value(value: Any, **_: Any) -> Any:
        """Seal a value."""
        return BaseXCom.serialize_value(_SEAL + json.dumps(value))

    @staticmethod
    def deserialize_value(result: Any) -> Any:
        """Return a sealed value."""
        text = BaseXCom.deserialize_value(result)
        if not isinstance(text, str) or not text.startswith(_SEAL):
            raise ValueError("not sealed by this backend")
        return json.loads(text.removeprefix(_SEAL))
