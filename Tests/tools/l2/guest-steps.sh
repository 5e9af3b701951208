# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
# Sourced by qemu-init.sh in guests with assigned devices: more steps.

driver=/sys/bus/pci/drivers/nvme

nvme_of_pci() {
  basename "$(readlink -f /sys/block/nvme0n1/device/device)"
}

gone() {
  [ ! -e /dev/nvme0n1 ]
}

# The driver leaves the disk and takes it again.
l2_rebind() {
  pci=$(nvme_of_pci)
  echo "$pci" > $driver/unbind
  told unbound retry gone
  echo "$pci" > $driver/bind
  told rebind disk /dev/nvme0n1
}

# The guest resets it in between.
l2_flr() {
  pci=$(nvme_of_pci)
  echo "$pci" > $driver/unbind
  told flr sh -c "echo 1 > /sys/bus/pci/devices/$pci/reset"
  echo "$pci" > $driver/bind
  told reset disk /dev/nvme0n1
}

# It is plugged in.
l2_plug() {
  told absent gone
  tell "please plug"
  told plugged retry test -b /dev/nvme0n1
  told hot disk /dev/nvme0n1
}

# It is taken out and plugged in again.
l2_replug() {
  tell "please unplug"
  told unplugged retry gone
  l2_plug
}

# Messages that came by the ITS.
l2_msi() {
  told msi grep -q '[1-9][0-9]* .*ITS.*nvme0q1' /proc/interrupts
}

# Both disks at a time, twice each.
l2_both() {
  for round in 1 2; do told "nvme$round" disk /dev/nvme0n1; done > /tmp/both &
  for round in 1 2; do told "virtio$round" disk /dev/vda; done
  wait
  cat /tmp/both
}

# While nothing else goes on, the host counts what was asked of it until now.
l2_reads() {
  retry test -b /dev/nvme0n1
  tell "please count"
  sleep 5
  for round in 1 2 3; do
    tell "reads depth 1: $(reads /dev/nvme0n1 1)"
    tell "reads depth 32: $(reads /dev/nvme0n1 32)"
  done
}
