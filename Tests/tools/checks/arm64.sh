#!/bin/sh
# SPDX-License-Identifier: MIT
# The libraries for Linux on arm64, in their two builds: what is in them, and what they do, under QEMU's
# emulation of a user's program and on a real kernel where a guest can be run here.
. Tests/tools/check.sh
. Tests/tools/guest.sh

cross=aarch64-linux-gnu
work=$PWD/$BUILD/test/arm64
rm -rf "$work"
mkdir -p "$work"
ok "packages for arm64" Sources/tools/packages.sh need arm64 tests

build() {
  make --no-print-directory "$@" > "$work/make.log" 2>&1 || { tail -n 20 "$work/make.log"; false; }
}
ok "make arm64" build arm64
ok "make arm64 LSE=1" build arm64 LSE=1

# ---- what is in them

exports() { nm -D --defined-only "$1" | sed -n 's/^[^ ]* [B-Z] \(.*\)/\1/p' | LC_ALL=C sort; }
dynamic() { readelf -d "$1" | sed -n "s/.*($2).*\[\(.*\)\]/\1/p" | LC_ALL=C sort | xargs; }
shown() { nm -g --defined-only "$1" | sed -n 's/^[^ ]* [A-Z] \(vsmmu_.*\)/\1/p' | LC_ALL=C sort; }
shown_besides() { nm -g --defined-only "$1" | grep ' [A-Z] ' | grep -v ' vsmmu_'; }
# What loads and stores exclusively, and what ARMv8.1 has instead.
exclusive() { $cross-objdump -d "$1" | grep -E '	(ldaxr|ldxr|stxr|stlxr)[bh]?	'; }
at_once() { $cross-objdump -d "$1" | grep -cE '	(cas|swp|ldadd|ldset|ldclr)[alp]*[bh]?	'; }

for name in vsmmuv3 vsmmuv3-emulated; do
  exports "$BUILD/lib$name.so.0" > "$work/x86-64"
  shown "$BUILD/lib$name.a" > "$work/archive"
  for folder in build-arm64 build-arm64-lse; do
    so=$folder/lib$name.so.0
    echo "> $so: $(wc -c < $so) bytes, needs $(dynamic $so NEEDED)"
    ok "$so: for AArch64" sh -c "readelf -h $so | grep -q 'Machine: *AArch64'"
    exports $so > "$work/$folder"
    same "$so: exports as on x86-64" "$work/x86-64" "$work/$folder"
    shown $folder/lib$name.a > "$work/$folder.a"
    same "$folder/lib$name.a shows as on x86-64" "$work/archive" "$work/$folder.a"
    empty "$folder/lib$name.a shows nothing else" shown_besides $folder/lib$name.a
    ok "$so: SONAME" [ "$(dynamic $so SONAME)" = lib$name.so.0 ]
    # The guard of the stack is the loader's.
    ok "$so: needs libc alone" [ "$(dynamic $so NEEDED)" = "ld-linux-aarch64.so.1 libc.so.6" ]
    empty "$so: code is not relocated" sh -c "readelf -d $so | grep TEXTREL"
    ok "$so: is never unloaded" sh -c "readelf -d $so | grep -q 'FLAGS_1.*NODELETE'"
  done
done
ok "build-arm64 runs on ARMv8.0" [ "$(at_once build-arm64/libvsmmuv3.so.0)" = 0 ]
ok "build-arm64 has atomic instructions" [ -n "$(exclusive build-arm64/libvsmmuv3.so.0)" ]
empty "build-arm64-lse has no exclusive loads and stores" exclusive build-arm64-lse/libvsmmuv3.so.0
ok "build-arm64-lse has ARMv8.1's" [ "$(at_once build-arm64-lse/libvsmmuv3.so.0)" -gt 10 ]

layout() {
  BUILD=build-arm64 Tests/tools/abi.sh print "$work/abi" --target=$cross \
    -isystem /usr/$cross/include
}
ok "what the headers say on arm64 is read" layout
empty "nothing that was promised is otherwise on arm64" Tests/tools/abi.sh compare \
  Tests/Data/abi "$work/abi"

# ---- what they do

# program NAME SOURCE_OR_FLAG...
program() {
  out=$work/$1
  shift
  $cross-gcc -std=gnu11 -O1 -g -Wall -Wextra -Werror -IInclude -o "$out" "$@" -lpthread
}
# emulated CPU SECONDS PROGRAM WORD...
emulated() {
  cpu=$1
  seconds=$2
  shift 2
  Tests/tools/patience.sh "$seconds" qemu-aarch64-static -cpu "$cpu" -L /usr/$cross "$@" < /dev/null
}

