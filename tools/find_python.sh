#!/usr/bin/env bash
# Print an interpreter that may serve: tools/find_python.sh WHAT MINORS
# WHAT needs it. MINORS are the Python minor versions that may serve, e.g. "11 12 13"; PYTHON=... names an interpreter outright.
set -euo pipefail

what=$1 minors=$2

serves() {
    # A version manager's shim can be on PATH for a Python that is not there: only running it tells.
    "$1" - "$minors" >/dev/null 2>&1 <<'PY'
import sys
sys.exit(not (sys.version_info[0] == 3 and str(sys.version_info[1]) in sys.argv[1].split()))
PY
}

candidates=(${PYTHON:-python3 python3.13 python3.12 python3.11 python})
if [[ -z ${PYTHON-} ]]; then
    # pyenv keeps what it installed beside PATH until a shell or folder selects it.
    for minor in 13 12 11; do
        candidates+=("${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python)
    done
fi
for candidate in "${candidates[@]}"; do
    if serves "$candidate"; then
        echo "$candidate"
        exit
    fi
done
echo "$what needs Python 3.{${minors// /,}}, and none of '${PYTHON:-python3, python3.13, python3.12, python3.11}' is one, nor any of pyenv's." \
    "Install one, or name it: make PYTHON=/path/to/python" >&2
exit 1
