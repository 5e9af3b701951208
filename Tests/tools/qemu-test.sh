#!/bin/bash
# SPDX-License-Identifier: MIT
# Boots Linux in QEMU on the library's SMMU and tells what worked: qemu-test.sh [NAME...]. Consoles
# and QEMU's own words are kept in build/test/qemu. The last line is "N passed, N failed".
# With VSMMUV3_QEMU and VSMMUV3_PLUGIN in that QEMU, by that plugin.
cd "$(dirname "$0")/../.." || exit 1
. Tests/tools/qemu-common.sh
. Tests/tools/check.sh
. Tests/tools/guest.sh
Tests/tools/qemu.sh ready || exit 1

logs=$BUILD/test/qemu${plugin:+-$(series "$qemu")}
mkdir -p "$logs"
work=$(mktemp -d)
trap 'stop; rm -rf "$work"' EXIT
initramfs "$work/initrd"
kernel=$guest/vmlinuz
initrd=$work/initrd
device=vsmmuv3,lib=$library
# A CPU that waits for the host's is a lockup after two minutes only.
always="console=ttyAMA0 panic=-1 watchdog_thresh=60 iommu.strict=1"
pid=

# The one that has the device by a plugin, under one name.
if [ -n "$plugin" ]; then
  printf '#!/bin/sh\nexec "%s" -plugin "%s" "$@"\n' "$qemu" "$plugin" > "$work/qemu"
  chmod +x "$work/qemu"
  qemu=$work/qemu
fi

# trace EVENT: the arguments for it. QEMU has read -trace before it loads a plugin.
trace() {
  if [ -n "$plugin" ]; then echo "-plugin $plugin,trace=$1"; else echo "-trace $1"; fi
}

# Whoever hangs is ended; a machine that others use gives more time.
patience=Tests/tools/patience.sh

