#!/bin/sh
# SPDX-License-Identifier: MIT
# The headers stand alone, in every language and compiler that may include them.
. Tests/tools/check.sh

llvm=$(Sources/tools/toolchain.sh)

# compiles HEADER COMPILER STANDARD LANGUAGE
compiles() {
  printf '#include <%s>\n#include <%s>\n' "$1" "$1" |
    "$2" "-std=$3" -x "$4" -Wall -Wextra -Wpedantic -Werror -IInclude -fsyntax-only -
}

for path in Include/*.h; do
  header=$(basename "$path")
  for compiler in gcc "$llvm/clang"; do
    ok "$header as C11, $(basename "$compiler")" compiles "$header" "$compiler" c11 c
  done
  for compiler in g++ "$llvm/clang++"; do
    ok "$header as C++17, $(basename "$compiler")" compiles "$header" "$compiler" c++17 c++
  done
done
fdt() {
  mkdir -p "$BUILD/test" && rm -f "$BUILD/test/fdt" &&
    cc -std=c11 -Wall -Wextra -Werror -IInclude -o "$BUILD/test/fdt" Tests/Consumer/fdt.c -lfdt
}
ok "program of the device-tree helper" fdt
counted "vsmmuv3_fdt.h" "$BUILD/test/fdt"
for path in Include/*.h; do
  lines=$(wc -l < "$path")
  ok "$(basename "$path") has at most 600 lines ($lines)" [ "$lines" -le 600 ]
done
ok "vsmmuv3.h includes no other header of the library" sh -c \
  "! grep -q '#include \"vsmmuv3' Include/vsmmuv3.h"
finish
