#!/bin/bash
#SBATCH --job-name=jc-build
#SBATCH --nodes=16
#SBATCH --ntasks-per-node=1
# Whole nodes, with all of their memory.
#SBATCH --exclusive
#SBATCH --mem=0
# In minutes.
#SBATCH --time=1440
#SBATCH --output=/p/lustre1/me/corpus/allocation.log
#SBATCH --open-mode=append
# Two minutes before that, so that builds can end properly; what they pushed stays, and the next run builds the rest.
#SBATCH --signal=B:TERM@120
#SBATCH --partition=pbatch
#SBATCH --account=me
# Builds on 16 nodes. Submit it with: sbatch --parsable /p/lustre1/me/corpus/allocation.sh
set -eu
# shellcheck source=/dev/null
. /p/lustre1/me/corpus/setup.sh

# A worker on each node, with all of its cores.
srun --ntasks-per-node=1 --cpus-per-task="$SLURM_CPUS_ON_NODE" --cpu-bind=none \
  bash /p/lustre1/me/corpus/worker.sh > /p/lustre1/me/corpus/workers.log 2>&1 &
workers=$!

# In the background, since a shell that waits for a program in front hears of signals only when that has ended.
/home/me/venv/bin/python -m job_creator build /p/lustre1/me/corpus/locks --mirror=/p/lustre1/me/cache --cores=4 '--container=/home/me/my tools.sif' --joined &
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
