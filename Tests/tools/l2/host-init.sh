#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# /init of the machine with KVM: gives its devices to vfio-pci, then runs the scenes of the command
# line in Debian's userland, which lies on the machine below. "iort" prints that table instead.
/bin/busybox mkdir -p /proc /sys /dev /root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
export PATH=/bin

argument() {
  tr ' ' '\n' < /proc/cmdline | sed -n "s/^$1=//p"
}

share() {
  mount -t 9p -o "trans=virtio,version=9p2000.L,msize=262144,$3" "$1" "$2"
}

# assign NAME VENDOR:DEVICE: NAME is then its address.
assign() {
  for device in /sys/bus/pci/devices/*; do
    [ "$(cat "$device/vendor"):$(cat "$device/device")" = "$2" ] || continue
    address=${device##*/}
    echo vfio-pci > "$device/driver_override"
    [ ! -e "$device/driver" ] || echo "$address" > "$device/driver/unbind"
    echo "$address" > /sys/bus/pci/drivers_probe
    [ -e "/sys/bus/pci/drivers/vfio-pci/$address" ] || continue
    export "$1=$address"
    return
  done
  echo "host: no $1"
}

stty -onlcr
echo # behind what the firmware said
if [ -n "$(argument iort)" ]; then
  echo "host: iort $(od -An -v -tu1 /sys/firmware/acpi/tables/IORT | tr -s ' \n' ' ')"
  poweroff -f
fi
assign NVME 0x1b36:0x0010
assign EDU 0x1234:0x11e8
share root /root cache=loose
share work /root/l2 cache=none
for directory in proc sys dev; do mount --bind /$directory /root/$directory; done
mount -t tmpfs tmp /root/tmp
echo "host: Linux $(uname -r)"
SCENES=$(argument scenes | tr , ' ') chroot /root /usr/bin/busybox sh /l2/scenes.sh
dmesg | grep -E 'arm-smmu-v3.*(event|error|timeout|unhandled)|BUG:|Oops|WARNING:' |
  sed 's/^/host: error: /'
echo "host: done"
poweroff -f
