#!/bin/bash
#flux: --job-name=jc-build
#flux: --nodes=16
# Whole nodes.
#flux: --exclusive
#flux: --time-limit=30m
#flux: --output=/p/lustre1/me/corpus/allocation.log
# Builds on 16 nodes. Submit it with: flux batch /p/lustre1/me/corpus/allocation.sh
set -eu
# shellcheck source=/dev/null
. /p/lustre1/me/corpus/setup.sh

# A worker on each node, with all of its cores.
flux run --nodes=16 --label-io \
  bash /p/lustre1/me/corpus/worker.sh > /p/lustre1/me/corpus/workers.log 2>&1 &
workers=$!

# In the background, since a shell that waits for a program in front hears of signals only when that has ended.
/home/me/venv/bin/python -m job_creator build /p/lustre1/me/corpus/locks --mirror=/p/lustre1/me/cache --cores=4 &
build=$!
trap 'kill -TERM "$build"' TERM INT
code=0
wait "$build" || code=$?
# A signal ends the waiting, not the build.
while kill -0 "$build" 2> /dev/null; do
  code=0
  wait "$build" || code=$?
done

kill -TERM "$workers" 2> /dev/null || :
wait "$workers" || :
exit "$code"
