#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the fuzzer, with its canary too: fuzzer.sh OUT
set -eu
out=$1
Tests/tools/modules.sh "$out" -sanitize=fuzzer,address
for canary in "" -DFUZZ_CANARY; do
  program=$out/fuzz${canary:+-canary}
  # Not in one step: with -g the compiler would leave its files where it was called.
  swiftc -swift-version 6 -parse-as-library -wmo -O -g -module-name Fuzz -sanitize=fuzzer,address \
    -I "$out" -I Include $canary -c -o "$program.main" Tests/Fuzz/*.swift
  # gold has a warning for each of ASan's own symbols.
  if ! swiftc -sanitize=fuzzer,address -o "$program" "$out"/*.o -Xlinker "$program.main" \
    2> "$program.log"; then
    cat "$program.log"
    exit 1
  fi
done
