#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints what the files of MODULEs, those below first, define, import and refer to, in the words of
# arrows.c: arrows.sh ROOT OUT MODULE... ROOT has Include and Sources. Compiled is what the compiler
# needs to know names and types alone. OUT keeps the modules: those of an earlier run are used.
set -eu
root=$1
out=$2
shift 2
toolchain=$(dirname "$(Sources/tools/toolchain.sh)")
mkdir -p "$out"
if [ ! -x "$out/arrows" ]; then
  "${CC:-cc}" -std=c11 -O1 -Wall -Wextra -I"$toolchain/local/include" -o "$out/arrows" \
    Tests/tools/arrows.c -L"$toolchain/lib" -lIndexStore -Wl,-rpath,"$toolchain/lib"
fi
for include in "$PWD"/Sources/*/include; do
  echo "module $(basename "$(dirname "$include")") {"
  for header in "$include"/*.h; do echo "  header \"$header\""; done
  echo '  export *'
  echo '}'
done > "$out/module.modulemap"
store=$out/store
rm -rf "$store"
for module in "$@"; do
  find "$root/Sources/$module" -name '*.swift' | sort > "$out/$module.files"
  # The index wants a name of an object for each file, though none is made.
  sed "s|.*/||; s|swift\$|o|; s|^|$module/|" "$out/$module.files" > "$out/$module.units"
  compile="swiftc -swift-version 6 -parse-as-library -wmo -module-name $module"
  $compile -emit-module -emit-module-path "$out/$module.swiftmodule" \
    -Xfrontend -experimental-skip-all-function-bodies -I "$out" -I "$root/Include" \
    "@$out/$module.files" 1>&2
  $compile -typecheck -index-store-path "$store" \
    -Xfrontend -index-unit-output-path-filelist -Xfrontend "$out/$module.units" \
    -I "$out" -I "$root/Include" "@$out/$module.files" 1>&2
done
"$out/arrows" "$store" "$root" | sort -u
