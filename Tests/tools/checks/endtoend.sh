#!/bin/sh
# SPDX-License-Identifier: MIT
# A VMM with an assigned device, and its guest: on the emulated host, and on Linux with a real SMMU
# driver where a guest of it can be run here.
. Tests/tools/check.sh
. Tests/tools/guest.sh

out=$BUILD/test/endtoend
arm64=.build-arm64
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

# The library for arm64 as one object that shows its own names alone.
library_for_arm64() {
  # SwiftPM leaves members of an old archive in the new one.
  rm -f $arm64/aarch64-none-none-elf/release/libvsmmuv3-static.a
  VSMMU_RUNTIME=embedded swiftpm build -c release --triple aarch64-none-none-elf \
    -Xcc -isystem/usr/aarch64-linux-gnu/include -Xcc -fPIC --product vsmmuv3-static --scratch-path $arm64 &&
    sed -n 's/^ *\(vsmmu_[a-z0-9_]*\);$/\1/p' Sources/VSMMU/vsmmuv3.map > "$out/names" &&
    aarch64-linux-gnu-ld -r --wrap=posix_memalign --wrap=free -o "$out/all.o" \
      --whole-archive $arm64/aarch64-none-none-elf/release/libvsmmuv3-static.a &&
    aarch64-linux-gnu-objcopy --keep-global-symbols="$out/names" "$out/all.o" "$out/vsmmuv3.o"
}

ok "end to end program" program emulated "${CC:-cc}" "$BUILD/libvsmmuv3.a"
counted "end to end, emulated host" Tests/tools/patience.sh 120 "$out/emulated"
if [ -n "$(guest_directory)" ]; then
  ok "library for arm64" library_for_arm64
  ok "end to end program for Linux on arm64" program linux aarch64-linux-gnu-gcc -static -DREAL \
    "$out/vsmmuv3.o" -lm
  # With KVM in the guest.
  counted "end to end, Linux" in_guest "$out/linux" all DEVICES="edu nvme" \
    MACHINE=virtualization=on
else
  skip "end to end on Linux itself" "no guest is set up"
fi
finish
