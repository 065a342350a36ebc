# shellcheck shell=bash
# Sourced on each node of an allocation, before anything of ours is started there.

# Raise a limit of this shell, as far as the site allows: at_least OPTION VALUE
at_least() {
  local now most
  now=$(ulimit -S "$1")
  most=$(ulimit -H "$1")
  if [ "$now" = unlimited ] || [ "$now" -ge "$2" ]; then return; fi
  if [ "$most" != unlimited ] && [ "$most" -lt "$2" ]; then
    echo "the limit of 'ulimit $1' on $(hostname) is $most, less than $2"
    set -- "$1" "$most"
  fi
  ulimit -S "$1" "$2"
}

# Open files: Spack, Ray and parallel linkers have thousands of them at a time.
at_least -n 65536
# The stack, in KiB: large files of templates make compilers call themselves very deeply.
at_least -s 32768

# Where packages are built, and installed meanwhile. On many clusters it is a disk in memory: what is full here is memory.
export TMPDIR=/tmp
mkdir -p "$TMPDIR"
echo "$(hostname) builds in:"
df -hT "$TMPDIR"
