#!/bin/sh
# SPDX-License-Identifier: MIT
# Takes the libraries as users get them out of a SwiftPM directory: library.sh FROM TO [CROSS]
# CROSS is what the names of another machine's binutils and gcc begin with: "aarch64-linux-gnu-".
#
# An archive is one object that shows the names of its version script alone: an Embedded Swift object
# defines swift_retain and its like, which must not get into the way of a real Swift runtime, nor two
# libraries into each other's.
set -eu
from=$1
to=$2
cross=${3:-}

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

# library NAME TARGET
library() {
  name=$1
  map=Sources/$2/$name.map
  sed -n 's/^ *\(vsmmu_[a-z0-9_]*\);$/\1/p' "$map" > "$work/names"
  # What these names do not need is dropped. The wrapping is that of Package.swift. Groups of which a
  # program keeps one copy are dissolved: each library keeps its own.
  # shellcheck disable=SC2046 # several flags
  "${cross}ld" -r --gc-sections --force-group-allocation --wrap=posix_memalign --wrap=free \
    $(sed 's/^/-u /' "$work/names") -o "$work/all.o" --whole-archive "$from/lib$name-static.a"
  "${cross}objcopy" --strip-debug --keep-global-symbols="$work/names" "$work/all.o" \
    "$work/$name.o"
  rm -f "$work/a"
  "${cross}ar" rcsD "$work/a" "$work/$name.o"
  replace "$work/a" "$to/lib$name.a"

  so=$from/lib$name.so
  if [ -n "$cross" ]; then
    # SwiftPM links for another machine as if it had no system.
    so=$work/linked
    "${cross}gcc" -shared -B"$(Sources/tools/toolchain.sh)" -fuse-ld=lld -o "$so" "$work/all.o" \
      -Wl,--version-script="$map",--no-undefined-version,-soname,"lib$name.so.0" \
      -Wl,--build-id,--gc-sections,--icf=all,-O2,--as-needed -Wl,-z,nodelete,-z,defs,-z,relro
  fi
  separate "$so" "lib$name.so.0"
  ln -sf "lib$name.so.0" "$to/lib$name.so"
}

library vsmmuv3 VSMMU
library vsmmuv3-emulated VSMMUEmulated
# When they were last up to date, for `make install`.
: > "$to/.built"
