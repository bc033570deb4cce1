"""Credentials that cannot occur by chance, by the place that tasks read them from."""

from __future__ import annotations

import json

#: Airflow variables whose names Airflow's masker does not recognize as sensitive.
VARIABLES = {
    "colour": "§7ß",
    "shape": "q~Z",
    "size": "p%&9",
    "taste": "x'\"y!",
    "sound": "ö-\\n<w>",
    "smell": "k9{Tn+Lp",
    "touch": "f4n 'QX\" ü%41",
    "balance": "m{%4#z}",
    "sight": "5f2c9e7ab41d4f0c8e6b3a97d05c1e82b7460fd9",
}

#: A variable that is no credential. The DAG names its key as public.
PUBLIC = "globex-harbour"

#: A JSON variable; where Airflow renders native objects, it becomes numbers, lists and dicts.
_PIN, _SERIAL, _PHRASE = 731904638255190, 418527390624417, "ä quiet, crowded \\ shelf"
BUNDLE = {"word": "right", "pin": _PIN, "more": [{"serial": _SERIAL}, [_PHRASE]]}

#: Credentials in an Airflow connection. Airflow itself masks only the password.
_EXTRA = {"flavour": "h7#mQ", "grain": "Zr4-81fe-noisy-harbour-lantern"}
_LOGIN = "wQ8.sesame"
_PASSWORD = "vT6/open&sesame=1"

CONNECTION = {
    "conn_type": "generic",
    "host": "acme.example",
    "login": _LOGIN,
    "password": _PASSWORD,
    "extra": json.dumps(_EXTRA),
}

#: The beginning of what is in the Airflow connections of a set.
TENANT = "gR4%lan'tern&"


def tenant(number: int) -> dict[str, str]:
    """Return an Airflow connection of a set, of which Airflow itself masks only the password."""
    login, password, flavour = (f"{TENANT}{number}-{kind}" for kind in ("login", "password", "flavour"))
    return {
        "conn_type": "generic",
        "login": login,
        "password": password,
        "extra": json.dumps({"flavour": flavour}),
    }


SENTINELS = {
    **VARIABLES,
    **_EXTRA,
    "login": _LOGIN,
    "password": _PASSWORD,
    "pin": str(_PIN),
    "serial": str(_SERIAL),
    "phrase": _PHRASE,
    "tenant": TENANT,
}
