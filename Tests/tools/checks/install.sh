#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make install` puts down is enough to compile, link and run against, and `make uninstall`
# takes all of it away.
. Tests/tools/check.sh

llvm=$(Sources/tools/toolchain.sh)
work=$PWD/$BUILD/test/install
root=$work/root
hello=$PWD/examples/hello.c
patience=$PWD/Tests/tools/patience.sh
rm -rf "$work"
mkdir -p "$work"
ok "packages of the consumers" Sources/tools/packages.sh need run tests

# files FOLDER: what is in it, sorted.
files() { (cd "$1" && find . ! -type d | LC_ALL=C sort); }
make_quiet() {
  make --no-print-directory "$@" > "$work/make.log" 2>&1 || { cat "$work/make.log"; false; }
}

# Into a staging folder, as packagers do, with Debian's folder of libraries.
debian="DESTDIR=$root PREFIX=/usr LIBDIR=/usr/lib/x86_64-linux-gnu"
# shellcheck disable=SC2086 # several words
ok "make install for Debian" make_quiet install $debian
sort > "$work/wanted" << 'END'
./usr/include/vsmmuv3.h
./usr/include/vsmmuv3_emulated.h
./usr/include/vsmmuv3_fdt.h
./usr/lib/debug/.build-id/ID.debug
./usr/lib/debug/.build-id/ID.debug
./usr/lib/x86_64-linux-gnu/.debug/libvsmmuv3-emulated.so.0.debug
./usr/lib/x86_64-linux-gnu/.debug/libvsmmuv3.so.0.debug
./usr/include/vsmmuv3_host.h
./usr/lib/x86_64-linux-gnu/libvsmmuv3-emulated.a
./usr/lib/x86_64-linux-gnu/libvsmmuv3-emulated.so
./usr/lib/x86_64-linux-gnu/libvsmmuv3-emulated.so.0
./usr/lib/x86_64-linux-gnu/libvsmmuv3.a
./usr/lib/x86_64-linux-gnu/libvsmmuv3.so
./usr/lib/x86_64-linux-gnu/libvsmmuv3.so.0
./usr/lib/x86_64-linux-gnu/pkgconfig/vsmmuv3-emulated.pc
./usr/lib/x86_64-linux-gnu/pkgconfig/vsmmuv3.pc
./usr/share/man/man3/vsmmuv3.3
./usr/share/man/man3/vsmmuv3_emulated.3
./usr/share/man/man3/vsmmuv3_host.3
END
files "$root" | sed 's|/[0-9a-f]*/[0-9a-f]*\.debug$|/ID.debug|' > "$work/is"
same "what is installed" "$work/wanted" "$work/is"
ok "others may read it" [ -z "$(find "$root" ! -perm -a+r)" ]
build_id() { readelf -n "$1" | sed -n 's|^ *Build ID: \(..\)|\1/|p'; }
for name in vsmmuv3 vsmmuv3-emulated; do
  folder=$root/usr/lib/x86_64-linux-gnu
  ok "lib$name.so is a link to the SONAME" \
    [ "$(readlink "$folder/lib$name.so")" = lib$name.so.0 ]
  ok "the debug file of lib$name.so.0 is where its build-id says" \
    [ -s "$root/usr/lib/debug/.build-id/$(build_id "$folder/lib$name.so.0").debug" ]
  ok "a debugger finds it beside lib$name.so.0" [ -s "$folder/.debug/lib$name.so.0.debug" ]
done
# A later version has another build-id.
mkdir -p "$root/usr/lib/debug/.build-id/00"
touch "$root/usr/lib/debug/.build-id/00/11.debug"
ln -sf ../../debug/.build-id/00/11.debug \
  "$root/usr/lib/x86_64-linux-gnu/.debug/libvsmmuv3.so.0.debug"
# shellcheck disable=SC2086 # several words
ok "make install over an older version" make_quiet install $debian
ok "its debug file is gone" [ ! -e "$root/usr/lib/debug/.build-id/00" ]
empty "nothing names the staging folder" grep -rlF "$root" "$root"
# A neighbour's file stays, and no folder of ours.
touch "$root/usr/include/other.h"
# shellcheck disable=SC2086 # several words
ok "make uninstall" make_quiet uninstall $debian
ok "uninstall leaves nothing but what is others'" [ "$(files "$root")" = ./usr/include/other.h ]
ok "no folder of debug files" [ ! -e "$root/usr/lib/debug" ]

# `sudo make install` may know no Swift. Without a library it would need it.
mkdir -p "$work/bin"
printf '#!/bin/sh\nexit 1\n' > "$work/bin/swift"
chmod +x "$work/bin/swift"
without_swift() {
  PATH="$work/bin:$PATH" make_quiet install DESTDIR="$work/late"
}
compiles() { make --no-print-directory -n install BUILD="$1" | grep -q 'swift build'; }
ok "make library" make_quiet library
ok "make install compiles nothing after it" without_swift
ok "make install compiles what is not there" compiles "$work/empty"

# Where it stays, as users do.
prefix=$work/prefix
ok "make install PREFIX=" make_quiet install PREFIX="$prefix"
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
unset PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_LIBDIR
version=$(pkg-config --modversion vsmmuv3)
ok "the header tells the same version ($version)" \
  grep -qF "/* \"$version\", for people." Include/vsmmuv3.h
ok "the changelog begins with it" sh -c "grep '^## ' CHANGELOG.md | head -n 1 | grep -q '^## $version\>'"

