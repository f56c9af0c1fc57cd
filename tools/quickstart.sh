#!/bin/bash
# What `make quickstart` runs: the recipe on generated data, then three sentences
# through the exported model, in a process that has seen no training.
#   PYTHON=.venv/bin/python RUNS=runs tools/quickstart.sh
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
RUN=${RUNS:-runs}/quickstart

"$PYTHON" -m pd_tf recipe --config=configs/recipes/quickstart.yaml \
  --run_dir="$RUN"

printf '\nThree sentences, classified by %s:\n' "$RUN/saved_model"
"$PYTHON" -m pd_tf predict --model="$RUN/saved_model" <<'TEXT'
The zipper of this jacket is superb .
I sent the radio back , the display is flimsy .
The kettle looks neat and the lid is sturdy .
TEXT

cat <<TEXT

Everything is in $RUN (of generated data, made for this):
  $RUN/report         the methods compared: table, plot, page
  $RUN/saved_model    the student, for TF Serving or hub.load
Next, the same with texts, labels and a teacher of your own: see README.md.
TEXT