ok "conformance program, by dlopen" program conformance Tests/Conformance/*.c -ldl
ok "conformance program, linked" program conformance-shared Tests/Conformance/*.c -DLINKED \
  -Lbuild-arm64 -lvsmmuv3 -lvsmmuv3-emulated -Wl,-rpath,"$PWD/build-arm64"
ok "conformance program, archives" program conformance-static Tests/Conformance/*.c -DLINKED \
  -static build-arm64/libvsmmuv3.a build-arm64/libvsmmuv3-emulated.a
# A CPU without ARMv8.1, and one with it.
counted "arm64, ARMv8.0, by dlopen" emulated cortex-a57 400 "$work/conformance" \
  build-arm64/libvsmmuv3.so.0
counted "arm64, LSE, by dlopen" emulated max 400 "$work/conformance" \
  build-arm64-lse/libvsmmuv3.so.0
counted "arm64, linked" emulated cortex-a57 120 "$work/conformance-shared" shared version create \
  translate
counted "arm64, archives" emulated cortex-a57 120 "$work/conformance-static" static version create \
  translate dma state threads

ok "backtrace program" program backtrace -fno-omit-frame-pointer -fasynchronous-unwind-tables \
  -rdynamic Tests/Backtrace/main.c -Lbuild-arm64 -lvsmmuv3 -Wl,-rpath,"$PWD/build-arm64" -ldl
counted "arm64, backtraces" emulated cortex-a57 60 "$work/backtrace"

# What is installed is enough to build against from here, as distributions cross-build.
installed() {
  root=$work/root
  build install-arm64 DESTDIR="$root" PREFIX=/usr LIBDIR=/usr/lib/$cross || return
  flags=$(PKG_CONFIG_SYSROOT_DIR="$root" PKG_CONFIG_LIBDIR="$root/usr/lib/$cross/pkgconfig" \
    PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
    pkg-config --cflags --libs vsmmuv3) || return
  # shellcheck disable=SC2086 # flags
  $cross-gcc -std=c11 -o "$work/hello" examples/hello.c $flags || return
  emulated cortex-a57 60 -E LD_LIBRARY_PATH="$root/usr/lib/$cross" "$work/hello" |
    grep -q 'IOVA 0x601234 -> PA 0x40201234'
}
ok "make install-arm64, pkg-config" installed

# What the scenarios show here is what they show on x86-64, where the Swift tests judge it.
scenarios() {
  cc -std=gnu11 -O1 -g -Wall -Wextra -Werror -IInclude -o "$work/scenarios-x86-64" \
    Tests/Consumer/scenarios.c "$BUILD/libvsmmuv3.a" -lpthread &&
    Tests/tools/patience.sh 120 "$work/scenarios-x86-64" Tests/Data/scenarios.jsonl \
      > "$work/answers-x86-64" &&
    program scenarios Tests/Consumer/scenarios.c -static build-arm64/libvsmmuv3.a &&
    emulated cortex-a57 120 "$work/scenarios" Tests/Data/scenarios.jsonl > "$work/answers"
}
ok "scenarios run" scenarios
same "scenarios: every answer is that of x86-64" "$work/answers-x86-64" "$work/answers"
echo "> scenarios on arm64: $(tail -n 1 "$work/answers")"
ok "all scenarios" grep -q "^$(wc -l < Tests/Data/scenarios.jsonl) scenarios, [1-9]" "$work/answers"
# Those that differ from QEMU's are the ones that the Swift tests justify, but for a table of
# illegal commands, whose names are made there.
sed -n 's/^\([^ ]*\) .*(QEMU: .*/\1/p' "$work/answers" | grep -v '^cmd-op' | LC_ALL=C sort -u \
  > "$work/differ"
awk -F '"' '/JustifiedDifference\($/ { getline; if ($2 !~ /\\/) print $2 }' \
  Tests/ScenarioTests/JustifiedDifferences.swift | LC_ALL=C sort -u > "$work/justified"
same "scenarios: differences from QEMU are the justified ones" "$work/justified" "$work/differ"

# Programs that take a library and seconds, each compiled with CC by NAME-program.sh FILE.
programs=stress
for name in $programs; do
  script=Tests/tools/$name-program.sh
  [ -x "$script" ] || continue
  ok "$name program" env CC=$cross-gcc "$script" "$work/$name"
  counted "arm64, ARMv8.0, $name" emulated cortex-a57 300 "$work/$name" \
    build-arm64/libvsmmuv3.so.0 10
  counted "arm64, LSE, $name" emulated max 300 "$work/$name" build-arm64-lse/libvsmmuv3.so.0 10
done

# A real kernel for arm64. Its CPUs are emulated too. on_linux NAME PROGRAM FILE... -- WORD...: FILEs lie
# in the guest's /bin, where its loader looks too.
on_linux() {
  name=$1
  shift
  env LOG="$work/$name.console" TIMEOUT=86400 DEVICES= Tests/tools/patience.sh 300 \
    "$(guest_directory)/run-in-guest.sh" "$@" < /dev/null 2> "$work/$name.guest"
}
scenarios_on_linux() {
  on_linux scenarios "$work/scenarios" Tests/Data/scenarios.jsonl -- /bin/scenarios.jsonl |
    tr -d '\r' > "$work/answers-linux"
}
if [ -n "$(guest_directory)" ]; then
  counted "arm64, Linux, conformance" on_linux conformance "$work/conformance" \
    build-arm64/libvsmmuv3.so.0 build-arm64/libvsmmuv3-emulated.so.0 -- libvsmmuv3.so.0
  ok "arm64, Linux, scenarios run" scenarios_on_linux
  same "arm64, Linux, scenarios: every answer is that of x86-64" "$work/answers-x86-64" \
    "$work/answers-linux"
  if [ -x "$work/stress" ]; then
    counted "arm64, Linux, stress" on_linux stress "$work/stress" \
      build-arm64-lse/libvsmmuv3.so.0 -- libvsmmuv3.so.0 10
  fi
else
  skip "arm64 on a real kernel" "no guest is set up"
fi
finish
