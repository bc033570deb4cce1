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
echo "$venv: installing what $constraints pins. This takes about a minute, the first time longer."
create "$python"
pip=("$venv/bin/python" -m pip --disable-pip-version-check install -qq)

# uv takes a fifth of pip's time, and no settings from pip's files: hand on where to find packages. Unlike pip, it
# compiles nothing unless told to: with PYTHONDONTWRITEBYTECODE set, every process would compile all of Airflow anew.
uv=.venv-uv/bin/uv
setting() {
    "${pip[@]:0:3}" config get "global.$1" 2>/dev/null || true
}
with_uv() {
    if [[ ! -x $uv ]]; then
        "${pip[@]}" --upgrade --target .venv-uv --constraint constraints/tools.txt uv || return
    fi
    local index extra links
    index=${PIP_INDEX_URL:-$(setting index-url)} extra=${PIP_EXTRA_INDEX_URL:-$(setting extra-index-url)}
    links=${PIP_FIND_LINKS:-$(setting find-links)}
    env ${index:+UV_DEFAULT_INDEX="$index"} ${extra:+UV_INDEX="$extra"} ${links:+UV_FIND_LINKS="${links// /,}"} \
        UV_INDEX_STRATEGY=unsafe-best-match UV_NATIVE_TLS=true \
        "$uv" pip install --quiet --compile-bytecode --python "$venv/bin/python" "$@"
}

what=(--constraint "$constraints")
for group in "$@"; do
    what+=(--group "$group")
done
if grep -q '^apache-airflow==' "$constraints"; then
    what+=(--editable '.[sandbox]')
fi
if ! with_uv "${what[@]}"; then
    echo "uv cannot install $venv; trying pip, which takes longer." >&2
    # `--group` came with pip 25.1; an interpreter can bring an older one.
    "${pip[@]}" --constraint "$constraints" "pip>=25.1"
    "${pip[@]}" "${what[@]}"
fi
if grep -q '^apache-airflow==' "$constraints"; then
    airflow=", Airflow $("$venv/bin/python" -c 'from importlib.metadata import version; print(version("apache-airflow"))')"
fi
touch "$venv/.installed"
echo "$venv: $("$venv/bin/python" --version)${airflow-}"
