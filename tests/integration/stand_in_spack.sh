#!/bin/bash
# Stands for Spack in the tests of container images: installs what a lockfile says from a folder of "binaries", or
# "compiles" it where it may.
set -eu
echo "spack $*" >&2
environment=/opt/spack-environment
store=/opt/software
view=/opt/view

hashes() {
  python3 -c 'import json; print(*json.load(open("/opt/spack-environment/spack.lock"))["concrete_specs"])'
}

install_one() {
  local prefix=$store/$1
  mkdir -p "$prefix/bin" "$prefix/share"
  # What it was given, but not the thing itself.
  printf '%s' "${KEY_ID:-}:${KEY_SECRET:-}" | sha256sum > "$prefix/share/credentials.sha256"
  printf '#!/bin/sh\necho "%s" "$#" "$@"\n' "$1" > "$prefix/bin/$1"
  chmod 755 "$prefix/bin/$1"
  [ ! -d "/opt/binaries/$1" ] || cp -R "/opt/binaries/$1/." "$prefix"
  mkdir -p "$prefix/.spack"
  printf '{"total":%s,"name":"%s","cache":true}' "$EPOCHREALTIME" "$1" > "$prefix/.spack/install_times.json"
}

case " $* " in
  *" gpg list --trusted "*) [ -e /opt/trusts-nobody ] || echo "pub   rsa4096 2026-01-01 [SC]" ;;
  *" install "*)
    test -f /opt/spacktainer/mirrors/mirrors.yaml
    if grep -q /opt/more-tools "$environment/spack.yaml"; then
      # The mirror that the environment names is read beside those of the site.
      for mirror in https://community.example.org/cache s3://cache-amd64; do
        grep -q "$mirror" /opt/spacktainer/mirrors/mirrors.yaml
      done
    fi
    for hash in $(hashes); do
      if [ -e "/opt/binaries/$hash" ]; then
        echo "$hash comes from the build cache" >&2
      elif [[ " $* " == *" --cache-only "* ]]; then
        echo "No binary for $hash found when cache-only specified" >&2
        exit 1
      else
        echo "$hash is compiled" >&2
      fi
      install_one "$hash"
    done
    mkdir -p "$store/build-tool" "$store/.spack-db" "$environment/.spack-env/logs"
    # As Spack's own: no two installations of the same write the same.
    { shuf --echo a b c d e f g h | xargs printf '"%s": {"installation_time": 1764277200.25},'; } \
      | sed "s/^/{\"database\": {\"installs\": {/; s/\.25/.$RANDOM/g; s/,$/}}}/" > "$store/.spack-db/index.json"
    cat /proc/sys/kernel/random/uuid > "$store/.spack-db/index_verifier"
    touch "$environment/.spack-env/transaction_lock"
    ;;
  *" gc "*) rm -r "$store/build-tool" ;;
  *" env view regenerate "*)
    mkdir -p "/opt/._view/content/bin"
    for hash in $(hashes); do
      ln -s "$store/$hash/bin/$hash" "/opt/._view/content/bin/$hash"
    done
    ln -s /opt/._view/content "$view"
    if grep -q /opt/more-tools "$environment/spack.yaml"; then
      # The recipes that the environment names are there.
      test -f "$(grep -o '/opt/spack-environment/recipes/[a-z/_]*' "$environment/spack.yaml" | head -n 1)/repo.yaml"
      mkdir /opt/._more-tools
      cp -a /opt/._view/content /opt/._more-tools/content
      ln -s /opt/._more-tools/content /opt/more-tools
    fi
    if [ -e /opt/changes-the-lock ]; then
      echo '{"roots": [], "concrete_specs": {}}' > "$environment/spack.lock"
    fi
    ;;
  *" python "*)
    prepended() {
      printf '{"name": "%s", "steps": [["PrependPath", "%s", ":"], ["PruneDuplicatePaths", "", ":"]], "alone": "%s"}' \
        "$1" "$2" "$2"
    }
    echo "[{\"name\": \"APP_HOME\", \"value\": \"$store/app\", \"kind\": \"SetEnv\"}," \
      '{"name": "GONE", "value": null, "kind": "UnsetEnv"},' \
      "$(prepended LD_LIBRARY_PATH $view/lib), $(prepended MANPATH $view/man), $(prepended PATH $view/bin)]"
    ;;
esac
