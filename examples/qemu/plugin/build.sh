#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# build.sh QEMU FILE.so: the device as a plugin for a QEMU that somebody else built. QEMU is a source
# tree of its version, which is not configured and only read, or the headers of one with what
# qapi-gen makes in generated/. CC: the compiler, for x86-64 or arm64.
set -eu -o pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
api=$(cd "$here/../../Include" && pwd)

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

[ $# = 2 ] || die "usage: build.sh QEMU FILE.so"
[ -n "$1" ] || die "say QEMU=/path/to/the/source of the QEMU that is to load it"
[ -e "$1/include/qemu/osdep.h" ] || die "$1 is neither QEMU's source nor its headers"
qemu=$(cd "$1" && pwd)
out=$2
cc=${CC:-cc}
case $($cc -dumpmachine) in
  x86_64-*linux*) arch=x86_64 linux=x86 flags="-m64 -mcx16 -msse2" ;;
  aarch64-*linux*) arch=aarch64 linux=arm64 flags= ;;
  *) die "$cc compiles for $($cc -dumpmachine), not for Linux on x86-64 or arm64" ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/hw/vsmmuv3"

# QEMU's configuration, as far as its headers ask for it: nothing else in them changes a struct that
# is touched here. What does is CONFIG_MEMBARRIER, which must not be set.
configuration() {
  local version words
  version=$(cat "$qemu/VERSION")
  IFS=. read -r -a words <<< "$version"
  printf '#define CONFIG_%s 1\n' LINUX POSIX IOVEC INT128 INT128_TYPE ATOMIC64 QOM_CAST_DEBUG TCG \
    PLUGIN SYSMACROS PRAGMA_DIAGNOSTIC_AVAILABLE
  echo "#define HOST_${arch^^} 1"
  echo "#define QEMU_VERSION \"$version\""
  echo "#define QEMU_VERSION_MAJOR ${words[0]}"
  echo "#define QEMU_VERSION_MINOR ${words[1]}"
  echo "#define QEMU_VERSION_MICRO ${words[2]}"
}

# The number by which -plugin refuses another QEMU.
plugin_api() {
  cat "$qemu"/include/{qemu,plugins}/qemu-plugin.h 2> /dev/null |
    awk '$1 == "#define" && $2 == "QEMU_PLUGIN_VERSION" { print $3 }'
}

generate() {
  local tracetool=$qemu/tracetool.py format
  configuration > "$work/config-host.h"
  : > "$work/config-poison.h"
  generated=$qemu/generated
  if [ -e "$qemu/scripts/qapi-gen.py" ]; then
    generated=$work
    tracetool=$qemu/scripts/tracetool.py
    PYTHONDONTWRITEBYTECODE=1 python3 "$qemu/scripts/qapi-gen.py" -o "$work/qapi" -b \
      "$qemu/qapi/qapi-schema.json"
  fi
  for format in h c; do
    PYTHONDONTWRITEBYTECODE=1 python3 "$tracetool" --backend=log --group=hw_vsmmuv3 \
      "--format=$format" "$here/trace-events" "$work/hw/vsmmuv3/trace-hw_vsmmuv3.$format"
  done
  sed -i 's,#include "trace-hw_vsmmuv3.h",#include "hw/vsmmuv3/trace-hw_vsmmuv3.h",' \
    "$work/hw/vsmmuv3/trace-hw_vsmmuv3.c"
  ln -s "$qemu/linux-headers/asm-$linux" "$work/asm"
}

generate
# Of the libraries, what QEMU has loaded is used: none is named.
# shellcheck disable=SC2046,SC2086 # flags
$cc $flags -std=gnu11 -O2 -g -Wall -Werror=implicit -fno-strict-aliasing -fno-common -fwrapv \
  -fvisibility=hidden -fPIC -shared -pthread -Wl,-z,now -Wl,--no-undefined-version \
  -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DCPU_DEFS_H -DCOMPILING_SYSTEM_VS_USER -DCONFIG_SOFTMMU \
  "-DVSMMUV3_PLUGIN=$(plugin_api)" -I"$work" -I"$here" -I"$api" \
  -I"$generated" -I"$qemu" -I"$qemu/target/arm" -I"$generated/qapi" \
  -isystem "$qemu/linux-headers" -iquote "$work" -iquote "$generated" -iquote "$qemu" \
  -iquote "$qemu/include" -iquote "$qemu/host/include/$arch" -iquote "$qemu/host/include/generic" \
  $(pkg-config --cflags glib-2.0 gmodule-2.0) -o "$out" \
  "$here"/*.c "$here"/{bench,plugin}/*.c "$work/hw/vsmmuv3/trace-hw_vsmmuv3.c"
