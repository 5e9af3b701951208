#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the Debian packages that are missing: packages.sh PACKAGE...
set -eu

# Elsewhere the names differ, and whoever builds there knows them.
command -v dpkg-query > /dev/null || exit 0

missing=
for package in "$@"; do
  dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed' ||
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "installing Debian packages:$missing"
if [ "$(id -u)" = 0 ]; then
  root=
elif command -v sudo > /dev/null; then
  root=sudo
else
  echo "neither root nor sudo: please install$missing" >&2
  exit 1
fi
apt() {
  $root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends "$@"
}
# Words, not one argument; the lists may be absent or old.
# shellcheck disable=SC2086
apt install $missing > /dev/null 2>&1 || { apt update && apt install $missing; } > /dev/null
