#!/usr/bin/env bash
# One would guess: `msgspec.json.decode` reads whatever valid JSON the standard library reads, and "truncated" means
# that the end of an answer is missing.
# What happens: half of a surrogate pair, which services send that cut a text in the middle of an emoji, is
# refused with just that message, and so is a number beyond a double. A client that fetches a "truncated" answer again
# is given the same one for ever.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq "msgspec==0.22.0"

"$work/venv/bin/python" - <<'EOF'
import json

import msgspec

print("msgspec", msgspec.__version__)
for text, by_json, refusal in [
    (r'"cut here: \ud83d"', "cut here: \ud83d", "Input data was truncated"),
    ("1e400", float("inf"), "Number out of range"),
]:
    assert json.loads(text) == by_json
    try:
        msgspec.json.decode(text)
    except msgspec.MsgspecError as error:
        print(f"{text:18} json: {by_json!r:20} msgspec: {type(error).__name__}: {error}")
        assert str(error) == refusal
    else:
        raise AssertionError(f"msgspec reads {text}")
EOF
# Seen:
#   msgspec 0.22.0
#   "cut here: \ud83d" json: 'cut here: \ud83d'   msgspec: DecodeError: Input data was truncated
#   1e400              json: inf                  msgspec: ValidationError: Number out of range
