#!/bin/sh
# SPDX-License-Identifier: MIT
# The program that explores interleavings, with the library in it: explore-program.sh OUT [MODULE...]
# With modules: those alone are compiled anew, all else is in OUT. No module has code of another one
# in it, so this is the same program. OPTIMIZE: -Onone compiles sooner.
set -eu
out=$1
shift
[ $# != 0 ] || set -- SMMUAtomics SMMUSpec SMMUModel SMMUBase SMMUHost VSMMUShared VSMMU Exploration
modules=$(echo "$*" | sed 's/Exploration//')
[ -z "$modules" ] || MODULES=$modules Tests/tools/modules.sh "$out" -DEXPLORE \
  -enforce-exclusivity=unchecked -enable-testing -disable-cmo -no-emit-module-separately-wmo \
  ${OPTIMIZE-}
case $* in *Exploration*)
  clang=$(Sources/tools/toolchain.sh)/clang
  for file in Tests/Exploration/*.c; do
    "$clang" -std=gnu11 -O2 -g -c "$file" -o "$out/exploration_$(basename "$file" .c).o"
  done
  swiftc -swift-version 6 -parse-as-library -wmo -O -g -enforce-exclusivity=unchecked \
    -module-name Exploration -I "$out" -I Include -I Tests/Exploration -c -o "$out/Exploration.o" \
    Tests/Exploration/*.swift
  ;;
esac
swiftc -o "$out/explore" "$out"/*.o
