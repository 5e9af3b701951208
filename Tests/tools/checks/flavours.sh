#!/bin/sh
# SPDX-License-Identifier: MIT
# The same libraries three times: without a Swift runtime, with one inside, with one beside it. Each
# shows the same names and needs what it says; the first gets along with a Swift runtime in its
# process. (conformance.sh proves what each of them does.)
. Tests/tools/check.sh

work=$PWD/$BUILD/test/flavours
rm -rf "$work"
mkdir -p "$work"
libraries="vsmmuv3 vsmmuv3-emulated"

built() {
  Tests/tools/patience.sh 3600 Tests/tools/flavours.sh > "$work/build.log" 2>&1 ||
    { tail -n 20 "$work/build.log"; false; }
}
exports() { nm -D --defined-only "$1" | sed -n 's/^[^ ]* [B-Z] \(.*\)/\1/p' | LC_ALL=C sort; }
needed() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | LC_ALL=C sort | xargs; }
soname() { readelf -d "$1" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p'; }
stays() { readelf -d "$1" | grep -q 'FLAGS_1.*NODELETE'; }

# Symbols of the runtime are the linker's to hide, so those of all flavours are the same.
ok "build with the dynamic and the static runtime" built
for library in $libraries; do
  so=$BUILD/lib$library.so.0
  exports "$so" > "$work/embedded"
  ok "embedded $library: is never unloaded" stays "$so"
  ok "embedded $library: needs libc alone" [ "$(needed "$so")" = libc.so.6 ]
  for runtime in dynamic static; do
    so=$BUILD/$runtime/lib$library.so
    exports "$so" > "$work/$runtime"
    same "$runtime runtime, $library: exports" "$work/embedded" "$work/$runtime"
    ok "$runtime runtime, $library: SONAME" [ "$(soname "$so")" = lib$library.so.0 ]
    ok "$runtime runtime, $library: is never unloaded" stays "$so"
    echo "> $runtime runtime, $library: $(wc -c < "$so") bytes, needs $(needed "$so")"
  done
done
empty "static runtime: needs no library of Swift" sh -c \
  "readelf -d '$BUILD/static/libvsmmuv3.so' | grep 'NEEDED.*libswift'"
ok "dynamic runtime: needs the real one" sh -c \
  "readelf -d '$BUILD/dynamic/libvsmmuv3.so' | grep -q 'NEEDED.*libswiftCore'"

# One program, whichever library the loader finds under the SONAME.
hello() {
  mkdir -p "$work/$1.lib"
  ln -sf "$PWD/$2" "$work/$1.lib/libvsmmuv3.so.0"
  # The program's own path would come first.
  cc -std=c11 -IInclude -o "$work/hello" examples/hello.c -L"$BUILD" -lvsmmuv3 &&
    LD_LIBRARY_PATH="$work/$1.lib" Tests/tools/patience.sh 60 "$work/hello" < /dev/null |
    grep -q 'IOVA 0x601234 -> PA 0x40201234'
}
ok "embedded: hello" hello embedded "$BUILD/libvsmmuv3.so.0"
ok "static runtime: hello" hello static "$BUILD/static/libvsmmuv3.so"
ok "dynamic runtime: hello" hello dynamic "$BUILD/dynamic/libvsmmuv3.so"

# The archive in a program with a real Swift runtime. beside NAME ARCHIVE FLAG...
beside() {
  program=$work/$1
  archive=$2
  shift 2
  swiftc -parse-as-library "$@" -I Include -o "$program" Tests/Consumer/runtimes.swift "$archive" \
    > "$program.log" 2>&1 || { cat "$program.log"; return 2; }
  SWIFT_BACKTRACE=enable=no Tests/tools/patience.sh 120 "$program" < /dev/null \
    >> "$program.log" 2>&1 || return 1
  grep -q '^both runtimes work' "$program.log"
}
ok "archive beside the dynamic runtime" beside with-dynamic "$BUILD/libvsmmuv3.a" -O
ok "archive beside the dynamic runtime, unoptimised" beside with-debug "$BUILD/libvsmmuv3.a" -Onone
ok "archive beside the static runtime" beside with-static "$BUILD/libvsmmuv3.a" -O -static-stdlib
ok "the same through libvsmmuv3.so.0" beside with-shared "$BUILD/libvsmmuv3.so.0" -O \
  -Xlinker -rpath -Xlinker "$PWD/$BUILD"
# The test would see it: the archive before library.sh hid its runtime breaks the program.
beside unhidden .build-embedded/release/libvsmmuv3-static.a -O \
  -Xlinker --wrap=posix_memalign -Xlinker --wrap=free
ok "an archive that shows its runtime is found out" [ $? = 1 ]
finish
