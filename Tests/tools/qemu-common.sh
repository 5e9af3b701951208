# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# Sourced by qemu.sh and qemu-test.sh, in the repository's directory.
export LC_ALL=C
cache=${VSMMUV3_QEMU_DIR:-$HOME/.cache/vsmmuv3-qemu}
tree=$cache/qemu
guest=$cache/guest
qemu=$tree/build/qemu-system-aarch64
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
