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
This kettle has a quite splendid spout.
After a week, the zipper turned out to be flimsy.
Although the grip looks neat, I find the battery useless.
TEXT

cat <<TEXT

Everything is in $RUN (of generated data, made for this):
  $RUN/report         the methods compared: table, plot, page
  $RUN/saved_model    the student, for TF Serving or hub.load
Next, the same with texts, labels and a teacher of your own: see README.md.
TEXT
