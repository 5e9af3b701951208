#!/bin/sh
# SPDX-License-Identifier: MIT
# The contract with the kernel: the same calls on the emulated kernel, on what Linux answered when
# its output was committed, and on Linux itself where a guest of it can be run here.
. Tests/tools/check.sh
. Tests/tools/guest.sh

data=Tests/Data/contract
out=$BUILD/test/contract
mkdir -p "$out"

# program NAME COMPILER FLAG...
program() {
  name=$1
  compiler=$2
  shift 2
  # What does not compile shall not run as it was.
  rm -f "$out/$name"
  "$compiler" -std=gnu11 -O1 -g -Wall -Wextra -Werror -IInclude -ISources/CKernel/include \
    -o "$out/$name" Tests/Contract/*.c "$@"
}

# The rows of a log, without what is said about them.
rows() {
  grep -v -e '^FAIL' -e ' passed, ' "$1"
}

# emulated VERSION: each machine on the emulated kernel.
emulated() {
  : > "$out/emulated-$1.txt"
  for machine in whole incoherent unnested ats; do
    counted "emulated $1 $machine" Tests/tools/patience.sh 120 "$out/emulated" \
      "$BUILD/libvsmmuv3-emulated.so.0" "$1" $machine
    rows "$log" >> "$out/emulated-$1.txt"
  done
  same "the emulated $1 says what is committed" "$data/emulated-$1.txt" "$out/emulated-$1.txt"
  counted "emulated $1 bars" Tests/tools/patience.sh 120 "$out/emulated" \
    "$BUILD/libvsmmuv3-emulated.so.0" "$1" bars
  rows "$log" > "$out/bars-$1.txt"
  same "the emulated $1 says of BARs what is committed" "$data/bars.txt" "$out/bars-$1.txt"
}

# differences REAL EMULATED: the rows whose answers differ, as row, real, emulated.
differences() {
  awk -v OFS='\t' '
    { row = substr($0, 1, 65); sub(/ +$/, "", row); gsub(/  +/, " ", row) }
    { answer = substr($0, 67); gsub(/  +/, " ", answer) }
    NR == FNR { real[row] = answer; next }
    { seen[row] = 1 }
    !(row in real) { print row, "none", answer }
    row in real && real[row] != answer { print row, real[row], answer }
    END { for (row in real) if (!(row in seen)) print row, real[row], "none" }
  ' "$1" "$2" | LC_ALL=C sort
}

# explained RELEASE VERSION: every difference from that Linux is in the table with its reason, and
# the table has no others.
explained() {
  differences "$data/linux-$1.txt" "$data/emulated-$2.txt" > "$out/differences-$2"
  awk -F '\t' -v OFS='\t' -v release="$1" '$1 == release { print $2, $3, $4 }' \
    "$data/differences.tsv" | LC_ALL=C sort > "$out/explained-$2"
  diff -u "$out/explained-$2" "$out/differences-$2"
}

without_reason() {
  awk -F '\t' 'NF != 5 || $5 == ""' "$data/differences.tsv"
}

# on_linux MACHINE VARIABLE=VALUE...
on_linux() {
  counted "Linux $release $1" in_guest "$out/linux" "$@" KERNEL="$kernel"
  rows "$log" >> "$out/linux-$release.txt"
}

# A second SMMU, with a device of its own.
second="-device pxb-pcie,id=pcie.8,bus_nr=8,bus=pcie.0 \
  -device arm-smmuv3,primary-bus=pcie.8,id=smmu8,stage=nested \
  -device pcie-root-port,bus=pcie.8,id=rp8,chassis=8 -device e1000e,bus=rp8,romfile="

# linux RELEASE KERNEL: each machine on that kernel.
linux() {
  release=$1
  kernel=$2
  : > "$out/linux-$release.txt"
  on_linux whole DEVICES="edu nvme e1000e" QEMU_ARGS="$second"
  on_linux incoherent DEVICES="edu nvme" CANWBS=0
  on_linux unnested DEVICES="edu nvme" STAGE=1
  same "Linux $release says what is committed" "$data/linux-$release.txt" \
    "$out/linux-$release.txt"
  bars_on_linux
}

# BARs want a kernel that was built for them: ZONE_DEVICE and PCI_P2PDMA give VFIO_PCI_DMABUF. Where
# it was not, no row after the first of DMA_BUF is as it should be.
bars_on_linux() {
  in_guest "$out/linux" bars DEVICES="edu nvme" KERNEL="$kernel" > "$out/bars-linux-$release.log"
  rows "$out/bars-linux-$release.log" > "$out/bars-linux-$release.txt"
  if grep -q 'FEATURE PROBE  *ENOTTY' "$out/bars-linux-$release.txt"; then
    skip "BARs on Linux $release itself" "its kernel has no CONFIG_VFIO_PCI_DMABUF"
  else
    same "Linux $release says of BARs what is committed" "$data/bars.txt" \
      "$out/bars-linux-$release.txt"
  fi
}

ok "contract program" program emulated "${CC:-cc}" -ldl
emulated 7.2
emulated 7.3
# CMDQ-V: no Linux here has it, so there is nothing to compare with but what is committed.
counted "emulated 7.3 direct" Tests/tools/patience.sh 120 "$out/emulated" \
  "$BUILD/libvsmmuv3-emulated.so.0" 7.3 direct
rows "$log" > "$out/emulated-direct.txt"
same "the emulated CMDQ-V says what is committed" "$data/emulated-direct.txt" \
  "$out/emulated-direct.txt"
ok "each difference from Linux 7.2.13 is explained" explained 7.2.13 7.2
ok "each difference from Linux 7.3.4 is explained" explained 7.3.4 7.3
empty "each explanation is one" without_reason
if [ -n "$(guest_directory)" ]; then
  ok "contract program for Linux on arm64" program linux aarch64-linux-gnu-gcc -static -DREAL
  linux 7.2.13 iommufd
else
  skip "contract on Linux 7.2.13 itself" "no guest is set up; what it said is committed"
fi
if [ -n "$(linux_7_3)" ]; then
  linux 7.3.4 "$(linux_7_3)"
else
  skip "contract on Linux 7.3.4 itself" "no VSMMUV3_LINUX_7_3; what it said is committed"
fi
finish
