"""What must not be found: credentials no byte of which occurs by chance, by the place they are taken from."""

from __future__ import annotations

import json

#: Airflow variables with names that tell Airflow's masker nothing.
VARIABLES = {
    "colour": "§7ß",
    "shape": "q~Z",
    "size": "p%&9",
    "taste": "x'\"y!",
    "sound": "ö-\\n<w>",
    "smell": "k9{Tn+Lp",
    "touch": "f4n 'QX\" ü%41",
    "sight": "5f2c9e7ab41d4f0c8e6b3a97d05c1e82b7460fd9",
}

#: Credentials in an Airflow connection, none of them in its password.
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

SENTINELS = {**VARIABLES, **_EXTRA, "login": _LOGIN, "password": _PASSWORD}
