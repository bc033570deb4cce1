#!/usr/bin/env bash
# Create a pinned virtual environment with the package: tools/venv.sh DIRECTORY CONSTRAINTS MINORS GROUP...
# MINORS are the accepted Python minor versions, e.g. "11 12 13". Without Airflow in CONSTRAINTS, the package is left out.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$1 constraints=$2 minors=$3
shift 3

create() {
    local python=$1
    rm -rf "$venv"
    # Debian's Python has no ensurepip unless python3-venv is installed.
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv "$venv"
    elif "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m venv --without-pip "$venv"
        "$python" -m pip -qq --python "$venv/bin/python" install pip
    elif "$python" -m virtualenv --version >/dev/null 2>&1; then
        "$python" -m virtualenv --quiet "$venv"
    else
        echo "$("$python" --version) cannot create virtual environments: it lacks ensurepip." \
            "On Debian or Ubuntu: apt-get install python3-venv" >&2
        return 1
    fi
}

python=$(tools/find_python.sh "$venv" "$minors")
create "$python"
pip=("$venv/bin/python" -m pip --disable-pip-version-check install -qq --constraint "$constraints")
# `--group` came with pip 25.1; an interpreter can bring an older one.
"${pip[@]}" "pip>=25.1"
groups=()
for group in "$@"; do
    groups+=(--group "$group")
done
if grep -q '^apache-airflow==' "$constraints"; then
    "${pip[@]}" --editable '.[sandbox]' "${groups[@]}"
    airflow=", Airflow $("$venv/bin/python" -c 'from importlib.metadata import version; print(version("apache-airflow"))')"
else
    "${pip[@]}" "${groups[@]}"
fi
touch "$venv/.installed"
echo "$venv: $("$venv/bin/python" --version)${airflow-}"
