#!/bin/sh
# SPDX-License-Identifier: MIT
# The program that explores interleavings, with the library in it: explore-program.sh OUT
set -eu
out=$1
Tests/tools/modules.sh "$out" -DEXPLORE -enforce-exclusivity=unchecked -enable-testing
clang=$(Tests/tools/toolchain.sh)/clang
for file in Tests/Exploration/*.c; do
  "$clang" -std=gnu11 -O2 -g -c "$file" -o "$out/exploration_$(basename "$file" .c).o"
done
swiftc -swift-version 6 -parse-as-library -wmo -O -g -enforce-exclusivity=unchecked -module-name Exploration \
  -I "$out" -I Include -I Tests/Exploration -o "$out/explore" Tests/Exploration/*.swift "$out"/*.o
