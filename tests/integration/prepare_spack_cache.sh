#!/bin/bash
# Runs in a builder image, in a folder with an environment: compiles it from Debian's copies of the sources, which have
# the checksums that Spack's recipes want, and fills the build cache in /cache with it, signed.
set -eu
work=$PWD
mirror=$(awk '$1 == "deb" { print $2; exit }' /etc/apt/sources.list)
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
echo "deb-src $mirror $release main" > /etc/apt/sources.list.d/sources.list
apt-get -qq update

mkdir -p sources/download
cd sources/download
apt-get -qq source --download-only bzip2 libsigsegv
for file in *.orig.tar.[gx]z; do
  sum=$(sha256sum "$file" | cut -d' ' -f1)
  mkdir -p "../_source-cache/archive/${sum:0:2}"
  mv "$file" "../_source-cache/archive/${sum:0:2}/$sum.tar.${file##*.}"
done

spack gpg trust "$work/secret.asc"
spack --env "$work" concretize
spack --env "$work" install --no-cache --fail-fast --show-log-on-error
spack --env "$work" buildcache push --update-index cache
GNUPGHOME=/opt/spack/opt/spack/gpg gpgconf --kill all
