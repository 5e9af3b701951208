#!/bin/bash
# SPDX-License-Identifier: MIT
# The library's SMMU beside QEMU's own, in one QEMU, runs of both in turn: qemu-bench.sh [RUNS].
# Prints a table of medians. VSMMUV3_KERNEL is an arm64 Image with DMA_MAP_BENCHMARK, NVMe and
# virtio-blk built in, VSMMUV3_HEADERS its exported headers. OPTIONS=,tlb-entries=64 goes to the
# device, ONLY=1 runs the library's alone, PERF="perf record -g" goes before QEMU.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
. Tests/tools/qemu-common.sh
runs=${1:-3}
other=${VSMMUV3_VM_DIR:-$HOME/.cache/vsmmuv3-vm}/kernel
kernel=${VSMMUV3_KERNEL:-$other/Image}
headers=${VSMMUV3_HEADERS:-$other/headers/include}
[ -e "$kernel" ] || die "no kernel with DMA_MAP_BENCHMARK: set VSMMUV3_KERNEL"
results=$PWD/${BUILD:-build}/bench
mkdir -p "$results"
rm -f "$results"/*
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/root/bin"
aarch64-linux-gnu-gcc -O1 -Wall -static -I"$headers" -o "$work/root/bin/map" Tests/tools/qemu-map.c
initramfs "$work/initrd"
pack "$work/root" >> "$work/initrd"
for d in nvme vda; do head -c 64M /dev/urandom > "$work/$d.img"; done

# once NAME ARGUMENT...: the guest's numbers, one "NAME ROW VALUE" a line
once() {
  local name=$1 console=$work/console since
  shift
  since=$(date +%s%N)
  rm -f "$console"
  ${PERF:-} timeout -k 1 240 "$qemu" -nodefaults -display none -no-reboot \
    -serial "file:$console" -m 1G -smp 2 -kernel "$kernel" -initrd "$work/initrd" \
    -object iothread,id=thread "$@" \
    -drive "if=none,id=nvme,format=raw,cache=unsafe,file=$work/nvme.img" \
    -device nvme,drive=nvme,serial=1 -device edu \
    -drive "if=none,id=vda,format=raw,cache=unsafe,file=$work/vda.img" \
    -device virtio-blk-pci,drive=vda,disable-legacy=on,iommu_platform=on,iothread=thread \
    -append "console=ttyAMA0 panic=-1 iommu.strict=1 iommu.passthrough=0 steps=bench" \
    < /dev/null > "$results/errors" 2>&1 &
  local pid=$!
  until grep -q '^VM: ' "$console" 2> /dev/null || ! kill -0 $pid 2> /dev/null; do sleep 0.02; done
  echo "$name boot_ms $((($(date +%s%N) - since) / 1000000))" >> "$results/all"
  wait $pid
  sed -n "s/\r//; s/^VM: bench /$name /p" "$console" >> "$results/all"
  cp "$console" "$results/$name.console"
}

for run in $(seq "$runs"); do
  say "run $run of $runs"
  [ -n "${ONLY:-}" ] || once qemu -M virt,gic-version=3,iommu=smmuv3 -cpu max,pauth-impdef=on
  once library "${machine[@]}" -device "vsmmuv3,lib=$library${OPTIONS:-}"
done

median() {
  awk -v n="$1" -v r="$2" '$1 == n && $2 == r { print $3 }' "$results/all" | sort -n |
    awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

echo "| $(date +%F), medians of $runs runs | iommu=smmuv3 | vsmmuv3 |"
echo "|---|---|---|"
for row in $(awk '!seen[$2]++ { print $2 }' "$results/all"); do
  echo "| $row | $(median qemu "$row") | $(median library "$row") |"
done
