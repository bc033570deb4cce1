#!/usr/bin/env bash
# Update the pinned versions of all environments: tools/constraints.sh (needs uv). Commit the changes once the tests pass.
set -euo pipefail
cd "$(dirname "$0")/.."

resolve() {
    local output=$1
    shift
    uv pip compile --quiet --universal --python-version 3.11 --upgrade \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links "$@" --output-file "constraints/$output"
}

pin() {
    local output=$1 pins=$2
    shift 2
    tr ' ' '\n' <<<"apache-airflow==$pins" | resolve "$output" --all-extras --constraint - "$@" pyproject.toml
}

pin airflow-3.3.txt 3.3.2 --group test --group lint --group cluster --group lineage --group executors --group browser
# Airflow 3.0 sets no upper bound for either. Newer ones refuse its tokens, or its bodies without a content type.
pin airflow-3.0.txt "3.0.6 pyjwt<2.11 fastapi<0.118" --group test --group cluster
pin airflow-3.1.txt 3.1.8 --group test --group cluster
# The bound of Airflow 3.3: newer versions of FastAPI cannot read the models of Airflow's API.
# With newer versions of svcs, dag.test() fails in Airflow 3.2 unless a JWT secret is set.
pin airflow-3.2.txt "3.2.2 fastapi<0.137 svcs<26.2" --group test --group cluster
# The patch releases of the matrix. Airflow 3.1.0 needs the bounds of 3.0, and cannot use newer versions of structlog.
pin airflow-3.0.0.txt "3.0.0 pyjwt<2.11 fastapi<0.118" --group test --group cluster
pin airflow-3.1.0.txt "3.1.0 pyjwt<2.11 fastapi<0.118 structlog<25.5" --group test --group cluster
pin airflow-3.2.0.txt "3.2.0 fastapi<0.137 svcs<26.2" --group test --group cluster
pin airflow-3.3.0.txt 3.3.0 --group test --group cluster
pin airflow-3.3.1.txt 3.3.1 --group test --group cluster
pin docs.txt 3.3.2 --group docs
pin bench.txt 3.3.2 --group bench --group cluster
pin airflow-2.11.txt 2.11.2 --group test --group cluster --group lineage
pin lowest.txt 2.11.0 --group test --resolution lowest-direct
resolve tools.txt --group tools
resolve vendor.txt --group vendor
