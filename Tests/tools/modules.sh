#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles the libraries' modules with plain swiftc, for builds that SwiftPM does not make (fuzzers,
# sanitizers of C programs): modules.sh OUT FLAG...
# Leaves OUT/*.o and OUT/*.swiftmodule, and nothing to do for who asks for the same again.
# MODULES: those to compile, where OUT has the others.
set -eu
out=$1
shift
mkdir -p "$out"
# The flags of what is there, as old as the oldest of it can be.
built=$out/modules.flags
if [ -z "${MODULES-}" ] && [ "$(cat "$built" 2> /dev/null)" = "$*" ] &&
  [ -z "$(find Sources Include "$0" -newer "$built" -print -quit)" ]; then
  exit
fi
rm -f "$built"
echo "$*" > "$built.new"
{
  printf 'module CSupport { header "%s" header "%s" export * }\n' \
    "$PWD/Sources/CSupport/include/vsmmu_support.h" "$PWD/Sources/CSupport/include/vsmmu_reserve.h"
  printf 'module CKernel { header "%s" header "%s" export * }\n' \
    "$PWD/Sources/CKernel/include/vsmmu_iommufd.h" "$PWD/Sources/CKernel/include/vsmmu_system.h"
} > "$out/module.modulemap"
sanitize=
for flag in "$@"; do
  case $flag in -sanitize=*) sanitize="-f$(echo "${flag#-}" | sed 's/fuzzer/fuzzer-no-link/')" ;; esac
done
clang=$(Sources/tools/toolchain.sh)/clang
# The files of a C module as one object: of a module there is one.
for file in Sources/CSupport/*.c; do
  # One flag or none.
  # shellcheck disable=SC2086
  "$clang" -std=gnu11 -O1 -g $sanitize -ISources/CSupport/include \
    -c "$file" -o "$out/CSupport_$(basename "$file" .c).part"
done
ld -r -o "$out/CSupport.o" "$out"/CSupport_*.part
# shellcheck disable=SC2086
"$clang" -std=gnu11 -O1 -g $sanitize -ISources/CKernel/include \
  -c Sources/CKernel/system.c -o "$out/CKernel.o"
all="SMMUAtomics SMMUSpec SMMUModel SMMUBase SMMUHost SMMUEmulated VSMMUShared VSMMU VSMMUEmulated"
for module in ${MODULES:-$all}; do
  find "Sources/$module" -name '*.swift' | sort > "$out/$module.files"
  swiftc -swift-version 6 -parse-as-library -wmo -O -g -module-name $module \
    -emit-module -emit-module-path "$out/$module.swiftmodule" \
    -I "$out" -I Include -c -o "$out/$module.o" "$@" "@$out/$module.files"
done
[ -n "${MODULES-}" ] || mv "$built.new" "$built"
