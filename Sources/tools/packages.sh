#!/bin/sh
# SPDX-License-Identifier: MIT
# The Debian packages that things need, in groups: packages.sh need GROUP... tells which of them are
# missing, and fails; packages.sh install GROUP... installs these.
set -eu
verb=$1
shift

# What `make` and `make run` need.
run="binutils gcc libc6-dev libfdt-dev libglib2.0-dev make pkg-config"
arm64="binutils-aarch64-linux-gnu gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
tests="acpica-tools cmake device-tree-compiler g++ groff-base man-db meson ninja-build
  qemu-user-static valgrind"
# Tests that are skipped without them.
more_tests="gdb"
# What builds QEMU and its guests.
qemu="bzip2 cpio device-tree-compiler dpkg-dev kmod libslirp-dev ninja-build python3-venv xz-utils"

wanted=
goal=deps
for group in "$@"; do
  case $group in
    run) wanted="$wanted $run" ;;
    arm64) wanted="$wanted $arm64" ;;
    tests) wanted="$wanted $tests" ;;
    more-tests) wanted="$wanted $more_tests" ;;
    qemu) wanted="$wanted $run $arm64 $qemu" goal=deps-qemu ;;
    *) echo "packages.sh: there is no group $group" >&2; exit 2 ;;
  esac
done

# Elsewhere the names differ, and whoever builds there knows them.
command -v dpkg-query > /dev/null || exit 0

missing=
for package in $wanted; do
  dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed' ||
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$verb" = need ]; then
  echo "missing Debian packages:$missing" >&2
  echo "\"make $goal\" installs them" >&2
  exit 1
fi
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
