#!/bin/sh
# SPDX-License-Identifier: MIT
# The C examples do what they say, and others can read what they write.
. Tests/tools/check.sh

work=$PWD/$BUILD/test/examples
mkdir -p "$work"
host="$BUILD/host --library $BUILD/libvsmmuv3.so.0"
emulated="--assigned --emulated $BUILD/libvsmmuv3-emulated.so.0"

ok "make run" Tests/tools/patience.sh 600 make --no-print-directory run
translates() { "$1" | grep -q 'IOVA 0x601234 -> PA 0x40201234'; }
ok "hello" translates "$BUILD/hello"

# QEMU with stage=2 breaks a rule that the library demands; its F lines of writes are asked as such.
stage2() {
  Tests/tools/capture-stage2.sh "$work" &&
    # shellcheck disable=SC2086 # a command and its arguments
    $host --replay "$work/stage2.trace.gz" "$work/stage2.end.snap.gz" > "$work/stage2.log" &&
    [ "$(grep -c 'corrected  *IDR3.HAD in 1 reads' "$work/stage2.log")" = 2 ]
}
ok "a capture of stage 2 alone, its ID registers corrected" stage2

# shellcheck disable=SC2086 # a command and its arguments
tables() {
  $host "--dtb=$work/tree.dtb" && $host "--iort=$work/iort.aml" &&
    $host $emulated "--dtb=$work/assigned.dtb" && $host $emulated "--iort=$work/assigned.aml"
}
ok "firmware tables are written" tables
tree() {
  dtc -q -I dtb -O dts -o "$work/tree.dts" "$work/tree.dtb" &&
    grep -q 'arm,smmu-v3' "$work/tree.dts" && grep -q 'iommu-map' "$work/tree.dts"
}
ok "dtc reads the device tree" tree
acpi() {
  iasl -p "$work/iort" -d "$work/iort.aml" > "$work/iasl.log" 2>&1 || return
  # SMMUv3, root complex; iasl writes what it does not like into the listing.
  grep -q 'Type : 04' "$work/iort.dsl" && grep -q 'Type : 02' "$work/iort.dsl" &&
    ! grep -qiE 'error|warning|invalid|unknown' "$work/iort.dsl" "$work/iasl.log"
}
ok "iasl reads the IORT" acpi

# With assigned devices: the window of MSIs for them. What is in that node iasl knows since 2021;
# Tests/Conformance/firmware.c reads it.
reserved() {
  iasl -p "$work/assigned" -d "$work/assigned.aml" > "$work/iasl.log" 2>&1 || return
  sed -i '/Unknown IORT node type 0x6/d' "$work/assigned.dsl"
  grep -q 'Type : 02' "$work/assigned.dsl" && grep -q 'Type : 06' "$work/assigned.dsl" &&
    ! grep -qiE 'error|warning|invalid|unknown' "$work/assigned.dsl" "$work/iasl.log"
}
ok "iasl reads the window of MSIs" reserved
# Not -q: the compiler's warnings are of the tree's manners.
window() {
  dtc -I dtb -O dts -o "$work/assigned.dts" "$work/assigned.dtb" 2> "$work/dtc.log" &&
    ! grep -q 'reserved-memory\|ethernet' "$work/dtc.log" &&
    grep -q 'iommu-addresses = <0x05 0x2000000 0x00 0x8000000 0x00 0x100000>' "$work/assigned.dts" &&
    grep -q 'memory-region = <0x04>' "$work/assigned.dts"
}
ok "dtc reads the window of MSIs" window

# Without an iommufd or that device: a sentence with the file.
told() {
  ! $host --assigned --device /dev/vfio/devices/none > "$work/none.log" 2> "$work/none.error" &&
    grep -q '^host: /dev/' "$work/none.error" && grep -q 'NOT all as expected' "$work/none.log"
}
ok "a device of this machine's that is not there is told of" told

# What is installed is enough to build against.
installed() {
  make --no-print-directory install DESTDIR="$work/root" PREFIX=/usr > /dev/null || return
  flags=$(PKG_CONFIG_SYSROOT_DIR="$work/root" PKG_CONFIG_PATH="$work/root/usr/lib/pkgconfig" \
    PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 pkg-config --cflags --libs vsmmuv3)
  # shellcheck disable=SC2086 # flags
  cc -std=c11 -o "$work/hello" examples/hello.c $flags || return
  LD_LIBRARY_PATH="$work/root/usr/lib" translates "$work/hello"
}
ok "make install, pkg-config" installed
finish
