#!/bin/sh
# SPDX-License-Identifier: MIT
# A backtrace from a callback comes through the library to main: with .eh_frame, with frame pointers,
# and in gdb, which finds the installed debug file and tells functions and lines.
. Tests/tools/check.sh

work=$PWD/$BUILD/test/backtrace
root=$work/root
rm -rf "$work"
mkdir -p "$work"

# program NAME FLAG...
program() {
  out=$work/$1
  shift
  cc -std=gnu11 -O1 -g -fno-omit-frame-pointer -fasynchronous-unwind-tables -rdynamic -Wall -Wextra \
    -Werror -IInclude -o "$out" Tests/Backtrace/main.c "$@" -ldl -lpthread
}
make_install() {
  make --no-print-directory install PREFIX="$root" > "$work/make.log" 2>&1 ||
    { cat "$work/make.log"; false; }
}

ok "make install" make_install
ok "program, linked" program shared -L"$root/lib" -lvsmmuv3 -Wl,-rpath,"$root/lib"
ok "program, archive" program archive -DARCHIVE "$root/lib/libvsmmuv3.a"
counted "backtraces, shared" Tests/tools/patience.sh 60 "$work/shared"
counted "backtraces, archive" Tests/tools/patience.sh 60 "$work/archive"

# debugged NAME FLAG...: gdb's backtrace from the first callback.
debugged() {
  out=$work/$1.gdb
  shift
  Tests/tools/patience.sh 300 gdb -q -batch -nx "$@" -ex 'break stop_here' -ex run \
    -ex 'info sharedlibrary' -ex backtrace "$work/shared" > "$out" 2>&1 < /dev/null
}
# reaches_main NAME: the way is whole, and told by functions and lines of the library.
reaches_main() {
  grep -q '^#0 .*stop_here ()' "$work/$1.gdb" && grep -q '^#[0-9]* .* in main ()' "$work/$1.gdb" &&
    grep -q '^#[0-9]* .*vsmmu_mmio_write ()' "$work/$1.gdb" &&
    [ "$(grep -c '^#.* at .*\.swift:[0-9]*$' "$work/$1.gdb")" -ge 5 ] &&
    ! grep -q 'corrupt stack\|?? ()' "$work/$1.gdb" || { cat "$work/$1.gdb"; false; }
}
# found NAME: the debug file was.
found() { grep -q 'Yes  *[^ ]*/libvsmmuv3.so.0$' "$work/$1.gdb"; }

if command -v gdb > /dev/null; then
  ok "gdb, the debug file beside the library" debugged beside
  ok "it reaches main" reaches_main beside
  ok "it has found the debug file" found beside
  rm -r "$root/lib/.debug"
  ok "gdb, the debug file by build-id" debugged id -iex "set debug-file-directory $root/lib/debug"
  ok "it reaches main, too" reaches_main id
  ok "it has found the debug file, too" found id
  # Where a user has not kept it.
  rm -r "$root/lib/debug"
  ok "gdb without the debug file" debugged none
  ok "main is reached all the same" grep -q '^#[0-9]* .* in main ()' "$work/none.gdb"
else
  skip "a backtrace in gdb" "gdb is not installed"
fi
finish
