#!/bin/sh
# SPDX-License-Identifier: MIT
# The conformance program and the library in one, with a sanitizer: sanitized.sh address|thread
# With AddressSanitizer its modules are those of the fuzzer, which count where they come by besides.
set -eu
kind=$1
build=${BUILD:-build}
out=$build/$kind
mkdir -p "$out"
case $kind in
  address) modules=$build/fuzz flags=-sanitize=fuzzer,address ;;
  *) modules=$out flags=-sanitize=$kind ;;
esac
Tests/tools/modules.sh "$modules" "$flags"
clang=$(Sources/tools/toolchain.sh)/clang
set --
for file in Tests/Conformance/*.c; do
  object=$out/conformance_$(basename "$file" .c).o
  "$clang" -std=gnu11 -O1 -g "-fsanitize=$kind" -DLINKED -IInclude -c "$file" -o "$object"
  set -- "$@" "$object"
done
for module in CSupport CKernel SMMUAtomics SMMUSpec SMMUModel SMMUBase SMMUHost SMMUEmulated \
  VSMMUShared VSMMU VSMMUEmulated; do
  set -- "$@" "$modules/$module.o"
done
# Swift's driver knows what a sanitizer's runtime wants besides; gold has a warning for each of ASan's
# own symbols.
if ! swiftc "-sanitize=$kind" -o "$out/conformance" "$@" 2> "$out/link.log"; then
  cat "$out/link.log"
  exit 1
fi
