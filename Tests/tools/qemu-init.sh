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

retry() {
  n=0
  until "$@"; do
    n=$((n + 1))
    [ $n -lt 300 ] || return 1
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
  [ "$(timeout 60 nc 10.0.2.100 7 < /tmp/sent | sum)" = "$(sum < /tmp/sent)" ]
}

io() {
  retry test -b /dev/vda
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
  sleep 1
  tell "fault of ${edu##*/}"
  dmesg | grep arm-smmu-v3 | grep -A 9 'event: ' | sed 's/^/VM: fault: /'
  told single [ "$(dmesg | grep -c 'arm-smmu-v3.*event: ')" = 1 ]
  dmesg -c > /dev/null
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

# The last byte of the disk remembers that this is the second boot.
again() {
  if [ "$(dd if=/dev/vda bs=1 skip=50000000 count=5 2> /dev/null)" = again ]; then
    tell "booted again"
    return
  fi
  printf again | dd of=/dev/vda bs=1 seek=50000000 2> /dev/null
  sync
  errors
  reboot -f
}

# Twelve seconds of I/O, in which the host may do what it likes.
load() {
  rounds=0
  bad=0
  end=$(($(cut -d . -f 1 /proc/uptime) + 12))
  tell "please migrate"
  while [ "$(cut -d . -f 1 /proc/uptime)" -lt $end ]; do
    dd if=/dev/urandom of=/tmp/noise bs=1M count=4 2> /dev/null
    disk /dev/vda || bad=$((bad + 1))
    rounds=$((rounds + 1))
  done
  tell "rounds $rounds"
  told load [ $bad = 0 ]
}

# reads NAME FILE DEPTH COUNT: reads of 4 KiB per second, DEPTH at a time
reads() {
  since=$(cut -d ' ' -f 1 /proc/uptime | tr -d .)
  for i in $(seq "$3"); do
    dd if="$2" of=/dev/null bs=4k skip=$((i * 256)) count="$4" iflag=direct 2> /dev/null &
  done
  wait
  until=$(cut -d ' ' -f 1 /proc/uptime | tr -d .)
  tell "bench $1_reads_per_s_depth_$3 $(($3 * $4 * 100 / (until - since)))"
}

bench() {
  edu=$(grep -l 0x11e8 /sys/bus/pci/devices/*/device)
  edu=${edu%/device}
  echo dma_map_benchmark > "$edu/driver_override"
  echo "${edu##*/}" > /sys/bus/pci/drivers_probe
  for threads in 1 2; do
    map $threads 2 > /tmp/map
    tell "bench map_ns_threads_$threads $(cut -d ' ' -f 1 /tmp/map)"
    tell "bench unmap_ns_threads_$threads $(cut -d ' ' -f 2 /tmp/map)"
  done
  for d in nvme0n1 vda; do
    retry test -b /dev/$d
    reads ${d%0n1} /dev/$d 1 6000
    reads ${d%0n1} /dev/$d 32 240
  done
}

errors() {
  dmesg | grep -iE 'arm-smmu-v3.*(event|error|timeout|unhandled|fail|warn)|BUG:|Oops|WARNING' \
    > /tmp/bad
  sed 's/^/VM: error: /' /tmp/bad
  told quiet [ ! -s /tmp/bad ]
}

stty -onlcr
dd if=/dev/urandom of=/tmp/noise bs=1M count=4 2> /dev/null
dmesg | grep 'arm-smmu-v3' | sed 's/^/VM: driver: /'
for step in $(argument steps | tr , ' '); do
  case $step in
    io | fault | hotplug | again | load | bench) $step ;;
    shell) stty onlcr; setsid cttyhack sh ;;
  esac
done
errors
tell "done"
poweroff -f
