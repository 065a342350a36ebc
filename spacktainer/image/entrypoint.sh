#!/bin/sh
# Runs a command in the container's environment, with its arguments as they were given.
# shellcheck source=/dev/null
. /opt/spack-environment/environment.sh
exec "$@"
