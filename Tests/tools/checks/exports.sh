#!/bin/sh
# SPDX-License-Identifier: MIT
# One list of functions: declared, in the version script, exported by both libraries, called by the
# conformance program.
. Tests/tools/check.sh

work=$BUILD/test/exports
mkdir -p "$work"

# Declarations without their comments and macros; members of structs are (*name)(...). The header of
# the emulated host includes the other one.
cc -E -P Include/vsmmuv3_emulated.h | grep -o '\bvsmmu_[a-z0-9_]* *(' | tr -d ' (' | sort -u > "$work/header"
sed -n 's/^ *\(vsmmu_[a-z0-9_]*\);$/\1/p' Sources/VSMMU/vsmmuv3.map | sort > "$work/map"
# Capital letters are global.
nm -D --defined-only "$BUILD/libvsmmuv3.so.0" | sed -n 's/^[^ ]* [B-Z] \([^@]*\).*/\1/p' | sort \
  > "$work/shared"
nm -g --defined-only "$BUILD/libvsmmuv3.a" | sed -n 's/^[^ ]* [A-Z] \(.*\)/\1/p' | sort \
  > "$work/static"
cat Tests/Conformance/*.c | grep -o '\bapi\.vsmmu_[a-z0-9_]* *(' | tr -d ' (' | sed 's/^api\.//' |
  sort -u > "$work/called"

ok "the header declares functions ($(wc -l < "$work/header"))" [ -s "$work/header" ]
same "the version script lists what is declared" "$work/header" "$work/map"
same "libvsmmuv3.so.0 exports what is declared" "$work/header" "$work/shared"
same "libvsmmuv3.a shows what is declared" "$work/header" "$work/static"
same "the conformance program calls what is declared" "$work/header" "$work/called"

dynamic() { readelf -d "$BUILD/libvsmmuv3.so.0" | sed -n "s/.*($1).*\[\(.*\)\]/\1/p"; }
tables=$(size -A -d "$BUILD/libvsmmuv3.so.0" | awk '/^\.eh_frame/ { sum += $2 } END { print sum }')
echo "> libvsmmuv3.so.0: $(wc -c < "$BUILD/libvsmmuv3.so.0") bytes, $tables of them unwind tables," \
  "needs $(dynamic NEEDED | xargs)"
ok "needs libc alone" [ "$(dynamic NEEDED | grep -v '^ld-linux')" = libc.so.6 ]
ok "SONAME" [ "$(dynamic SONAME)" = libvsmmuv3.so.0 ]
unversioned() { nm -D "$BUILD/libvsmmuv3.so.0" | grep ' T ' | grep -v '@@VSMMU_1.0$'; }
empty "all are of VSMMU_1.0" unversioned
finish
