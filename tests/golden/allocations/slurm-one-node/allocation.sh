#!/bin/bash
#SBATCH --job-name=jc-build
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
# Whole nodes, with all of their memory.
#SBATCH --exclusive
#SBATCH --mem=0
# In minutes.
#SBATCH --time=360
#SBATCH --output=/p/lustre1/me/corpus/allocation.log
#SBATCH --open-mode=append
# Two minutes before that, so that builds can end properly; what they pushed stays, and the next run builds the rest.
#SBATCH --signal=B:TERM@120
# Builds on 1 node. Submit it with: sbatch --parsable /p/lustre1/me/corpus/allocation.sh
set -eu
# shellcheck source=/dev/null
. /p/lustre1/me/corpus/setup.sh

# In the place of this shell, so that what the scheduler says to it is heard at once.
exec /home/me/venv/bin/python -m job_creator build /p/lustre1/me/corpus/locks --mirror=/p/lustre1/me/cache --cores=4
