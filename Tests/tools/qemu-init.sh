#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# /init of the guests. "steps=A,B" on the kernel command line: what to do, in this order. A line
# "VM: NAME ok" or "VM: NAME BAD ..." for each thing; "VM: please ..." asks the host for something.
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev 2> /dev/null
/bin/busybox --install -s /bin
export PATH=/bin
mount -t tmpfs tmp /tmp
ip link set lo up
echo 1 > /proc/sys/kernel/printk
while read -r module; do insmod "/mod/$module"; done < /mod/order 2> /dev/null
mount -t debugfs debug /sys/kernel/debug

argument() {
  tr ' ' '\n' < /proc/cmdline | sed -n "s/^$1=//p"
}

tell() {
  echo "VM: $*"
}

# told NAME COMMAND...
told() {
  name=$1
  shift
  if "$@"; then tell "$name ok"; else tell "$name BAD"; fi
}

# Five minutes and more: the host may have other things to do. It ends a guest that hangs.
retry() {
  n=0
  until "$@"; do
    n=$((n + 1))
    [ $n -lt 3000 ] || return 1
    sleep 0.1
  done
} 2> /dev/null

sum() {
  md5sum | cut -c 1-32
}

# disk FILE: noise, written and read back by DMAs of three sizes
disk() {
  retry test -b "$1" || return 1
  want=$(sum < /tmp/noise)
  dd if=/tmp/noise of="$1" bs=1M oflag=direct 2> /dev/null && sync
  echo 3 > /proc/sys/vm/drop_caches
  [ "$(dd if="$1" bs=1M count=4 iflag=direct 2> /dev/null | sum)" = "$want" ] &&
    [ "$(dd if="$1" bs=4k count=1024 iflag=direct 2> /dev/null | sum)" = "$want" ] &&
    [ "$(dd if="$1" bs=64k count=64 2> /dev/null | sum)" = "$want" ]
}

# Sends a MiB to the host's echo service.
network() {
  ifconfig "$1" 10.0.2.15 netmask 255.255.255.0 up
  retry grep -q 1 "/sys/class/net/$1/carrier" || return 1
  dd if=/tmp/noise of=/tmp/sent bs=64k count=16 2> /dev/null
  [ "$(timeout 600 nc 10.0.2.100 7 < /tmp/sent | sum)" = "$(sum < /tmp/sent)" ]
}

# Whether each device that is a disk has become one.
disks() {
  [ "$(find /dev/nvme*n1 /dev/vd? | wc -l)" -ge \
    "$(grep -l '^0x01' /sys/bus/pci/devices/*/class | wc -l)" ]
}

io() {
  retry disks
  for d in /dev/nvme0n1 /dev/vda; do
    [ ! -b $d ] || told "${d#/dev/}" disk $d
  done
  for d in /sys/class/net/e*; do
    [ ! -e "$d" ] || told "${d##*/}" network "${d##*/}"
  done
  groups=$(find /sys/kernel/iommu_groups/* -maxdepth 0 | wc -l)
  kilobytes=$(sed -n 's/^KernelPageSize: *\([0-9]*\) kB/\1/p' /proc/self/smaps | head -n 1)
  tell "pages $((kilobytes * 1024))"
  tell "groups $groups $(sort -u /sys/kernel/iommu_groups/*/type | tr '\n' ' ')"
}

# What each device's address space has reserved.
window() {
  for d in /sys/bus/pci/devices/*; do
    sed "s/^/VM: window ${d##*/} /" "$d/iommu_group/reserved_regions"
  done
}

# Whether the driver has told of an event.
event() {
  dmesg | grep -q 'arm-smmu-v3.*event: '
}

# The edu device writes four bytes to an address that nobody mapped.
fault() {
  errors # of before, as this forgets them
  edu=$(grep -l 0x11e8 /sys/bus/pci/devices/*/device)
  edu=${edu%/device}
  echo 1 > "$edu/enable"
  printf '\006\000' | dd of="$edu/config" bs=1 seek=4 conv=notrunc 2> /dev/null
  bar=$(cut -d ' ' -f 1 "$edu/resource" | head -n 1)
  devmem $((bar + 0x80)) 64 0x40000
  devmem $((bar + 0x88)) 64 0x123456000
  devmem $((bar + 0x90)) 64 4
  devmem $((bar + 0x98)) 64 3
  retry event
  sleep 1
  tell "fault of ${edu##*/}"
  dmesg | grep arm-smmu-v3 | grep -A 9 'event: ' | sed 's/^/VM: fault: /'
  told single [ "$(dmesg | grep -c 'arm-smmu-v3.*event: ')" = 1 ]
  dmesg -c > /dev/null
}