# QEMU's monitor listens to what is written to descriptor 7.
stop() {
  [ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2> /dev/null
  pid=
}

# start NAME STEPS APPEND ARGUMENT...
start() {
  name=$1
  local steps=$2 append=$3
  shift 3
  console=$logs/$name.console
  : > "$console"
  rm -f "$work/monitor"
  mkfifo "$work/monitor"
  "$patience" 300 "$qemu" "${machine[@]}" -nodefaults -display none -monitor stdio \
    -serial "file:$console" -m 512M -d guest_errors -D "$logs/$name.guest_errors" \
    -kernel "$kernel" -initrd "$initrd" "$@" \
    -append "$always iommu.passthrough=0 $append steps=$steps" \
    < "$work/monitor" > "$logs/$name.monitor" 2> "$logs/$name.errors" &
  pid=$!
  exec 7> "$work/monitor"
}

# said PATTERN: waits for a line of the guest, as long as QEMU runs.
said() {
  until grep -q "$1" "$console"; do
    kill -0 "$pid" 2> /dev/null || return 1
    sleep 0.2
  done
}

ask() {
  echo "$*" >&7
}

# Waits for the end of the guest; its own lines are checks.
finished() {
  wait "$pid"
  local status=$?
  pid=
  exec 7>&-
  ok "$name: QEMU ends well" [ $status = 0 ]
  ok "$name: the guest ends well" grep -q '^VM: done' "$console"
  empty "$name: QEMU has nothing to say" cat "$logs/$name.errors"
  empty "$name: no mistake of the driver's" grep vsmmuv3: "$logs/$name.guest_errors"
  local what
  while read -r what; do
    ok "$name: guest: $what" grep -q "^VM: $what ok" "$console"
  done < <(sed -nE 's/\r//; s/^VM: ([a-z0-9]+) (ok|BAD).*/\1/p' "$console" | sort -u)
  empty "$name: guest: nothing BAD" grep 'VM: .*BAD\|VM: error' "$console"
}

has() {
  ok "$name: $1" grep -qE "$2" "$console"
}

# traced WHAT PATTERN: a trace event; they are in the log of the guest's mistakes.
traced() {
  ok "$name: traced: $1" grep -qE "^vsmmuv3_$2" "$logs/$name.guest_errors"
}

# disk NAME [MiB]: the arguments of a drive of this name.
disk() {
  truncate -s "${2:-64}M" "$work/$name-$1.img"
  echo "-drive if=none,id=$1,format=raw,cache=unsafe,file=$work/$name-$1.img"
}

network="-netdev user,id=net,guestfwd=tcp:10.0.2.100:7-cmd:cat \
  -device e1000e,netdev=net,romfile=,bus=pcie.0"
virtio=disable-legacy=on,iommu_platform=on

# refused WHAT WORDS ARGUMENT...: QEMU says WORDS and gives up.
refused() {
  local what=$1 words=$2
  shift 2
  "$patience" 60 "$qemu" -M virt -nodefaults -display none -S "$@" < /dev/null \
    > "$logs/refused" 2>&1
  ok "refused: $what" grep -q -- "$words" "$logs/refused"
}

options() {
  local v=vsmmuv3,lib=$library
  refused "no library" "say which library" -device vsmmuv3
  refused "a library that is not there" "no such file\|No such file" -device vsmmuv3,lib=/none
  refused "a library that is another" "is not libvsmmuv3" -device vsmmuv3,lib=libm.so.6
  refused "stage=3" "none of 1, 2, nested" -device "$v,stage=3"
  refused "oas=43" "none of 32" -device "$v,oas=43"
  refused "granules=8k" "4k+16k+64k" -device "$v,granules=8k"
  refused "profile=x" "none of full, linux" -device "$v,profile=x"
  refused "a field that is none" "NOPE" -device "$v,features=NOPE=1"
  refused "what is not implemented" "HYP" -device "$v,features=HYP=1"
  refused "a second SMMU" "an IOMMU already" -device "$v" -device "$v"
  refused "with the machine's own" "an IOMMU already" -M virt,iommu=smmuv3 -device "$v"
  refused "another machine" "only on the machine" -M none -device "$v"
  local o
  for o in stage=1 stage=2 stage=nested oas=40 granules=4k granules=4k+64k ril=off msi=off \
    profile=linux strict=on tlb-entries=64,command-budget=16,reset-aborts=on; do
    "$patience" 60 "$qemu" -M virt -nodefaults -display none -S -monitor stdio -device "$v,$o" \
      <<< quit > "$logs/refused" 2>&1
    ok "accepted: $o" [ $? = 0 ]
  done
}

# Device tree: disks, network, a fault, hot-plug behind a root port, and a second boot.
tree() {
  name=tree
  start tree io,again,fault,hotplug,ringfault "" -smp 2 -device "$device" \
    $(trace vsmmuv3_fault) -object iothread,id=thread \
    $(disk nvme) -device nvme,drive=nvme,serial=1,ioeventfd=on \
    $(disk vda) -device "virtio-blk-pci,drive=vda,$virtio,iothread=thread" \
    $network -device edu,addr=9.0,dma_mask=0xffffffffffffffff \
    -device pcie-root-port,id=rp0,chassis=1,addr=8.0 $(disk hot)
  said 'VM: please plug' && ask "device_add nvme,drive=hot,serial=2,bus=rp0,id=hot"
  said 'VM: please unplug' && ask "device_del hot"
  finished
  has "five groups, translated" "VM: groups [5-9] DMA *.?$"
  has "fault: event" "VM: fault: .*F_TRANSLATION"
  has "fault: StreamID" "VM: fault: .*sid: 0x48"
  has "fault: address" "VM: fault: .*iova: 0x123456000"
  has "fault: a write, unprivileged, stage 1" "VM: fault: .*unpriv data write s1"
  has "a second boot" "VM: booted again"
  has "a fault of an iothread's: event" "VM: ringfault: .*F_TRANSLATION"
  has "a fault of an iothread's: address" "VM: ringfault: .*iova: 0x12345[678]"
  traced "the fault of an iothread" "fault .*iova 0x12345[678]... .*locked 0"
}

# A device tree as for an assigned disk: Linux maps the window of MSIs onto itself, for this device
# alone, and the disk goes on.
window() {
  name=window
  local tree=$work/window.dtb
  gcc -std=gnu11 -O1 -Wall -Wextra -Werror -IInclude -o "$work/window" Tests/tools/qemu-window.c \
    -lfdt || fail "window: the program compiles"
  "$qemu" "${machine[@]}" -M "dumpdtb=$tree" -nodefaults -display none -m 512M -device "$device" \
    < /dev/null 2> /dev/null
  ok "window: in the tree" "$work/window" "$tree" "$tree"
  start window io,window "" -device "$device" -dtb "$tree" \
    $(disk nvme) -device nvme,drive=nvme,serial=1,addr=1.0 $network,addr=2.0
  finished
  has "mapped onto itself for the disk" \
    "VM: window 0000:00:01.0 0x0000000008000000 0x00000000080fffff direct"
  empty "window: for no other" grep 'VM: window 0000:00:0[^1].* direct' "$console"
}

# The machine is reset in the middle of I/O.
reset() {
  name=reset
  start reset reset,io "" -smp 2 -device "$device" -object iothread,id=thread \
    $(disk nvme) -device nvme,drive=nvme,serial=1 \
    $(disk vda) -device "virtio-blk-pci,drive=vda,$virtio,iothread=thread" $network
  said 'VM: please reset' && ask system_reset
  finished
  has "two boots" "VM: booted again"
}

# second_disk COMMAND-LINE [PROPERTY CELL...]: a disk with a kernel, an initramfs and a device tree
# that has this property, and in $ends where each ends.
second_disk() {
  local tree=$work/tree out=$work/next line=$1 from=$((0x68000000)) file
  shift
  "$qemu" "${machine[@]}" -M "dumpdtb=$tree" -display none "${two[@]}" < /dev/null 2> /dev/null
  fdtput -t s "$tree" /chosen bootargs "$always $line"
  fdtput -t x "$tree" /chosen linux,initrd-start 0 "$(printf %x $from)"
  fdtput -t x "$tree" /chosen linux,initrd-end 0 \
    "$(printf %x $((from + $(stat -c %s "$initrd"))))"
  [ $# = 0 ] || fdtput -t x "$tree" /chosen "$@"
  ends=
  : > "$out"
  for file in "$kernel" "$initrd" "$tree"; do
    cat "$file" >> "$out"
    truncate -s %65536 "$out"
    ends=$ends$(($(stat -c %s "$out") / 65536))+
  done
}

# next NAME STEP DISK APPEND ARGUMENT...: Linux, then another in the 256 MiB from 0x60000000 on. DISK
# is said of the disk whose requests are lost on the way.
next() {
  name=$1
  local step=$2 disk=$3 append=$4 ends two
  shift 4
  two=(-m 1G -smp 2 -device "$device" -object iothread,id=thread
    $(disk nvme) -device nvme,drive=nvme,serial=1
    $(disk vda) -device "virtio-blk-pci,drive=vda,$virtio,iothread=thread$disk" $network)
  second_disk "$@"
  start "$name" "io,$step" "next=${ends}0x60000000 $append" "${two[@]}" \
    -drive "if=none,id=next,format=raw,readonly=on,file=$work/next" \
    -device "virtio-blk-pci,drive=next,$virtio"
  # An error, which says where.
  ! said '^VM: error: stuck' || kill "$pid"
  finished
  ok "$name: two kernels" [ "$(grep -c 'VM: pages' "$console")" = 2 ]
}

# Linux boots Linux in the middle of I/O, by will and by a crash. By will, the disk has one queue: a
# second is CPU 1's alone, and Linux, which resets the disk while requests are in flight and forgets
# them (virtio_device_shutdown), would wait for them before it switches that CPU off
# (blk_mq_hctx_notify_offline), for ever, on any SMMU and on none.
kexec() {
  local initrd=$work/initrd.kexec
  mkdir -p "$work/kexec/bin"
  aarch64-linux-gnu-gcc -O1 -Wall -static -o "$work/kexec/bin/kexec" Tests/tools/qemu-kexec.c ||
    fail "kexec: the program compiles"
  { cat "$work/initrd"; pack "$work/kexec"; } > "$initrd"
  next kexec next ,num-queues=1 "" steps=io
  next crash crash "" crashkernel=256M@0x60000000 \
    "nr_cpus=1 reset_devices elfcorehdr=0x60020000 steps=io" \
    linux,usable-memory-range 0 60000000 0 10000000
  has "the driver finds an SMMU at work" "SMMU currently enabled"
}

# UEFI and ACPI, four CPUs, virtio-blk behind an expander bus of its own.
acpi() {
  name=acpi
  start acpi io "" -smp 4 -device "$device" -bios "$guest/QEMU_EFI.fd" \
    $(disk nvme) -device nvme,drive=nvme,serial=1 \
    -device pxb-pcie,id=far,bus=pcie.0,bus_nr=128 \
    -device pcie-root-port,id=rp0,bus=far,chassis=2 \
    $(disk vda) -device "virtio-blk-pci,drive=vda,bus=rp0,$virtio" $network
  finished
  has "groups, translated" "VM: groups [4-9] DMA *.?$"
  has "the driver took the IORT" "VM: driver: .*arm-smmu-v3 arm-smmu-v3.0.auto"
}

# State goes to a file in the middle of I/O, and another QEMU goes on.
migration() {
  name=migration
  local state=$work/state drive where=$work/where
  drive=$(disk vda)
  set -- -smp 2 -device "$device" $drive -device "virtio-blk-pci,drive=vda,$virtio" $network \
    -drive "if=none,id=where,format=raw,readonly=on,file=$where" \
    -device "virtio-blk-pci,drive=where,$virtio"
  # The guest asks this disk where it is.
  truncate -s 4096 "$where"
  start migration load "" "$@"
  said 'VM: please migrate'
  ask "migrate file:$state"
  ask quit
  wait "$pid"
  ok "migration: saved" [ -s "$state" ]
  cp "$console" "$logs/migration.before"
  ok "migration: in the middle of I/O" grep -q 'VM: round 1' "$console"
  printf there > "$where"
  truncate -s 4096 "$where"
  start migration load "" "$@" -incoming "file:$state"
  finished
  has "the second half in another QEMU" 'VM: rounds [0-9]+ and [1-9]'
}

# What Linux does less of: lazy invalidation, by ASID; a stage 1 SMMU without range invalidation.
lazy() {
  name=lazy
  start lazy io iommu.strict=0 -smp 2 -device "$device,profile=linux,ril=off,msi=off" \
    $(disk nvme) -device nvme,drive=nvme,serial=1 \
    $(disk vda) -device "virtio-blk-pci,drive=vda,$virtio" $network
  finished
  has "lazy" "VM: groups [4-9] DMA-FQ *.?$"
}

# The same with four CPUs, and with all that Linux makes use of.
lazy4() {
  name=lazy4
  start lazy4 io iommu.strict=0 -smp 4 -device "$device" -object iothread,id=thread \
    $(disk nvme) -device nvme,drive=nvme,serial=1,ioeventfd=on \
    $(disk vda) -device "virtio-blk-pci,drive=vda,$virtio,iothread=thread" $network
  finished
  has "lazy" "VM: groups [4-9] DMA-FQ *.?$"
}

passthrough() {
  name=passthrough
  start passthrough io iommu.passthrough=1 -smp 1 -device "$device" \
    $(disk nvme) -device nvme,drive=nvme,serial=1 \
    $(disk vda) -device "virtio-blk-pci,drive=vda,$virtio"
  finished
  has "identity" "VM: groups [3-9] identity *.?$"
}

# A stage 2 SMMU: Linux has its DMA mappings there.
stage2() {
  name=stage2
  start stage2 io,fault "" -smp 2 -device "$device,stage=2" $(trace 'vsmmuv3_*') \
    $(disk nvme) -device nvme,drive=nvme,serial=1 -device edu,addr=9.0 \
    $(disk vda) -device "virtio-blk-pci,drive=vda,$virtio"
  finished
  has "groups, translated" "VM: groups [4-9] DMA *.?$"
  has "fault: stage 2, with its IPA" "VM: fault: .*F_TRANSLATION.*ipa: 0x3456000"
  traced "reads of registers" "read 0x0 width 4: 0x[0-9a-f]+$"
  traced "writes of registers" "write 0x[0-9a-f]+ width [48]: 0x"
  traced "translations" "translate sid 0x[0-9a-f]+ iova 0x[0-9a-f]+ flags 0x[01] pa 0x"
  traced "the fault" "fault sid 0x48 iova 0x[0-9a-f]+ flags 0x1 event 0x10 locked 1"
  traced "invalidations" "invalidate kind [0-9] vmid 0x"
  traced "interrupts" "irq line [0-3] locked [01]"
  traced "the reset" "reset"
}

# more_notices: those that a range needed one of, or all of the address space two, and there were
# more.
more_notices() {
  awk '/^vsmmuv3_invalidate / { most = $3 == 3 ? 1 : 2; split("", seen) }
    /^vsmmuv3_unmap / && ++seen[$3, $5] > most' "$logs/$name.guest_errors"
}

# A disk in another process, by vhost-user. It has the guest's memory, and of the SMMU what QEMU
# tells it: here first by notifiers of the region, then by those of a device with an ATC.
vhost() {
  name=vhost
  if ! "$qemu" -device help | grep -q vhost-user-blk-pci; then
    skip "vhost-user" "QEMU was built without it (remove $tree, make qemu)"
    return
  fi
  gcc -std=gnu11 -O1 -Wall -o "$work/vhost" Tests/tools/qemu-vhost.c ||
    fail "vhost: the program compiles"
  truncate -s 64M "$work/vhost.img"
  "$patience" 600 "$work/vhost" "$work/socket" "$work/vhost.img" > "$logs/vhost.counts" &
  local backend=$!
  start vhost io,ats,io "" -smp 2 -device "$device" \
    $(trace vsmmuv3_invalidate) $(trace vsmmuv3_unmap) \
    -object memory-backend-memfd,id=ram,size=512M,share=on -M memory-backend=ram \
    -chardev "socket,id=disk,path=$work/socket" -device pcie-root-port,id=rp0,chassis=1 \
    -device "vhost-user-blk-pci,chardev=disk,num-queues=1,bus=rp0,ats=on,$virtio" $network
  finished
  wait $backend
  cat "$logs/vhost.counts"
  ok "vhost: hundreds of requests" grep -q '^requests [0-9]\{4,\} ' "$logs/vhost.counts"
  ok "vhost: translations were taken back" grep -q 'dropped [0-9]\{3,\}$' "$logs/vhost.counts"
  ok "vhost: the disk twice" [ "$(grep -c 'VM: vda ok' "$console")" = 2 ]
  traced "a notice for the region" "unmap .*cached 0"
  traced "a notice for an ATC" "unmap .*cached 1"
  empty "vhost: a range is one notice" more_notices
  traced "a range that is no power of two" \
    "unmap .*mask 0x([24-689a-e][0-9a-f]*|[0-9a-f]+[0-9a-e][0-9a-f]*)\$"
}

# Debian's other arm64 kernel: pages and granule of 16 KiB.
pages16k() {
  name=pages16k
  if [ ! -e "$guest/16k/base.gz" ]; then
    skip "Linux with pages of 16 KiB" "it is not fetched (make qemu)"
    return
  fi
  initramfs "$work/initrd16k" "$guest/16k"
  local kernel=$guest/16k/vmlinuz initrd=$work/initrd16k
  start pages16k io "" -smp 2 -device "$device" \
    $(disk nvme) -device nvme,drive=nvme,serial=1 \
    $(disk vda) -device "virtio-blk-pci,drive=vda,$virtio" $network
  finished
  has "groups, translated" "VM: groups [4-9] DMA *.?$"
  has "16 KiB" "VM: pages 16384"
}

# Rows of a log of the contract program that this machine shares with the one that was logged: it
# has one SMMU, not two, and one that calls three commands illegal that QEMU's ignores (with
# interrupts off, Linux waits a second for those in vain).
shared_rows() {
  grep -v -e '^FAIL' -e ' passed, ' -e '^foreign ' -e '^inv  *NH_VA, TG without a range' \
    -e '^inv  *NH_VA, SCALE 32' -e '^inv  *ATC_INV without ATS' "$1"
}

# The other way round: this SMMU is the physical one of a Linux with iommufd, whose answers are
# those that it gives on QEMU's SMMU.
nested() {
  local out=$logs/nested second
  if [ -z "$(guest_directory)" ]; then
    skip "iommufd on this SMMU" "its guest is not set up"
    return
  fi
  aarch64-linux-gnu-gcc -std=gnu11 -O1 -IInclude -ISources/CKernel/include -static -DREAL \
    -o "$out" Tests/Contract/*.c || fail "nested: the program compiles"
  second="-device pxb-pcie,id=pcie.8,bus_nr=8,bus=pcie.0 \
    -device pcie-root-port,bus=pcie.8,id=rp8,chassis=8 -device e1000e,bus=rp8,romfile="
  in_guest "$out" whole QEMU="$qemu" SMMU=none KERNEL=iommufd DEVICES="edu nvme e1000e" \
    QEMU_ARGS="-device $device,oas=44 $second" < /dev/null > "$out.log"
  shared_rows "$out.log" > "$out.rows"
  shared_rows Tests/Data/contract/linux-7.2.13.txt | head -n "$(wc -l < "$out.rows")" > "$out.want"
  ok "nested: $(wc -l < "$out.rows") answers of iommufd" [ "$(wc -l < "$out.rows")" -gt 800 ]
  same "nested: iommufd answers as on QEMU's SMMU" "$out.want" "$out.rows"
}

[ $# != 0 ] || set -- options tree window acpi reset kexec migration vhost \
  lazy lazy4 stage2 pages16k passthrough nested
for t in "$@"; do
  begin=$SECONDS
  "$t"
  echo "> qemu $t: $((SECONDS - begin)) s"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
