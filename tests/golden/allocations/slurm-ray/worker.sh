#!/bin/bash
# One node of the run: waits for the head, builds what it is given, and ends with the run.
set -eu
# shellcheck source=/dev/null
. /p/lustre1/me/corpus/setup.sh

# Address and token of the head are files in the folder of the run, which only you can read.
exec /home/me/venv/bin/python -m job_creator cluster join /p/lustre1/me/corpus/run
