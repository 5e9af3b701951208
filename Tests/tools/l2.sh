#!/bin/bash
# SPDX-License-Identifier: MIT
# Assigned devices in Linux guests in Linux guests: QEMU (TCG) has a machine with KVM and an SMMUv3,
# whose Linux has iommufd; in it Debian's QEMU for arm64 has guests, and the plugin their SMMU.
#
#   l2.sh setup          fetches Debian's QEMU 11.1, for here and for arm64, and UEFI firmware
#   l2.sh ready          nothing: succeeds if all is there, else says what is missing
#   l2.sh run SCENE...   the scenes of Tests/tools/l2/scenes.sh, or all: what each is to say is
#                        Tests/Data/l2.txt. The last line is "N passed, N failed"
#
# The kernel is that of Tests/tools/guest.sh, ${VSMMUV3_VM_DIR:-~/.cache/vsmmuv3-vm}/kernel/Image, with
# Tests/Data/linux/l2.config.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1
. Tests/tools/qemu-common.sh
. Tests/tools/check.sh

all="nvme mixed lazy refusals canwbs invalidate plugfail ours theirs"
image=${VSMMUV3_VM_DIR:-$HOME/.cache/vsmmuv3-vm}/kernel/Image
host=$cache/host
firmware=$host/usr/share/qemu-efi-aarch64/QEMU_EFI.fd
cross=aarch64-linux-gnu-gcc
arm64=build-arm64/libvsmmuv3.so.0
logs=$PWD/$BUILD/test/l2

ready() {
  # Some are made for less.
  grep -qa 9P2000 "$image" 2> /dev/null && grep -qa "HYP mode not available" "$image" ||
    { echo "there is no kernel with iommufd, KVM and 9p, $image"; return 1; }
  command -v $cross cpio > /dev/null || { echo "no compiler for arm64, or no cpio"; return 1; }
  headers 11.1 > /dev/null || { echo "no headers of QEMU 11.1 (VSMMUV3_QEMU_HEADERS)"; return 1; }
  stock 11.1 > /dev/null && [ -e "$host/usr/bin/busybox" ] ||
    { echo "no QEMU 11.1 for here and for arm64 (make l2-test)"; return 1; }
  [ -e "$arm64" ] || { echo "no $arm64 (make arm64)"; return 1; }
}

# What the machine with KVM finds in its folder l2.
folder() {
  local t
  mkdir -p "$work/l2"
  cp "$firmware" "$image" "$arm64" Tests/tools/l2/scenes.sh "$work/l2/"
  CC=$cross examples/qemu/plugin/build.sh "$(headers 11.1)" "$work/l2/plugin.so" &&
    $cross -O1 -Wall -Wextra -Werror -shared -fPIC -o "$work/l2/ioctl.so" Tests/tools/l2/ioctl.c &&
    t=$(mktemp -d "$work/XXXXXX") && mkdir -p "$t/bin" &&
    $cross -O1 -Wall -static -o "$t/bin/reads" Tests/tools/qemu-reads.c || return
  cp "$host/usr/bin/busybox" "$t/bin/"
  cp Tests/tools/qemu-init.sh "$t/init"
  cp Tests/tools/l2/guest-steps.sh "$t/steps"
  chmod +x "$t/init"
  pack "$t" > "$work/l2/guest.cpio"
  rm -r "$t/bin/reads" "$t/steps"
  cp Tests/tools/l2/host-init.sh "$t/init"
  pack "$t" > "$work/host.cpio"
}

# machine CONSOLE SECONDS INITRD APPEND: with an NVMe and an edu.
machine() {
  truncate -s 0 "$work/nvme.img"
  truncate -s 256M "$work/nvme.img"
  Tests/tools/patience.sh "$2" "$l0" -M virt,gic-version=3,virtualization=on \
    -cpu max,pauth-impdef=on -smp 2 -m 3G -nodefaults -display none -no-reboot -monitor none \
    -serial "file:$1" -device arm-smmuv3,primary-bus=pcie.0,stage=nested \
    -drive "if=none,id=nvme,format=raw,cache=unsafe,file=$work/nvme.img" \
    -device nvme,drive=nvme,serial=1,addr=1.0 \
    -device edu,addr=3.0,dma_mask=0xffffffffffffffff \
    -fsdev "local,id=root,path=$host,security_model=none,readonly=on" \
    -device virtio-9p-pci,fsdev=root,mount_tag=root,disable-legacy=on,iommu_platform=on,addr=4.0 \
    -fsdev "local,id=work,path=$work/l2,security_model=none" \
    -device virtio-9p-pci,fsdev=work,mount_tag=work,disable-legacy=on,iommu_platform=on,addr=5.0 \
    -bios "$firmware" -kernel "$image" -initrd "$3" \
    -append "console=ttyAMA0 quiet panic=-1 iommu.strict=1 iommu.passthrough=0 $4" \
    < /dev/null > "$1.qemu" 2>&1
}