pci_of() {
  readlink -f "/sys/block/$1/device/.."
}

# Takes a device from its driver and switches its registers and DMA on.
take() {
  echo "${1##*/}" > "$1/driver/unbind"
  echo 1 > "$1/enable"
  printf '\006\000' | dd of="$1/config" bs=1 seek=4 conv=notrunc 2> /dev/null
}

# A disk is given rings at addresses that nobody mapped, and kicked: a fault of an iothread's.
ringfault() {
  errors
  pci=$(pci_of vda)
  take "$pci"
  bar=$(sed -n '5s/ .*//p' "$pci/resource")
  # The layout of virtio's common configuration: features, status, queue 0.
  while read -r offset width value; do
    devmem $((bar + offset)) "$width" "$value"
  done << END
0x14 8 0
0x14 8 3
0x08 32 1
0x0c 32 3
0x14 8 0xb
0x16 16 0
0x20 32 0x23456000
0x24 32 1
0x28 32 0x23457000
0x2c 32 1
0x30 32 0x23458000
0x34 32 1
0x1c 16 1
0x14 8 0xf
0x3000 16 0
END
  retry event
  sleep 1
  tell "ringfault of ${pci##*/}"
  dmesg | grep -A 9 'arm-smmu-v3.*event: ' | sed 's/^/VM: ringfault: /'
  devmem $((bar + 0x14)) 8 0
  dmesg -c > /dev/null
}

# The address of a device's PCIe capability, by its number.
capability() {
  at=256
  while [ $at -ge 256 ]; do
    word=$(od -An -tu4 -j $at -N 4 "$1/config" | tr -d ' ')
    [ $((word & 0xffff)) != "$2" ] || { echo $at; return; }
    at=$((word >> 20))
  done
}

# From here on the disk keeps translations as a device with an ATC does.
ats() {
  pci=$(pci_of vda)
  at=$(capability "$pci" 15)
  told capability [ -n "$at" ]
  take "$pci"
  printf '\000\200' | dd of="$pci/config" bs=2 seek=$((at / 2 + 3)) conv=notrunc 2> /dev/null
  echo "${pci##*/}" > /sys/bus/pci/drivers/virtio-pci/bind
}

plugged() {
  [ "$(find /dev/nvme*n1 | wc -l)" = "$1" ]
}

hotplug() {
  told plugless plugged 1
  tell "please plug"
  told plugged retry plugged 2
  told hot disk /dev/nvme1n1
  tell "please unplug"
  told unplugged retry plugged 1
}

# Whether this is the second boot, which the disk remembers.
second() {
  retry test -b /dev/vda
  if [ "$(dd if=/dev/vda bs=1 skip=50000000 count=5 2> /dev/null)" = again ]; then
    tell "booted again"
    return
  fi
  printf again | dd of=/dev/vda bs=1 seek=50000000 2> /dev/null
  sync
  return 1
}

again() {
  second || { errors; reboot -f; }
}

# has_read DISK COUNT: whether so many reads were done.
has_read() {
  read -r done rest < "/sys/block/$1/stat"
  [ "$done" -ge "$2" ]
}

# Reads of both disks, without end.
busy() {
  for d in nvme0n1 vda; do
    for size in 4k 64k; do
      while :; do dd if=/dev/$d of=/dev/null bs=$size count=1000 iflag=direct 2> /dev/null; done &
    done
  done
  for d in nvme0n1 vda; do
    read -r done rest < /sys/block/$d/stat
    retry has_read $d $((done + 200))
  done
  sleep 1
}

# The host resets the machine in the middle of I/O.
reset() {
  second && return
  busy
  errors
  tell "please reset"
  sleep 3600
  tell "reset BAD"
}

# stack TASK: where it sleeps, callers last; nothing if it is at work.
stack() {
  for t in $(pidof "$1"); do
    [ "$(cut -d ' ' -f 3 "/proc/$t/stat")" = R ] || sed 's/^.* //; s/+.*//' "/proc/$t/stack"
  done | tr '\n' ' '
}