# Every consumer prints this, from outside the tree.
answers() {
  said=$(cd "$work" && LD_LIBRARY_PATH="$prefix/lib" "$patience" 60 "$1" < /dev/null) &&
    case $said in
      *"library $version, API "*"IOVA 0x601234 -> PA 0x40201234"*) ;;
      *) printf '%s\n' "$said"; false ;;
    esac
}
needs_library() { readelf -d "$1" | grep -q 'NEEDED.*libvsmmuv3\.so\.0'; }

# consumer NAME COMPILER LINK FLAG...: hello.c from a folder of its own, LINK shared, static (all of
# the program) or archive (the library alone).
consumer() {
  name=$1
  compiler=$2
  link=$3
  shift 3
  mkdir -p "$work/$name"
  cp "$hello" "$work/$name"
  case $link in
    shared) libraries=$(pkg-config --libs vsmmuv3) ;;
    static) libraries="-static $(pkg-config --static --libs vsmmuv3)" ;;
    archive) libraries=$prefix/lib/libvsmmuv3.a ;;
  esac
  # shellcheck disable=SC2046,SC2086 # several flags
  (cd "$work/$name" &&
    "$compiler" -Wall -Wextra -Werror "$@" $(pkg-config --cflags vsmmuv3) -c hello.c &&
    "$compiler" -o vmm hello.o $libraries) || return
  [ "$link" = shared ] || ! needs_library "$work/$name/vmm" || return
  [ "$link" != shared ] || needs_library "$work/$name/vmm" || return
  answers "$work/$name/vmm"
}

# hello.c is C11; C++17 has other words for the alignment.
aligned='-D_Alignas(n)=__attribute__((aligned(n)))'
for link in shared static archive; do
  for compiler in gcc "$llvm/clang"; do
    who=$(basename "$compiler")
    ok "hello.c, C11, $who, $link" consumer "$who-$link" "$compiler" $link -std=c11
  done
  for compiler in g++ "$llvm/clang++"; do
    who=$(basename "$compiler")
    ok "hello.c, C++17, $who, $link" consumer "$who-$link" "$compiler" $link -std=c++17 -x c++ \
      "$aligned" -Wno-missing-field-initializers -Wno-missing-designated-field-initializers
  done
done

# project NAME FILE: the lines of docs/install.md.
project() {
  rm -rf "${work:?}/$1"
  mkdir -p "$work/$1"
  cp "$hello" "$2" "$work/$1"
}
meson_consumer() {
  project meson Tests/Consumer/meson.build
  meson setup "$work/meson/build" "$work/meson" > "$work/meson.log" 2>&1 &&
    ninja -C "$work/meson/build" >> "$work/meson.log" 2>&1 ||
    { cat "$work/meson.log"; return 1; }
  answers "$work/meson/build/vmm"
}
cmake_consumer() {
  project cmake Tests/Consumer/CMakeLists.txt
  cmake -S "$work/cmake" -B "$work/cmake/build" > "$work/cmake.log" 2>&1 &&
    cmake --build "$work/cmake/build" >> "$work/cmake.log" 2>&1 ||
    { cat "$work/cmake.log"; return 1; }
  answers "$work/cmake/build/vmm"
}
ok "meson" meson_consumer
ok "CMake" cmake_consumer

# The emulated host beside it, from outside the tree.
emulated_consumer() {
  program=$work/emulated-$1
  case $1 in
    shared) flags=$(pkg-config --cflags --libs vsmmuv3 vsmmuv3-emulated) ;;
    static) flags="-static $(pkg-config --static --cflags --libs vsmmuv3 vsmmuv3-emulated)" ;;
  esac
  # shellcheck disable=SC2086 # several flags
  cc -std=c11 -Wall -Wextra -Werror -o "$program" Tests/Consumer/emulated.c $flags &&
    LD_LIBRARY_PATH="$prefix/lib" "$patience" 60 "$program" < /dev/null |
    grep -q '^a device is attached, system calls: [1-9][0-9]'
}
for link in shared static; do ok "the emulated host, $link" emulated_consumer $link; done

# The pages: without a warning, with every function of their headers.
untold() {
  declared "$1" | while read -r function; do grep -qF "$function(" "$work/page" || echo "$function"; done
}
# Functions of a header alone, without those of the headers that it includes.
declared() {
  grep -v '^#include "' "Include/$1.h" | cc -E -P -I Include -x c - 2> /dev/null |
    grep -o '\bvsmmu_[a-z0-9_]* *(' | tr -d ' (' | sort -u
}
for name in vsmmuv3 vsmmuv3_host vsmmuv3_emulated; do
  page=$prefix/share/man/man3/$name.3
  empty "groff has nothing to say of $name(3)" groff -man -ww -z "$page"
  ok "man finds $name(3)" sh -c \
    "MANPATH='$prefix/share/man' man -w 3 $name | grep -q $name.3"
  purpose=$(sed -n "s/^ \* $name\.h - \(.*\)\.\$/\1/p" "Include/$name.h")
  ok "$name(3): $purpose" sh -c "lexgrog '$page' | grep -qF '\"$name - $purpose\"'"
  LC_ALL=C.UTF-8 MANWIDTH=100 man -l "$page" > "$work/page" 2> /dev/null
  ok "$name(3) has functions" [ -n "$(declared $name)" ]
  empty "$name(3) has every function" untold $name
  ok "sections of $name(3) are the header's" [ "$(grep -c '^[0-9]*\. [A-Z]' "$work/page")" = \
    "$(grep -c '^ \* [0-9]*\. [A-Z]' "Include/$name.h")" ]
done

ok "make uninstall PREFIX=" make_quiet uninstall PREFIX="$prefix"
empty "it leaves nothing" files "$prefix"
finish
