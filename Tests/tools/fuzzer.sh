#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the fuzzer: fuzzer.sh OUT
set -eu
out=$1
Tests/tools/modules.sh "$out" -sanitize=fuzzer,address
# Not in one step: with -g the compiler would leave its files where it was called.
swiftc -swift-version 6 -parse-as-library -wmo -O -g -module-name Fuzz -sanitize=fuzzer,address \
  -I "$out" -I Include -c -o "$out/fuzz.main" Tests/Fuzz/*.swift
# gold has a warning for each of ASan's own symbols.
if ! swiftc -sanitize=fuzzer,address -o "$out/fuzz" "$out"/*.o -Xlinker "$out/fuzz.main" \
  2> "$out/fuzz.log"; then
  cat "$out/fuzz.log"
  exit 1
fi
