#!/bin/sh
# SPDX-License-Identifier: MIT
# Takes the library as users get it out of a SwiftPM directory: library.sh FROM TO [CROSS]
# CROSS is what the names of another machine's binutils and gcc begin with: "aarch64-linux-gnu-".
#
# The archive is one object that shows the names of the version script alone: an Embedded Swift object
# defines swift_retain and its like, which must not get into the way of a real Swift runtime.
set -eu
from=$1
to=$2
cross=${3:-}
map=Sources/VSMMU/vsmmuv3.map

# A file that did not change keeps its date, for make.
replace() {
  if cmp -s "$1" "$2"; then rm "$1"; else mv "$1" "$2"; fi
}

# separate SO NAME: the library without what only a debugger wants, which goes into NAME.debug beside
# it. A debugger finds that by the build-id, or by the name and the checksum. lld joins .debug_names
# wrongly.
separate() {
  "${cross}objcopy" --only-keep-debug --compress-debug-sections=zlib \
    --remove-section=.debug_names "$1" "$work/$2.debug"
  "${cross}strip" --strip-unneeded --remove-section=.comment -o "$work/$2" "$1"
  "${cross}objcopy" --add-gnu-debuglink="$work/$2.debug" "$work/$2"
  chmod 644 "$work/$2.debug"
  replace "$work/$2" "$to/$2"
  replace "$work/$2.debug" "$to/$2.debug"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed -n 's/^ *\(vsmmu_[a-z0-9_]*\);$/\1/p' $map > "$work/names"
# What these names do not need is dropped. The wrapping is that of Package.swift.
# shellcheck disable=SC2046 # several flags
"${cross}ld" -r --gc-sections --wrap=posix_memalign --wrap=free $(sed 's/^/-u /' "$work/names") -o "$work/all.o" \
  --whole-archive "$from/libvsmmuv3-static.a"
"${cross}objcopy" --strip-debug --keep-global-symbols="$work/names" "$work/all.o" "$work/vsmmuv3.o"
"${cross}ar" rcsD "$work/a" "$work/vsmmuv3.o"
replace "$work/a" "$to/libvsmmuv3.a"

so=$from/libvsmmuv3.so
if [ -n "$cross" ]; then
  # SwiftPM links for another machine as if it had no system.
  so=$work/linked
  "${cross}gcc" -shared -B"$(Sources/tools/toolchain.sh)" -fuse-ld=lld -o "$so" "$work/all.o" \
    -Wl,--version-script=$map,--no-undefined-version,-soname,libvsmmuv3.so.0 \
    -Wl,--build-id,--gc-sections,--icf=all,-O2,--as-needed -Wl,-z,nodelete,-z,defs,-z,relro
fi
separate "$so" libvsmmuv3.so.0
ln -sf libvsmmuv3.so.0 "$to/libvsmmuv3.so"
# When it was last up to date, for `make install`.
: > "$to/.built"
