#!/usr/bin/env bash
# One would guess: telling Airflow to mask one more value costs about the same, however many it knows already.
# What happens: each value makes it compile one pattern of all values anew, so the work grows with the square of their
# number: three times the values are nine times the pattern text. A task that registers each spelling of each
# credential of each tenant spends its time here.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq "apache-airflow==3.3.2"
export AIRFLOW_HOME="$work/airflow"

"$work/venv/bin/python" - <<'EOF'
import re
from importlib.metadata import version

from airflow.sdk._shared.secrets_masker import secrets_masker
from airflow.sdk.log import mask_secret


class Counting:
    """The module `re`, with a count of the characters that it compiles."""

    compiled = 0

    def __getattr__(self, name):
        return getattr(re, name)

    def compile(self, pattern, *flags):
        self.compiled += len(pattern)
        return re.compile(pattern, *flags)


print("Airflow", version("apache-airflow"))
work = []
for values in (10, 100, 300):
    secrets_masker.reset_secrets_masker()
    secrets_masker.re = counting = Counting()
    for number in range(values):
        mask_secret(f"one-of-{values:03}-credentials-{number:03}")
    print(f"{values:3} values: {counting.compiled:7} characters compiled")
    work.append(counting.compiled)
assert work[2] / work[1] > 8.5, work
EOF
# Seen:
#   Airflow 3.3.2
