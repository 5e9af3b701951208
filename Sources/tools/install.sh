#!/bin/sh
# SPDX-License-Identifier: MIT
# Puts the libraries of a build folder where compilers and loaders look for them, or takes them away:
# install.sh install FROM, install.sh uninstall. DESTDIR, PREFIX and LIBDIR as for make.
set -eu
verb=$1
from=${2:-}
prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-$prefix/lib}
root=${DESTDIR:-}
include=$root$prefix/include
libraries=$root$libdir
pages=$root$prefix/share/man/man3
# Debuggers look here by build-id where the prefix is /usr, and beside a library in any case.
by_build_id=$root$prefix/lib/debug/.build-id

# Said there and nowhere else.
version=$(sed -n 's/.*libraryVersion: StaticString = "\(.*\)"$/\1/p' \
  Sources/VSMMU/Exports/VersionExports.swift)

# A folder below the prefix is told so: the prefix may then be moved (PKG_CONFIG_SYSROOT_DIR,
# --define-prefix).
below_prefix() {
  case $1 in
    "$prefix"/*) printf '%s\n' "\${prefix}${1#"$prefix"}" ;;
    *) printf '%s\n' "$1" ;;
  esac
}

# build_id LIBRARY: as the path of its debug file.
build_id() {
  readelf -n "$1" | sed -n 's|^ *Build ID: \(..\)\(.*\)|\1/\2.debug|p'
}

# link_to TARGET LINK: relative, so that a staging folder may be moved.
link_to() {
  ln -sf "$(realpath --no-symlinks --relative-to="$(dirname "$2")" "$1")" "$2"
}

# debug_install NAME, debug_uninstall NAME: the debug file of a library.
debug_install() {
  found=$by_build_id/$(build_id "$from/$1")
  install -d "$libraries/.debug" "$(dirname "$found")"
  install -m 644 "$from/$1.debug" "$found"
  link_to "$found" "$libraries/.debug/$1.debug"
}
debug_uninstall() {
  link=$libraries/.debug/$1.debug
  [ -L "$link" ] || return 0
  found=$(readlink -f "$link")
  rm -f "$found" "$link"
  for folder in "$libraries/.debug" "${found%/*}" "$by_build_id" "${by_build_id%/*}"; do
    rmdir --ignore-fail-on-non-empty "$folder" 2> /dev/null || true
  done
}

# description NAME WHAT
description() {
  cat << END
prefix=$prefix
includedir=\${prefix}/include
libdir=$(below_prefix "$libdir")

Name: $1
Description: $2
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -l$1
Libs.private: -lpthread
END
}

# page NAME LIBRARIES: the manual page of a header.
page() {
  awk -v version="$version" -v name="$1" -v libraries="$2" -f Sources/tools/man.awk "Include/$1.h" \
    > "$pages/$1.3"
  chmod 644 "$pages/$1.3"
}

both="vsmmuv3 vsmmuv3-emulated"

case $verb in
  install)
    install -d "$include" "$libraries/pkgconfig" "$pages"
    install -m 644 Include/*.h "$include"
    for name in $both; do
      install -m 644 "$from/lib$name.a" "$libraries"
      install -m 755 "$from/lib$name.so.0" "$libraries"
      debug_uninstall "lib$name.so.0"
      debug_install "lib$name.so.0"
      ln -sf "lib$name.so.0" "$libraries/lib$name.so"
    done
    description vsmmuv3 "a virtual Arm SMMUv3" > "$libraries/pkgconfig/vsmmuv3.pc"
    description vsmmuv3-emulated "a Linux host with SMMUs, in process" \
      > "$libraries/pkgconfig/vsmmuv3-emulated.pc"
    chmod 644 "$libraries"/pkgconfig/vsmmuv3*.pc
    page vsmmuv3 vsmmuv3
    page vsmmuv3_host vsmmuv3
    page vsmmuv3_emulated "$both"
    ;;
  uninstall)
    for header in Include/*.h; do
      header=${header##*/}
      rm -f "$include/$header" "$pages/${header%.h}.3"
    done
    for name in $both; do
      debug_uninstall "lib$name.so.0"
      rm -f "$libraries/lib$name.so" "$libraries/lib$name.so.0" "$libraries/lib$name.a" \
        "$libraries/pkgconfig/$name.pc"
    done
    ;;
  *)
    echo "usage: install.sh install FROM, or install.sh uninstall" >&2
    exit 2
    ;;
esac
