# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# In the machine with KVM: runs each of $SCENES, a guest with assigned devices. Of each it keeps in /l2
# what the guest's console, QEMU and its monitor said. $NVME and $EDU are on vfio-pci.
export PATH=/usr/bin
# Programs are not mapped from the shared folder.
cp /l2/plugin.so /l2/libvsmmuv3.so.0 /l2/ioctl.so /tmp/
truncate -s 64M /tmp/virtio.img

ours="-plugin /tmp/plugin.so,trace=vsmmuv3_attach,trace=vsmmuv3_detach,trace=vsmmuv3_renumber"
smmu="-object iommufd,id=i0 -device vsmmuv3,id=smmu,lib=/tmp/libvsmmuv3.so.0"
nvme="vfio-pci,host=$NVME,iommufd=i0,id=nvme"
edu="vfio-pci,host=$EDU,iommufd=i0,id=edu"
virtio="-object iothread,id=thread -drive if=none,id=disk,format=raw,file=/tmp/virtio.img
  -device virtio-blk-pci,drive=disk,disable-legacy=on,iommu_platform=on,addr=9.0,romfile=,iothread=thread"
# port NUMBER: a root port, rp1 and so on
port() {
  echo "-device pcie-root-port,id=rp$1,bus=pcie.0,chassis=$1,addr=$1.0"
}

say() {
  echo "host: $*"
}

# How it was begun.
reset_options() {
  plugin=$ours cpus=1 append="" accel=kvm machine=""
  unset LD_PRELOAD IOCTL_FAIL IOCTL_COUNTS
}

# qemu ARGUMENT...
qemu() {
  # shellcheck disable=SC2086 # words
  exec qemu-system-aarch64 $plugin -accel "$accel" -M "virt,gic-version=3$machine" -cpu max \
    -smp "$cpus" -m 512M -nodefaults -display none "$@"
}

# start STEPS ARGUMENT...: what is written to descriptor 7 goes to QEMU's monitor.
start() {
  steps=$1
  shift
  console=/l2/$scene.console
  : > "$console"
  rm -f /tmp/monitor
  mkfifo /tmp/monitor
  [ -z "${IOCTL_FAIL:-}${IOCTL_COUNTS:-}" ] || export LD_PRELOAD=/tmp/ioctl.so
  # shellcheck disable=SC2086 # words
  qemu -no-reboot -monitor stdio -serial "file:$console" -D "/l2/$scene.trace" \
    -bios /l2/QEMU_EFI.fd -kernel /l2/Image -initrd /l2/guest.cpio "$@" -append \
    "console=ttyAMA0 quiet panic=-1 iommu.strict=1 iommu.passthrough=0 $append steps=$steps" \
    < /tmp/monitor > "/l2/$scene.monitor" 2> "/l2/$scene.errors" &
  pid=$!
  exec 7> /tmp/monitor
  unset LD_PRELOAD
}

ask() {
  echo "$*" >&7
}

# said PATTERN: waits for a line of the guest. One that says nothing for long is ended.
said() {
  silence=0
  size=
  until grep -q "$1" "$console"; do
    kill -0 "$pid" 2> /dev/null || return 1
    sleep 1
    now=$(stat -c %s "$console")
    if [ "$now" = "$size" ]; then silence=$((silence + 1)); else silence=0; fi
    size=$now
    [ $silence -lt 900 ] || { say "$scene: the guest is silent"; kill "$pid"; return 1; }
  done
}

# told PATTERN: waits for words of QEMU's monitor.
told() {
  for round in 1 2 3 4 5 6 7 8 9 10; do
    ! grep -q "$1" "/l2/$scene.monitor" || return 0
    sleep 3
  done
  return 1
}

# errors PATTERN: what the monitor answered.
errors() {
  tr -d '\033\r' < "/l2/$scene.monitor" | sed -n "s/^Error: /host: $scene: answer: /p" | grep "$1"
}