# Tells if kexec sleeps at one place for three minutes, and where; and CPU 1's thread, which it waits
# for to have that CPU switched off.
stuck() {
  n=0
  while sleep 10; do
    now=$(stack kexec)
    if [ -n "$now" ] && [ "$now" = "$last" ]; then n=$((n + 1)); else n=0; fi
    [ $n != 18 ] || tell "error: stuck: kexec: $now- cpuhp/1: $(stack cpuhp/1)"
    last=$now
  done
}

# Another kernel, in the middle of I/O. The disk vdb has it, an initramfs and a device tree: "next"
# on the command line is where each ends, in 64 KiB, and where in memory they may be.
next() {
  argument next | tr + ' ' > /tmp/next
  read -r kernel initrd tree base < /tmp/next
  retry test -b /dev/vdb
  dd if=/dev/vdb of=/tmp/kernel bs=64k count="$kernel" iflag=direct
  dd if=/dev/vdb of=/tmp/initrd bs=64k skip="$kernel" count=$((initrd - kernel)) iflag=direct
  dd if=/dev/vdb of=/tmp/tree bs=64k skip="$initrd" count=$((tree - initrd)) iflag=direct
  busy
  errors
  [ $# != 0 ] || stuck &
  tell "next kernel"
  kexec /tmp/kernel /tmp/initrd /tmp/tree "$base" "$@"
} 2> /dev/null

# As a crash does it: no driver is told, the SMMU and the disks go on.
crash() {
  next crash
  echo c > /proc/sysrq-trigger
}

# Whether the disk vdb says that this is another QEMU.
moved() {
  [ "$(dd if=/dev/vdb bs=512 count=1 iflag=direct 2> /dev/null | cut -c 1-5 | head -n 1)" = there ]
}

# I/O until the host has moved this machine, and three rounds there.
load() {
  here=0
  there=0
  bad=0
  retry test -b /dev/vdb
  while [ $there -lt 3 ]; do
    dd if=/dev/urandom of=/tmp/noise bs=1M count=4 2> /dev/null
    disk /dev/vda || bad=$((bad + 1))
    if moved; then there=$((there + 1)); else here=$((here + 1)); fi
    tell "round $((here + there))"
    [ $((here + there)) != 1 ] || tell "please migrate"
  done
  tell "rounds $here and $there"
  told load [ $bad = 0 ]
}

# Each number several times: the host takes the best of them.
bench() {
  edu=$(grep -l 0x11e8 /sys/bus/pci/devices/*/device)
  edu=${edu%/device}
  echo dma_map_benchmark > "$edu/driver_override"
  echo "${edu##*/}" > /sys/bus/pci/drivers_probe
  for d in nvme0n1 vda; do retry test -b /dev/$d; done
  for round in 1 2 3; do
    for threads in 1 2; do
      map $threads 1 > /tmp/map
      tell "bench map_ns_threads_$threads $(cut -d ' ' -f 1 /tmp/map)"
      tell "bench unmap_ns_threads_$threads $(cut -d ' ' -f 2 /tmp/map)"
    done
    for d in nvme0n1 vda; do
      for depth in 1 32 1 32; do
        tell "bench ${d%0n1}_reads_per_s_depth_$depth $(reads /dev/$d $depth)"
      done
    done
  done
}

errors() {
  dmesg > /tmp/dmesg
  {
    grep -iE 'arm-smmu-v3.*(event|error|timeout|unhandled|fail|warn)' /tmp/dmesg
    grep -E 'BUG:|Oops|WARNING:' /tmp/dmesg
  } > /tmp/bad
  sed 's/^/VM: error: /' /tmp/bad
  told quiet [ ! -s /tmp/bad ]
}

# shellcheck disable=SC1091
[ ! -e /steps ] || . /steps

stty -onlcr
dd if=/dev/urandom of=/tmp/noise bs=1M count=4 2> /dev/null
dmesg | grep 'arm-smmu-v3' | sed 's/^/VM: driver: /'
for step in $(argument steps | tr , ' '); do
  case $step in
    io | fault | hotplug | again | load | bench | reset | next | crash | ringfault | ats | window | l2_*)
      $step ;;
    shell) stty onlcr; setsid cttyhack sh ;;
  esac
done
errors
tell "done"
poweroff -f
