# SPDX-License-Identifier: MIT
# Sourced by the checks that run programs on a real kernel: Linux for arm64 with iommufd and an
# SMMUv3, in QEMU. VSMMUV3_VM names the directory with its scripts.

# Prints that directory, if the guest is set up.
guest_directory() {
  [ -e "${VSMMUV3_VM_DIR:-$HOME/.cache/vsmmuv3-vm}/kernel/Image" ] || return
  command -v aarch64-linux-gnu-gcc > /dev/null || return
  for directory in ${VSMMUV3_VM:-} ../shared/vm ../../shared/vm; do
    [ ! -x "$directory/run-in-guest.sh" ] || { echo "$directory"; return; }
  done
}

# Prints the Image of Linux 7.3.4, if it can be run: of linux-source-7.3 in Debian trixie-backports,
# with Tests/Data/linux/kernel.config.
linux_7_3() {
  image=${VSMMUV3_LINUX_7_3:-$HOME/.cache/vsmmuv3-linux-7.3/Image}
  [ -z "$(guest_directory)" ] || [ ! -e "$image" ] || echo "$image"
}

# in_guest PROGRAM WORD VARIABLE=VALUE...: runs PROGRAM WORD there and prints what it prints. What
# the guest says of itself is in logs beside the program.
in_guest() {
  program=$1
  word=$2
  shift 2
  env LOG="$PWD/$program-$word.console" TIMEOUT=86400 "$@" \
    Tests/tools/patience.sh 300 "$(guest_directory)/run-in-guest.sh" "$program" -- "$word" \
    2> "$program-$word.guest"
}
