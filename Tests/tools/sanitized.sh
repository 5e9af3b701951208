#!/bin/sh
# SPDX-License-Identifier: MIT
# The conformance program and the library in one, with a sanitizer: sanitized.sh address|thread
set -eu
kind=$1
out=${BUILD:-build}/$kind
Tests/tools/modules.sh "$out" "-sanitize=$kind"
clang=$(Sources/tools/toolchain.sh)/clang
for file in Tests/Conformance/*.c; do
  "$clang" -std=gnu11 -O1 -g "-fsanitize=$kind" -DLINKED -IInclude -c "$file" \
    -o "$out/conformance_$(basename "$file" .c).o"
done
# Swift's driver knows what a sanitizer's runtime wants besides; gold has a warning for each of ASan's
# own symbols.
if ! swiftc "-sanitize=$kind" -o "$out/conformance" "$out"/*.o 2> "$out/link.log"; then
  cat "$out/link.log"
  exit 1
fi
