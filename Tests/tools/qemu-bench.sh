#!/bin/bash
# SPDX-License-Identifier: MIT
# The library's SMMU beside QEMU's own, in one QEMU: qemu-bench.sh [RUNS]. At most 11 minutes.
#
# What disturbs a run only makes it slower, its CPU time too, and lasts longer than a run: medians
# follow the load of the machine, the best does not. So a guest measures each row three to six times
# and the best counts; guests of both kinds take turns, and who is first does too; the table has the
# medians over the guests, and the best of all behind. By the best a row is marked: "same" if they
# differ by less than 5 %, "not faster" if the library's is worse than that.
#
# VSMMUV3_KERNEL is an arm64 Image with DMA_MAP_BENCHMARK, NVMe and virtio-blk built in,
# VSMMUV3_HEADERS its exported headers. OPTIONS=,tlb-entries=64 goes to the device, ONLY=1 runs the
# library's alone, PERF="perf record -g" goes before QEMU.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
. Tests/tools/qemu-common.sh
runs=${1:-10}
seconds=600
other=${VSMMUV3_VM_DIR:-$HOME/.cache/vsmmuv3-vm}/kernel
kernel=${VSMMUV3_KERNEL:-$other/Image}
headers=${VSMMUV3_HEADERS:-$other/headers/include}
[ -e "$kernel" ] || die "no kernel with DMA_MAP_BENCHMARK: set VSMMUV3_KERNEL"
results=$PWD/${BUILD:-build}/qemu-bench
mkdir -p "$results"
rm -f "$results"/*
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/root/bin"
for program in map reads; do
  aarch64-linux-gnu-gcc -O1 -Wall -static -I"$headers" -o "$work/root/bin/$program" \
    "Tests/tools/qemu-$program.c"
done
initramfs "$work/initrd"
pack "$work/root" >> "$work/initrd"
for d in nvme vda; do head -c 64M /dev/urandom > "$work/$d.img"; done

# Milliseconds of CPU time of a process.
cpu_ms() {
  awk -v tick="$(getconf CLK_TCK)" '{ print int(($14 + $15) * 1000 / tick) }' "/proc/$1/stat"
}

# guest RUN NAME ARGUMENT...: its numbers, "RUN NAME ROW VALUE" a line
guest() {
  local run=$1 name=$2 console=$work/console since pid child
  shift 2
  since=$(date +%s%N)
  rm -f "$console"
  ${PERF:-} timeout -k 1 120 "$qemu" -nodefaults -display none -no-reboot \
    -serial "file:$console" -m 1G -smp 2 -kernel "$kernel" -initrd "$work/initrd" \
    -object iothread,id=thread "$@" \
    -drive "if=none,id=nvme,format=raw,cache=unsafe,file=$work/nvme.img" \
    -device nvme,drive=nvme,serial=1 -device edu \
    -drive "if=none,id=vda,format=raw,cache=unsafe,file=$work/vda.img" \
    -device virtio-blk-pci,drive=vda,disable-legacy=on,iommu_platform=on,iothread=thread \
    -append "console=ttyAMA0 panic=-1 iommu.strict=1 iommu.passthrough=0 steps=bench" \
    < /dev/null > "$results/errors" 2>&1 &
  pid=$!
  until grep -q '^VM: ' "$console" 2> /dev/null || ! kill -0 $pid 2> /dev/null; do sleep 0.02; done
  echo "$run $name boot_ms $((($(date +%s%N) - since) / 1000000))" >> "$results/all"
  child=$(cut -d ' ' -f 1 "/proc/$pid/task/$pid/children")
  [ -z "$child" ] || echo "$run $name boot_cpu_ms $(cpu_ms "$child")" >> "$results/all"
  wait $pid || die "a guest failed: see $results/errors"
  sed -n "s/\r//; s/^VM: bench /$run $name /p" "$console" >> "$results/all"
  cp "$console" "$results/$name.console"
}

qemus() {
  [ -n "${ONLY:-}" ] || guest "$1" qemu -M virt,gic-version=3,iommu=smmuv3 -cpu max,pauth-impdef=on
}

librarys() {
  guest "$1" library "${machine[@]}" -device "vsmmuv3,lib=$library${OPTIONS:-}"
}

run=0
while [ $run -lt "$runs" ] && [ $SECONDS -lt $seconds ]; do
  run=$((run + 1))
  say "run $run of $runs"
  if [ $((run % 2)) = 1 ]; then qemus $run; librarys $run; else librarys $run; qemus $run; fi
done

# Rates are better when higher, times when lower.
echo "| $(date +%F), medians of $run runs (best) | iommu=smmuv3 | vsmmuv3 | |"
echo "|---|---|---|---|"
awk '
  function better(row, a, b) { return row ~ /_per_s/ ? a > b : a < b }
  function median(row, name,    n, i, j, v, t) {
    for (i = 1; i <= runs; i++) if ((i, name, row) in best) v[++n] = best[i, name, row]
    for (i = 2; i <= n; i++)
      for (j = i; j > 1 && better(row, v[j], v[j - 1]); j--) {
        t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
      }
    top = v[1]
    return v[int((n + 1) / 2)]
  }
  function mark(row, ours, theirs,    ratio) {
    ratio = row ~ /_per_s/ ? ours / theirs : theirs / ours
    return ratio < 0.95 ? "not faster" : ratio < 1.05 ? "same" : ""
  }
  {
    if (!seen[$3]++) order[++rows] = $3
    if (!(($1, $2, $3) in best) || better($3, $4, best[$1, $2, $3])) best[$1, $2, $3] = $4
    if ($1 > runs) runs = $1
  }
  END {
    for (r = 1; r <= rows; r++) {
      row = order[r]
      theirs = median(row, "qemu"); theirtop = top
      ours = median(row, "library")
      printf "| %s | %s (%s) | %s (%s) | %s |\n", row, theirs, theirtop, ours, top,
        theirtop && top ? mark(row, top, theirtop) : ""
    }
  }' "$results/all"
