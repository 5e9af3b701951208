#!/bin/sh
# SPDX-License-Identifier: MIT
# The stress test and the library in one, under ThreadSanitizer: stress-thread.sh OUT
set -eu
out=$1
mkdir -p "$out"
rm -f "$out/stress"
# Those of the check tsan.
modules=${BUILD:-build}/thread
Tests/tools/modules.sh "$modules" -sanitize=thread
clang=$(Sources/tools/toolchain.sh)/clang
for file in Tests/Stress/*.c Tests/Conformance/guest.c Tests/Conformance/api.c; do
  "$clang" -std=gnu11 -O1 -g -fsanitize=thread -DLINKED -IInclude -c "$file" \
    -o "$out/stress_$(basename "$file" .c).o"
done
# Swift's driver knows what a sanitizer's runtime wants besides.
set --
for module in CSupport CKernel SMMUAtomics SMMUSpec SMMUModel SMMUBase SMMUHost VSMMUShared VSMMU
do
  set -- "$@" "$modules/$module.o"
done
if ! swiftc -sanitize=thread -o "$out/stress" "$@" "$out"/stress_*.o 2> "$out/link.log"; then
  cat "$out/link.log"
  exit 1
fi
