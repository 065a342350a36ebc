#!/bin/bash
# Runs in the builder image: installs what the lockfile says from the build cache, and lays out below /rootfs what the
# container gets.
#
#   install.sh [--secret NAME]... [--source-builds] [--no-check-signature] [--signed] [--from-host NAME]... -- PATH...
#
# --secret              name of a build secret; where the build has it, the installation, and nothing else, sees it as
#                       a variable of that name
# --source-builds       compile what the build cache lacks, instead of failing
# --no-check-signature  also install what nobody signed
# --signed              some mirror's signatures count: fail where no public key is trusted
# --from-host           name of a library that the host brings, as a pattern
# PATH                  where Spack puts software and views: absolute, and the same in the container
set -euo pipefail

environment=/opt/spack-environment
lock=$environment/spack.lock
mirrors=/opt/spacktainer/mirrors
files=/opt/spacktainer
rootfs=/rootfs
secrets=()
of_host=()
options=(--only-concrete --no-add --fail-fast --show-log-on-error)
binaries=--cache-only
signed=

while [ "$1" != -- ]; do
  case "$1" in
    --secret) secrets+=("$2"); shift ;;
    --source-builds) binaries=--use-cache ;;
    --no-check-signature) options+=(--no-check-signature) ;;
    --signed) signed=yes ;;
    --from-host) of_host+=("$2"); shift ;;
    *) echo "install.sh: unknown option $1" >&2; exit 2 ;;
  esac
  shift
done
shift

hashes() {
  python3 -c '
import json, sys
lock = json.load(open(sys.argv[1]))
print(sorted(root["hash"] for root in lock["roots"]), sorted(lock["concrete_specs"]))
' "$lock"
}

install_locked() (
  for name in "${secrets[@]}"; do
    if [ -f "/run/secrets/$name" ]; then
      declare -x "$name=$(< "/run/secrets/$name")"
    fi
  done
  spack --config-scope "$mirrors" --env "$environment" install "${options[@]}" "$binaries"
)

# Moves a path to the same place below /rootfs, once, with the folder that Spack keeps the content of a view in.
move() {
  local path=$1 content
  content=$(dirname "$path")/._$(basename "$path")
  if [ -e "$rootfs$path" ] || [ -L "$rootfs$path" ]; then
    return
  fi
  mkdir -p "$rootfs$(dirname "$path")"
  mv "$path" "$rootfs$path"
  [ ! -e "$content" ] || mv "$content" "$rootfs$content"
}

# With an empty key ring Spack installs signed packages unverified, and ends with 0.
if [ -n "$signed" ] && ! spack gpg list --trusted | grep '^pub ' > /dev/null; then
  echo "packages are read from mirrors whose signatures count, and the builder image trusts no public key" >&2
  exit 1
fi

before=$(hashes)
install_locked
# Build-only dependencies have done their work.
spack --env "$environment" gc --yes-to-all
spack --env "$environment" env view regenerate
if [ "$(hashes)" != "$before" ]; then
  echo "$lock: Spack changed the lockfile; it has to be made by the same Spack and the same spack.yaml" >&2
  exit 1
fi

python3 "$files/environment.py" "$environment" "$files/runtime_variables.json" > "$files/environment.sh"
install -m 755 "$files/entrypoint.sh" "$files/smoke_tests.sh" "$environment"
install -m 644 "$files/environment.sh" "$environment"
# Checkouts and artifacts may come with any mode.
chmod 644 "$environment/spack.yaml" "$lock"
[ ! -d "$environment/recipes" ] || chmod -R a+rX,go-w "$environment/recipes"
# What the programs find here, and the runtime image has to have as well.
python3 "$files/libraries.py" "${of_host[@]}" -- "$environment" "$@" > "$files/needed.sh"
chmod -R a+rX "$files"

# Sorted, so that a folder comes before what is in it.
printf '%s\n' "$environment" "$@" | LC_ALL=C sort -u | while read -r path; do
  move "$path"
done
# Of Spack's own files in the environment, only views are of use.
if [ -d "$rootfs$environment/.spack-env" ]; then
  find "$rootfs$environment/.spack-env" -mindepth 1 -maxdepth 1 ! -name view ! -name ._view -exec rm -r {} +
fi

# Login shells, and Apptainer: it reads all files of this folder, in the order of their names, and runs the test.
install -d "$rootfs/etc/profile.d" "$rootfs/.singularity.d/env"
ln -s "$environment/environment.sh" "$rootfs/etc/profile.d/spack-environment.sh"
ln -s "$environment/environment.sh" "$rootfs/.singularity.d/env/91-spack-environment.sh"
ln -s "$environment/smoke_tests.sh" "$rootfs/.singularity.d/test"

python3 "$files/reproducible.py" "$rootfs"
