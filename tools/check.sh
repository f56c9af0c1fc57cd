#!/bin/bash
# What to run before a change is sent, in a minute or two: style, types, floors,
# and the tests named as arguments (none: those of the floors alone).
#   tools/check.sh tests/data tests/modeling/bert_test.py
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}

"$PYTHON" -m ruff check .
"$PYTHON" -m mypy
"$PYTHON" -m pytest -m 'not slow and not real_data' tests/architecture_test.py "$@"
