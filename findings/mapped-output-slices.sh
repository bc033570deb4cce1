#!/usr/bin/env bash
# One would guess: what a task receives for `a.output.map(f)` or `a.output.concat(b.output)` is a sequence like any
# other, so a slice of it is a list of its items.
# What happens: a slice of `map()` calls the function once, with the slice of the unmapped items, and returns whatever
# that gives. A slice of `concat()` or `zip()` is a TypeError. Iterating works for all of them, but makes a call to
# Airflow for each item, where a slice of the plain output of mapped tasks makes one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq "apache-airflow==3.3.2"
export AIRFLOW_HOME="$work/airflow"

"$work/venv/bin/python" - <<'EOF'
from collections.abc import Sequence
from importlib.metadata import version

# What the public expressions resolve to on a worker.
from airflow.sdk.definitions.xcom_arg import _ConcatResult, _MapResult, _ZipResult

mapped = _MapResult([1, 2], [lambda number: number * 2])
print("Airflow", version("apache-airflow"))
print("map():", list(mapped), "but", mapped[:])
assert isinstance(mapped, Sequence)
assert list(mapped) == [2, 4]
assert mapped[:] == [1, 2, 1, 2]
for kind in (_ConcatResult, _ZipResult):
    both = kind([[1, 2], [3, 4]])
    assert isinstance(both, Sequence)
    try:
        both[:]
    except TypeError as error:
        print(f"{kind.__name__}: {list(both)} but {error}")
    else:
        raise AssertionError("a slice works")
EOF
# Seen:
#   Airflow 3.3.2
#   map(): [2, 4] but [1, 2, 1, 2]
#   _ConcatResult: [1, 2, 3, 4] but '>=' not supported between instances of 'slice' and 'int'
#   _ZipResult: [(1, 3), (2, 4)] but '>=' not supported between instances of 'slice' and 'int'
