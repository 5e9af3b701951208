# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# Sourced by qemu.sh, qemu-test.sh and others, in the repository's directory.
export LC_ALL=C
cache=${VSMMUV3_QEMU_DIR:-$HOME/.cache/vsmmuv3-qemu}
tree=$cache/qemu
guest=$cache/guest
qemu=${VSMMUV3_QEMU:-$tree/build/qemu-system-aarch64}
# The device as a file that is loaded into that QEMU; empty: it was built with it.
plugin=${VSMMUV3_PLUGIN:-}
library=$PWD/${BUILD:-build}/libvsmmuv3.so.0
# Computing pointer authentication as the architecture says it takes most of the time.
machine=(-M "virt,gic-version=3" -cpu "max,pauth-impdef=on")

say() {
  echo "${0##*/}: $*" >&2
}

die() {
  say "$@"
  exit 1
}

# series QEMU: "11.1" of a QEMU 11.1.3
series() {
  "$1" --version 2> /dev/null | sed -nE '1s/.* version ([0-9]+\.[0-9]+)\..*/\1/p'
}

# stock SERIES: a QEMU of this series as a distribution built it: fetched here, installed, or that
# of the guests with iommufd.
stock() {
  local candidate
  for candidate in "$cache/stock-$1/qemu" "$(command -v qemu-system-aarch64)" \
    "${VSMMUV3_VM_DIR:-$HOME/.cache/vsmmuv3-vm}/bin/qemu-system-aarch64"; do
    if [ -x "$candidate" ] && [ "$(series "$candidate")" = "$1" ]; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

# headers SERIES: QEMU's source of this series, or its headers, a folder or packed:
# VSMMUV3_QEMU_HEADERS, beside the repository, or the source that `make qemu` has fetched.
headers() {
  local candidate to=${BUILD:-build}/qemu-headers/$1
  for candidate in "${VSMMUV3_QEMU_HEADERS:-}" "$to"/* "$tree/source" \
    ../shared/qemu/headers-"$1".*.tar.xz; do
    case $candidate in
      *.tar.xz)
        [ ! -d "$to" ] && [ -e "$candidate" ] && [[ ${candidate##*/} == *-$1.* ]] || continue
        mkdir -p "$to"
        tar -xJf "$candidate" -C "$to"
        candidate=$(echo "$to"/*)
        ;;
    esac
    if [[ "$(cat "$candidate/VERSION" 2> /dev/null)" == "$1".* ]]; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

# pack DIRECTORY: an initramfs segment; the kernel takes several in a row.
pack() {
  (cd "$1" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1)
}

# initramfs FILE [BASE]
initramfs() {
  local t
  t=$(mktemp -d)
  cp Tests/tools/qemu-init.sh "$t/init"
  chmod +x "$t/init"
  { cat "${2:-$guest}/base.gz"; pack "$t"; } > "$1"
  rm -rf "$t"
}
