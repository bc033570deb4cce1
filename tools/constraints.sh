#!/usr/bin/env bash
# Pin anew what the environments install: tools/constraints.sh (needs uv). Commit what it changes after the tests passed.
set -euo pipefail
cd "$(dirname "$0")/.."

pin() {
    local output=$1 pins=$2 python=$3
    shift 3
    tr ' ' '\n' <<<"apache-airflow==$pins" | uv pip compile --quiet --universal --python-version "$python" --upgrade \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
        --all-extras --constraint - "$@" pyproject.toml --output-file "constraints/$output"
}

pin airflow-3.3.txt 3.3.2 3.11 --group test --group lint --group cluster --group celery
# Airflow 3.0 bounds neither: newer ones refuse its tokens, and its bodies without a content type.
pin airflow-3.0.txt "3.0.6 pyjwt<2.11 fastapi<0.118" 3.11 --group test --group cluster
pin airflow-3.1.txt 3.1.8 3.11 --group test --group cluster
# Bounded as Airflow 3.3 bounds it: newer ones cannot read the models of its API.
pin airflow-3.2.txt "3.2.2 fastapi<0.137" 3.11 --group test --group cluster
pin bench.txt 3.3.2 3.11 --group bench --group cluster
pin airflow-2.11.txt 2.11.2 3.11 --group test --group cluster
pin lowest.txt 2.11.0 3.11 --group test --resolution lowest-direct