# What QEMU's threads do that does not end.
hung() {
  for thread in /proc/"$pid"/task/*; do
    say "$scene: thread: $(cat "$thread/comm") $(cut -d ' ' -f 3,14,15 "$thread/stat")" \
      "$(cat "$thread/wchan") $(cat "$thread/syscall")"
  done
  kill -KILL "$pid"
}

finished() {
  said '^VM: done'
  patience=120
  while kill -0 "$pid" 2> /dev/null; do
    patience=$((patience - 1))
    [ $patience != 0 ] || hung
    sleep 1
  done
  wait "$pid"
  say "$scene: QEMU ends with $?"
  exec 7>&-
}

# refused WHAT WORDS ARGUMENT...: QEMU says WORDS and gives up.
refused() {
  what=$1
  words=$2
  shift 2
  (qemu -S "$@" -bios /l2/QEMU_EFI.fd < /dev/null) > "/l2/$scene.refused" 2>&1
  status=$?
  if [ $status = 1 ] && grep -q -- "$words" "/l2/$scene.refused"; then
    say "$scene: refused: $what"
  else
    say "$scene: not refused ($status): $what"
    sed "s/^/host: $scene: said: /" "/l2/$scene.refused"
  fi
}

# ---- the scenes; start takes words

nvme() {
  start io,window,fault,l2_rebind,l2_flr,l2_msi $smmu -device $nvme,addr=2.0 -device $edu,addr=3.0
  finished
}

mixed() {
  cpus=2
  start io,l2_both,fault,l2_replug $smmu $(port 1) $(port 2) -device $nvme,bus=rp1 \
    -device $edu,bus=rp2 $virtio
  said "please unplug" && ask device_del nvme
  said "please plug" && sleep 2 && ask device_add $nvme,bus=rp1
  finished
}

lazy() {
  cpus=2 append=iommu.strict=0
  start io,l2_rebind,l2_flr,l2_msi $smmu -device $nvme,addr=2.0
  finished
}

refusals() {
  refused "vfio-pci without an iommufd" "needs iommufd=ID" $smmu -device vfio-pci,host=$NVME
  accel=tcg
  refused "without KVM" "KVM" $smmu -device $nvme
  accel=kvm machine=,acpi=off
  refused "without ACPI" "not supported for DT" $smmu -device $nvme
}

# Where firmware does not promise coherence.
canwbs() {
  refused "without CANWBS" "errno 95 to: allocate a vIOMMU" $smmu -device $nvme
}

# The same guest on this SMMU and on QEMU's own: what is asked of the kernel until all is read, and reads
# of 4 KiB per second.
counted() {
  export IOCTL_COUNTS=/tmp/calls
  rm -f /tmp/calls
  start io,l2_reads "$@" -device $nvme,addr=2.0
  said "please count" && sleep 1 && kill -USR2 "$pid"
  finished
  sed -n "s/^now /host: $scene: calls: /p" /tmp/calls
}

ours() {
  counted $smmu
}

theirs() {
  plugin=
  counted -object iommufd,id=i0 -device arm-smmuv3,primary-bus=pcie.0,id=smmu,accel=on
}

# The kernel fails once, in the middle of I/O: the guest's queue stops, and its driver goes on.
invalidate() {
  export IOCTL_FAIL=HWPT_INVALIDATE:300:1
  start io,l2_msi $smmu -device $nvme,addr=2.0
  finished
}

# It fails when the first device is plugged in: that is told, the guest goes on, and the next time it works.
plugfail() {
  export IOCTL_FAIL=VIOMMU_ALLOC:1:1
  start io,l2_plug,l2_msi $smmu,profile=assign $(port 1) $virtio
  said "please plug" && ask device_add $nvme,bus=rp1
  told "errno 5" && ask device_add $nvme,bus=rp1
  finished
  errors 'answered errno 5'
}

for scene in $SCENES; do
  begin=$(cut -d . -f 1 /proc/uptime)
  reset_options
  "$scene"
  say "$scene: $(($(cut -d . -f 1 /proc/uptime) - begin)) s"
done
