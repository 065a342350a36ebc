#!/bin/sh
# Runs at the end of a container's build, in its image: does the image have what the programs that were put into it found
# in the builder image? 'libraries.py' ran there, and wrote down what that is. Whoever can start a program can run this:
# it needs a POSIX shell and the dynamic loader.
#
#   runtime_check.sh                     says what is missing, and ends with 1
#   runtime_check.sh libc LOADER         prints the C library of a dynamic loader as Spack calls it: glibc@2.36, musl@1.2.5
#   runtime_check.sh trace LOADER FILE   prints what the loader finds for a program or a library, without running it
set -eu

environment=/opt/spack-environment/environment.sh
# shellcheck source=/dev/null
if [ -e "$environment" ]; then . "$environment"; fi
hint="name the package that has it below 'container: os_packages: final:', or install it in a Dockerfile.epilogue;
  what the host brings belongs below 'spacktainer: host_libraries:'"
faults=0
lost=''
tab="$(printf '\t')"
line='
'

libc() {
  case $1 in
    *ld-musl-*) said="$("$1" 2>&1 || :)" ;;
    *) said="$("$1" libc.so.6 2>&1 || :)" ;;
  esac
  case $said in
    *"musl libc"*Version*) said=${said#*Version } name=musl ;;
    *"release version "*) said=${said#*release version } name=glibc ;;
    *) return 0 ;;
  esac
  said=${said%%[!0-9.]*}
  echo "$name@${said%.}"
}

trace() {
  case $1 in
    *ld-musl-*) "$1" --list "$2" 2>&1 || : ;;
    *) LD_TRACE_LOADED_OBJECTS=1 "$1" "$2" 2>&1 || : ;;
  esac
}

fault() {
  echo "the runtime image cannot run this container: $1" >&2
  faults=1
}

# Whether a version is older than another.
is_older() {
  this=$1. other=$2.
  while [ -n "$this$other" ]; do
    a=${this%%.*} b=${other%%.*}
    [ "${a:-0}" -eq "${b:-0}" ] || { [ "${a:-0}" -lt "${b:-0}" ]; return; }
    this=${this#*.} other=${other#*.}
  done
  return 1
}

# LOADER LIBC: programs are started by LOADER, which is of LIBC in the builder image; empty where that is unknown.
built_with() {
  if [ -e "$1" ]; then
    has="$(libc "$1")"
    if [ -n "$2" ] && [ -n "$has" ] && { [ "${has%@*}" != "${2%@*}" ] || is_older "${has#*@}" "${2#*@}"; }; then
      fault "packages are built with $2 of the builder image, and the runtime image has $has;$line\
  take a newer base for the runtime image, or an older one for the builder"
    fi
    return 0
  fi
  has=''
  for one in /lib/ld-musl-*.so.1 /lib64/ld-linux-*.so.* /lib/ld-linux-*.so.*; do
    if [ -z "$has" ] && [ -e "$one" ]; then has="$(libc "$one")"; fi
  done
  fault "packages are built with ${2:-the C library} of the builder image, which starts programs with $1;$line\
  the runtime image has ${has:-no C library that is known}, and no such file"
}

# LOADER FILE PACKAGE LIBRARY...: a file of PACKAGE needs each LIBRARY.
needs() {
  loader=$1 file=$2 package=$3
  shift 3
  [ -e "$loader" ] || return 0
  traced="$line$(trace "$loader" "$file")$line"
  for library in "$@"; do
    case $library in
      /*) [ -e "$library" ] || lose "$library" "$package"; continue ;;
    esac
    case $traced in
      *"$tab$library => not found$line"* | *" shared library $library: "*) lose "$library" "$package" ;;
      *"$library: version "*" not found (required by $file)"*) lack "$library" "$package" ;;
    esac
  done
}

# LIBRARY WHO [VERSION]: notes it once; with a version, the library is there, but too old for who was linked with it.
lose() {
  entry=$1$tab${3-}$tab$2
  case $line$lost in
    *"$line$entry$line"*) ;;
    *) lost=$lost$entry$line ;;
  esac
}

# LIBRARY WHO: all versions of it that are missing.
lack() {
  rest=$traced
  while case $rest in *"$1: version "*" not found (required by $file)"*) ;; *) false ;; esac; do
    rest=${rest#*"$1: version \`"}
    lose "$1" "$2" "${rest%%"' not found"*}"
  done
}

# LIBRARY PATH PACKAGE: where the builder image has what may have been missing, and the distribution's package of that.
report() {
  rest=$lost without='' older=''
  while [ -n "$rest" ]; do
    entry=${rest%%"$line"*} rest=${rest#*"$line"}
    case $entry in
      "$1$tab$tab"*) without=${without:+$without, }${entry#"$1$tab$tab"} ;;
      "$1$tab"*) entry=${entry#"$1$tab"} older="${older:+$older, }${entry%%"$tab"*} for ${entry#*"$tab"}" ;;
    esac
  done
  there="the builder image has it in $2${3:+, of the package $3}"
  [ -z "$without" ] || fault "it lacks $1, which is needed by $without;$line  $there; $hint"
  [ -z "$older" ] || fault "its $1 is too old: it lacks $older;$line  $there"
}

case ${1-} in
  libc) libc "$2" ;;
  trace) trace "$2" "$3" ;;
  *)
    # shellcheck source=/dev/null
    . "${0%/*}/needed.sh"
    exit "$faults"
    ;;
esac
