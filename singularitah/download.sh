#!/bin/bash
# Runs in the first stage of the image: gets the package of the container tool and the sources of s3cmd, of the versions
# and with the checksums that the build arguments say, into the current folder.
set -euo pipefail

# The archive that has every version of every package, as Debian's images name it in a comment beside the mirror.
archive() {
  local found
  found=$(cat "${APT_FOLDER:-/etc/apt}"/sources.list "${APT_FOLDER:-/etc/apt}"/sources.list.d/* 2> /dev/null \
    | sed -nE 's,^#[[:space:]]*(https?://[^[:space:]]+/archive/[a-z]+)/[0-9]{8}T[0-9]{6}Z/?[[:space:]]*$,\1,p' | head -n 1)
  if [ -z "$found" ]; then
    echo "the base image names no archive of snapshots in its list of package sources: take an image of Debian, or say" \
      "'url' instead of 'snapshot' in the site file" >&2
    exit 2
  fi
  echo "$found"
}

get() {
  local file=$1 url=$2 sha256=$3
  curl --fail --silent --show-error --location --max-redirs 5 --retry 3 --output "$file" "$url"
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
tool=${CONTAINER_TOOL_URL:-$release/v$version/$package}
s3cmd=${S3CMD_URL:-https://github.com/s3tools/s3cmd/releases/download/v${S3CMD_VERSION:?}/s3cmd-$S3CMD_VERSION.tar.gz}
if [ -n "${CONTAINER_TOOL_SNAPSHOT-}${S3CMD_SNAPSHOT-}" ]; then
  found=$(archive)
  [ -z "${CONTAINER_TOOL_SNAPSHOT-}" ] || tool=$found/$CONTAINER_TOOL_SNAPSHOT
  [ -z "${S3CMD_SNAPSHOT-}" ] || s3cmd=$found/$S3CMD_SNAPSHOT
fi

get container-tool.deb "$tool" "${CONTAINER_TOOL_SHA256-}"
get s3cmd.tar.gz "$s3cmd" "${S3CMD_SHA256-}"
