#!/bin/bash
# Runs in the first stage of the image: gets the package of the container tool and the sources of s3cmd, of the versions
# and with the checksums that the build arguments say, into the current folder.
set -euo pipefail

get() {
  local file=$1 url=$2 sha256=$3
  curl --fail --silent --show-error --location --retry 3 --output "$file" "$url"
  if [ -n "$sha256" ]; then
    echo "$sha256  $file" | sha256sum --check
  fi
}

version=${CONTAINER_TOOL_VERSION:?}
architecture=$(dpkg --print-architecture)
case "${CONTAINER_TOOL:?}" in
  apptainer)
    release=https://github.com/apptainer/apptainer/releases/download
    package=apptainer_${version}_$architecture.deb
    ;;
  singularity-ce)
    release=https://github.com/sylabs/singularity/releases/download
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    package=singularity-ce_$version-${codename}_$architecture.deb
    ;;
  *)
    echo "CONTAINER_TOOL: '$CONTAINER_TOOL' is neither apptainer nor singularity-ce" >&2
    exit 2
    ;;
esac
s3cmd=https://github.com/s3tools/s3cmd/releases/download/v${S3CMD_VERSION:?}/s3cmd-$S3CMD_VERSION.tar.gz

get container-tool.deb "${CONTAINER_TOOL_URL:-$release/v$version/$package}" "$CONTAINER_TOOL_SHA256"
get s3cmd.tar.gz "${S3CMD_URL:-$s3cmd}" "$S3CMD_SHA256"
