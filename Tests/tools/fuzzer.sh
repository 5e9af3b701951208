#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the fuzzer, with its canary too: fuzzer.sh OUT
set -eu
out=$1
Tests/tools/modules.sh "$out" -sanitize=fuzzer,address
for canary in "" -DFUZZ_CANARY; do
  swiftc -swift-version 6 -parse-as-library -wmo -O -g -module-name Fuzz -sanitize=fuzzer,address \
    -I "$out" -I Include $canary -o "$out/fuzz${canary:+-canary}" Tests/Fuzz/*.swift "$out"/*.o
done
