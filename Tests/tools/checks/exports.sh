#!/bin/sh
# SPDX-License-Identifier: MIT
# One list of functions for each library: declared in its headers, in its version script, exported by
# both of its forms, called by the conformance program.
. Tests/tools/check.sh

work=$BUILD/test/exports
mkdir -p "$work"

# declared HEADER: declarations without their comments and macros; members of structs are
# (*name)(...). A header includes those that it is about.
declared() {
  cc -E -P "Include/$1" | grep -o '\bvsmmu_[a-z0-9_]*\( \)*(' | tr -d ' (' | sort -u
}

# library NAME TARGET NODE: what it shows is in the file named like it.
library() {
  wanted=$work/$1
  map=Sources/$2/$1.map
  so=$BUILD/lib$1.so.0
  sed -n 's/^ *\(vsmmu_[a-z0-9_]*\);$/\1/p' "$map" | sort > "$work/map"
  # Capital letters are global.
  nm -D --defined-only "$so" | sed -n 's/^[^ ]* [B-Z] \([^@]*\).*/\1/p' | sort > "$work/shared"
  nm -g --defined-only "$BUILD/lib$1.a" | sed -n 's/^[^ ]* [A-Z] \(.*\)/\1/p' | sort \
    > "$work/static"
  ok "headers of $1 declare functions ($(wc -l < "$wanted"))" [ -s "$wanted" ]
  same "the version script of $1 lists what is declared" "$wanted" "$work/map"
  same "lib$1.so.0 exports what is declared" "$wanted" "$work/shared"
  same "lib$1.a shows what is declared" "$wanted" "$work/static"

  echo "> lib$1.so.0: $(wc -c < "$so") bytes, $(tables) of them unwind tables," \
    "needs $(dynamic NEEDED | xargs)"
  ok "lib$1.so.0 needs libc alone" [ "$(dynamic NEEDED | grep -v '^ld-linux')" = libc.so.6 ]
  ok "SONAME of lib$1.so.0" [ "$(dynamic SONAME)" = "lib$1.so.0" ]
  empty "all of lib$1.so.0 are of $3" unversioned "$3"
}
tables() { size -A -d "$so" | awk '/^\.eh_frame/ { sum += $2 } END { print sum + 0 }'; }
dynamic() { readelf -d "$so" | sed -n "s/.*($1).*\[\(.*\)\]/\1/p"; }
unversioned() { nm -D "$so" | grep ' T ' | grep -v "@@$1\$"; }

declared vsmmuv3_host.h > "$work/vsmmuv3"
declared vsmmuv3_emulated.h > "$work/all"
comm -13 "$work/vsmmuv3" "$work/all" > "$work/vsmmuv3-emulated"
library vsmmuv3 VSMMU VSMMU_1.0
library vsmmuv3-emulated VSMMUEmulated VSMMU_EMULATED_1.0

cat Tests/Conformance/*.c | grep -o '\bapi\.vsmmu_[a-z0-9_]* *(' | tr -d ' (' | sed 's/^api\.//' |
  sort -u > "$work/called"
same "the conformance program calls what is declared" "$work/all" "$work/called"

# lacking DECLARATION...: what the rows of wrong arguments lack for these beside the headers'.
lacking() {
  { cc -E -P Include/vsmmuv3_emulated.h && echo "$@"; } |
    awk -f Tests/tools/arguments.awk - Tests/Conformance/arguments*.c
}
empty "each argument of each function is wrong in a row of the conformance program" lacking
ok "one that is not is told" [ "$(lacking 'int32_t vsmmu_new(vsmmu_t *vsmmu, uint32_t flags);' |
  grep -c ^vsmmu_new:)" = 2 ]
# The emulated host is in its own library alone: a sentence of each of its halves. 300 KB: what comes
# has room.
says() { strings -a "$BUILD/lib$1.so.0" | grep -cF -e 'two VMs run with VMID' -e 'smmu.features has'; }
ok "libvsmmuv3-emulated.so.0 has the emulated host" [ "$(says vsmmuv3-emulated)" -gt 1 ]
ok "libvsmmuv3.so.0 has nothing of it" [ "$(says vsmmuv3)" = 0 ]
so=$BUILD/libvsmmuv3.so.0
bytes=$(($(wc -c < "$so") - $(tables)))
ok "libvsmmuv3.so.0 has at most 350 KB without unwind tables ($bytes bytes)" [ "$bytes" -le 358400 ]
finish