# QEMU's IORT with the promise of coherence, before the initramfs: Linux takes it instead.
promise() {
  local table=$work/acpi/kernel/firmware/acpi
  mkdir -p "$table"
  machine "$logs/iort" 120 "$work/host.cpio" iort=1 || return
  # shellcheck disable=SC2059 # octal escapes
  tr -d '\r' < "$logs/iort" | sed -n 's/^host: iort //p' | awk -f Tests/tools/l2/canwbs.awk \
    > "$work/escapes"
  printf '%b' "$(cat "$work/escapes")" > "$table/iort.aml"
  [ -s "$table/iort.aml" ] || return
  (cd "$work/acpi" && find kernel | cpio -o -H newc --quiet) > "$work/promising.cpio"
  cat "$work/host.cpio" >> "$work/promising.cpio"
}

# What is the same in every run, of SCENE.
told() {
  sed -n "s/^host: $1: \(QEMU ends\|refused\|not refused\|the guest\|answer\|said\)/host: \1/p" \
    "$logs/host"
  if [ -e "$work/l2/$1.console" ]; then
    tr -d '\r' < "$work/l2/$1.console" | sed -nE '/^VM: (done|.* ok$|.*BAD|fault|error|window|pages|groups)/{
      s/\[ *[0-9.]+\] //; /^VM: error/s/0x[0-9a-f]+/N/g; s/^VM: //; p; }'
    sed -n 's/^qemu-system-aarch64: .*\(vsmmuv3: .*\)/QEMU: \1/p; s/^ioctl: /&/p' \
      "$work/l2/$1.errors"
  fi
}

# What is not: calls of the kernel, and the best of each rate.
measured() {
  sed -n "s/^host: \($1: calls: .*[1-9].*\)/> \1/p" "$logs/host"
  [ ! -e "$work/l2/$1.console" ] || tr -d '\r' < "$work/l2/$1.console" |
    sed -n 's/^VM: reads depth \([0-9]*\): /\1 /p' | sort -k 1,1n -k 2,2nr | awk -v scene="$1" '
      !seen[$1]++ { print "> " scene ": reads of 4 KiB per second, depth " $1 ": " $2 }'
}

# scenes INITRD SCENE...
scenes() {
  local initrd=$1 scene status
  shift
  : > "$logs/host"
  machine "$logs/host" $((120 + 240 * $#)) "$initrd" "scenes=$(echo "$*" | tr ' ' ,)"
  status=$?
  tr -d '\r' < "$logs/host" > "$logs/host.lines"
  mv "$logs/host.lines" "$logs/host"
  ok "the machine of $* ends well" [ $status = 0 ]
  ok "its Linux ends well" grep -q '^host: done' "$logs/host"
  empty "it has no error" grep '^host: error' "$logs/host"
  for scene; do
    told "$scene" > "$logs/$scene.told"
    sed -n "s/^$scene: //p" Tests/Data/l2.txt > "$logs/$scene.golden"
    ok "$scene: it is known what that is to say" [ -s "$logs/$scene.golden" ]
    same "$scene: says what it is to say" "$logs/$scene.golden" "$logs/$scene.told"
    sed -n "s/^host: \($scene: [0-9]* s\)$/> \1/p" "$logs/host"
    measured "$scene"
  done
  cp "$work"/l2/*.{console,errors,monitor,trace,refused,calls} "$logs/" 2> /dev/null
}

run() {
  local promising="" plain="" scene
  l0=$(stock 11.1)
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  rm -rf "$logs"
  mkdir -p "$logs"
  ok "what the guests need is built" folder
  for scene in "${@:-$all}"; do
    # shellcheck disable=SC2086 # names
    for scene in $scene; do
      case $scene in canwbs) plain="$plain $scene" ;; *) promising="$promising $scene" ;; esac
    done
  done
  # shellcheck disable=SC2086 # names
  [ -z "$plain" ] || scenes "$work/host.cpio" $plain
  if [ -n "$promising" ]; then
    ok "the table that promises coherence is made" promise
    # shellcheck disable=SC2086 # names
    scenes "$work/promising.cpio" $promising
  fi
  finish
}

case ${1:-} in
  setup)
    stock 11.1 > /dev/null || Tests/tools/qemu.sh stock
    Tests/tools/qemu.sh host
    ;;
  ready) ready ;;
  run)
    shift
    ready > /dev/null || { skip "guests with assigned devices" "$(ready)"; finish; }
    run "$@"
    ;;
  *) sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
