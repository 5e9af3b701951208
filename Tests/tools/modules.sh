#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles the library's modules with plain swiftc, for builds that SwiftPM does not make (fuzzers,
# sanitizers of C programs): modules.sh OUT FLAG...
# Leaves OUT/*.o and OUT/*.swiftmodule.
set -eu
out=$1
shift
mkdir -p "$out"
{
  printf 'module CSupport { header "%s" export * }\n' \
    "$PWD/Sources/CSupport/include/vsmmu_support.h"
  printf 'module CKernel { header "%s" header "%s" export * }\n' \
    "$PWD/Sources/CKernel/include/vsmmu_iommufd.h" "$PWD/Sources/CKernel/include/vsmmu_system.h"
} > "$out/module.modulemap"
sanitize=
for flag in "$@"; do
  case $flag in -sanitize=*) sanitize="-f$(echo "${flag#-}" | sed 's/fuzzer/fuzzer-no-link/')" ;; esac
done
clang=$(Tests/tools/toolchain.sh)/clang
# One flag or none.
# shellcheck disable=SC2086
"$clang" -std=c11 -O1 -g $sanitize -ISources/CSupport/include \
  -c Sources/CSupport/support.c -o "$out/CSupport.o"
# shellcheck disable=SC2086
"$clang" -std=c11 -O1 -g $sanitize -ISources/CSupport/include \
  -c Sources/CSupport/wait.c -o "$out/CSupport_wait.o"
# shellcheck disable=SC2086
"$clang" -std=gnu11 -O1 -g $sanitize -ISources/CKernel/include \
  -c Sources/CKernel/system.c -o "$out/CKernel.o"
for module in SMMUAtomics SMMUSpec SMMUModel SMMUHost VSMMU; do
  find "Sources/$module" -name '*.swift' | sort > "$out/$module.files"
  swiftc -swift-version 6 -parse-as-library -wmo -O -g -module-name $module \
    -emit-module -emit-module-path "$out/$module.swiftmodule" \
    -I "$out" -I Include -c -o "$out/$module.o" "$@" "@$out/$module.files"
done
