#!/usr/bin/env bash
# Print a suitable Python interpreter: tools/find_python.sh WHAT MINORS
# WHAT is named in the error. MINORS are the accepted Python minor versions, e.g. "11 12 13". PYTHON=... names the interpreter.
set -euo pipefail

what=$1 minors=$2

serves() {
    # A version manager's shim can be on PATH although its Python is not installed, so run it.
    "$1" - "$minors" >/dev/null 2>&1 <<'PY'
import sys
sys.exit(not (sys.version_info[0] == 3 and str(sys.version_info[1]) in sys.argv[1].split()))
PY
}

candidates=(${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python})
if [[ -z ${PYTHON-} ]]; then
    # pyenv's interpreters are not on PATH until a shell or folder selects them.
    for minor in 14 13 12 11; do
        candidates+=("${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python)
    done
fi
for candidate in "${candidates[@]}"; do
    if serves "$candidate"; then
        echo "$candidate"
        exit
    fi
done
echo "$what needs Python 3.{${minors// /,}}, which was not found (looked for: ${PYTHON:-python3, python3.14 to python3.11 and the versions of pyenv})." \
    "Install it, or name an interpreter: make PYTHON=/path/to/python" >&2
exit 1
