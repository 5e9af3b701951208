#!/bin/sh
# SPDX-License-Identifier: MIT
# A VMM with an assigned device, and its guest: on the emulated host, and on Linux with a real SMMU
# driver where a guest of it can be run here.
. Tests/tools/check.sh
. Tests/tools/guest.sh

out=$BUILD/test/endtoend
arm64=build-arm64
mkdir -p "$out"

# program NAME COMPILER FLAG...
program() {
  name=$1
  compiler=$2
  shift 2
  # What does not compile shall not run as it was.
  rm -f "$out/$name"
  "$compiler" -std=gnu11 -O1 -g -Wall -Wextra -Werror -IInclude -o "$out/$name" \
    Tests/EndToEnd/*.c Tests/Contract/edu.c "$@" -lpthread
}

# on_linux RELEASE KERNEL: with KVM in the guest.
on_linux() {
  counted "end to end, Linux $1" in_guest "$out/linux" "$1" DEVICES="edu nvme" \
    MACHINE=virtualization=on KERNEL="$2"
}

ok "end to end program" program emulated "${CC:-cc}" "$BUILD/libvsmmuv3.a" \
  "$BUILD/libvsmmuv3-emulated.a"
counted "end to end, emulated host" Tests/tools/patience.sh 120 "$out/emulated"
if [ -n "$(guest_directory)" ]; then
  ok "library for arm64" make --no-print-directory arm64
  ok "end to end program for Linux on arm64" program linux aarch64-linux-gnu-gcc -static -DREAL \
    $arm64/libvsmmuv3.a
  on_linux 7.2.13 iommufd
else
  skip "end to end on Linux 7.2.13 itself" "no guest is set up"
fi
if [ -n "$(linux_7_3)" ]; then
  on_linux 7.3.4 "$(linux_7_3)"
else
  skip "end to end on Linux 7.3.4 itself" "no VSMMUV3_LINUX_7_3"
fi
finish
