#!/bin/bash
# Makes what the runtime image has besides packages.
#
#   make.sh           in the first stage, below /made: the name service module of anyone.c, and a locale
#   make.sh settings  in the image: makes use of that, and lets every interactive Bash read the container's environment
set -euo pipefail

if [ "${1-}" != settings ]; then
  libraries=/made$(realpath "$(dirname "$(gcc -print-file-name=libc.so.6)")")
  install -d "$libraries" /made/usr/lib/locale
  gcc -shared -fPIC -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -Wl,-soname,libnss_anyone.so.2 -Wl,-z,relro,-z,now \
    -o "$libraries/libnss_anyone.so.2" /anyone.c
  chmod 644 "$libraries/libnss_anyone.so.2"
  localedef --no-archive --inputfile en_US --charmap UTF-8 /made/usr/lib/locale/en_US.utf8
  exit
fi

# Whoever runs a program has an entry, after what files know.
services=/etc/nsswitch.conf
touch "$services"
for database in passwd group; do
  grep -q "^$database:" "$services" || echo "$database: files" >> "$services"
  sed -i "/^$database:/s/\$/ anyone/" "$services"
done
# The home of those, for as many of them as come.
install -d -m 1777 /home/user

# Debian's Bash reads this file when it is interactive; a login shell and a script read the environment by themselves.
environment=/opt/spack-environment/environment.sh
bashrc=/etc/bash.bashrc
touch "$bashrc"
{
  echo "# The environment of the container."
  echo "if [ -r $environment ]; then . $environment; fi"
  cat "$bashrc"
} > "$bashrc.new"
cat "$bashrc.new" > "$bashrc"
rm "$bashrc.new"
