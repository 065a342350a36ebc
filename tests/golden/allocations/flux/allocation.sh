#!/bin/bash
#flux: --job-name=jc-build
#flux: --nodes=16
# Whole nodes.
#flux: --exclusive
#flux: --time-limit=1440m
#flux: --output=/p/lustre1/me/corpus/allocation.log
#flux: --queue=pbatch
# Builds on 16 nodes. Submit it with: flux batch /p/lustre1/me/corpus/allocation.sh
set -eu
# shellcheck source=/dev/null
. /p/lustre1/me/corpus/setup.sh

# In the place of this shell, so that what the scheduler says to it is heard at once.
exec /home/me/venv/bin/python -m job_creator build /p/lustre1/me/corpus/locks --mirror=/p/lustre1/me/cache --cores=4
