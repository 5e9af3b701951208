#!/bin/sh
# SPDX-License-Identifier: MIT
# The conformance program on every flavour of the library and on both ways to link it.
. Tests/tools/check.sh

# program NAME FLAG...
program() {
  out=$BUILD/test/$1
  shift
  mkdir -p "$BUILD/test"
  # What does not compile shall not run as it was.
  rm -f "$out"
  cc -std=gnu11 -O1 -g -Wall -Wextra -Werror -IInclude -o "$out" Tests/Conformance/*.c "$@" -lpthread
}

# Counts what malloc is asked for.
allocation() {
  rm -f "$BUILD/test/allocation"
  cc -std=gnu11 -O1 -fno-builtin -g -Wall -Wextra -Werror -IInclude -o "$BUILD/test/allocation" \
    Tests/Allocation/main.c Tests/Conformance/guest.c Tests/Conformance/api.c -ldl -lpthread
}

# Saves states anew, for what their texts tell.
saved() {
  rm -rf "$BUILD/test/state"
  mkdir -p "$BUILD/test/state"
  cc -std=gnu11 -O1 -g -Wall -Wextra -Werror -IInclude -o "$BUILD/test/saved-state" \
    Tests/SavedState/main.c Tests/Conformance/guest.c Tests/Conformance/api.c -ldl -lpthread &&
    "$BUILD/test/saved-state" "$BUILD/libvsmmuv3.so.0" "$BUILD/test/state"
}
told() { sed '/^#/d' "$1"/*.txt; }

# A hang is a failure, which `counted` tells by the missing last line.
conforms() {
  Tests/tools/patience.sh 300 "$@" < /dev/null
}

ok "conformance program, by dlopen" program conformance -ldl
ok "conformance program, linked" program conformance-shared -DLINKED -L"$BUILD" -lvsmmuv3 \
  -lvsmmuv3-emulated -Wl,-rpath,"$PWD/$BUILD"
ok "conformance program, archives" program conformance-static -DLINKED "$BUILD/libvsmmuv3.a" \
  "$BUILD/libvsmmuv3-emulated.a"
# Neither has a name that the other one shows.
ok "conformance program, archives in the other order" program conformance-reversed -DLINKED \
  "$BUILD/libvsmmuv3-emulated.a" "$BUILD/libvsmmuv3.a"

counted "embedded, by dlopen" conforms "$BUILD/test/conformance" "$BUILD/libvsmmuv3.so.0"
counted "embedded, linked" conforms "$BUILD/test/conformance-shared" shared
counted "embedded, archives" conforms "$BUILD/test/conformance-static" static
counted "embedded, archives in the other order" conforms "$BUILD/test/conformance-reversed" static \
  kernel_port host_
ok "program that counts allocations" allocation
counted "a guest allocates nothing" conforms "$BUILD/test/allocation" "$BUILD/libvsmmuv3.so.0"
ok "program that saves states" saved
told Tests/Data/state > "$BUILD/test/state.then"
told "$BUILD/test/state" > "$BUILD/test/state.now"
same "states are what they were" "$BUILD/test/state.then" "$BUILD/test/state.now"
ok "build with the dynamic and the static runtime" Tests/tools/patience.sh 3600 \
  Tests/tools/flavours.sh
for runtime in dynamic static; do
  counted "$runtime runtime, by dlopen" conforms "$BUILD/test/conformance" \
    "$BUILD/$runtime/libvsmmuv3.so"
done
sed -n "/^skipped: /p" "$BUILD"/test/embedded*.log | sort -u
finish
