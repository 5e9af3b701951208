#!/bin/bash
# SPDX-License-Identifier: MIT
# Makes what the guests need, under ${VSMMUV3_QEMU_DIR:-~/.cache/vsmmuv3-qemu}; what is there is
# left alone. Nothing is installed: `make deps-qemu` does that.
#
#   qemu.sh build   QEMU 10.0 of Debian trixie, from source, with examples/qemu in it
#   qemu.sh guest   Debian's arm64 kernel, busybox and UEFI firmware
#   qemu.sh stock   Debian's own QEMU 10.0 and 11.1, for the plugin
#   qemu.sh host    Debian's QEMU 11.1 for arm64 with what it needs, as a root folder (l2.sh)
#   qemu.sh ready   nothing: succeeds if both are there, else says what is missing
#   qemu.sh boot    boots Linux on the library's SMMU, with a shell if this is a terminal
set -eu -o pipefail
cd "$(dirname "$0")/../.."
. Tests/tools/qemu-common.sh

# An apt of its own, as if nothing were installed: suites newer than this machine's. Signatures are
# checked, but not the expiry of lists.
apt_own() {
  local program=$1
  shift
  "$program" -c "$cache/apt/apt.conf" "$@"
}

apt_lists() {
  local a=$cache/apt key=/usr/share/keyrings/debian-archive-keyring.gpg url suite
  [ ! -e "$a/updated" ] || return 0
  url=${VSMMUV3_MIRROR:-$(mirror)}
  [ -n "$url" ] || die "no Debian mirror in /etc/apt: set VSMMUV3_MIRROR"
  mkdir -p "$a/lists" "$a/cache"
  : > "$a/status"
  for suite in trixie sid; do
    echo "deb [arch=amd64,arm64 signed-by=$key] $url $suite main"
    echo "deb-src [signed-by=$key] $url $suite main"
  done > "$a/sources.list"
  cat > "$a/apt.conf" << END
Dir::Etc { SourceList "$a/sources.list"; SourceParts "/dev/null"; Preferences "/dev/null";
  PreferencesParts "/dev/null"; };
Dir::State { Lists "$a/lists"; Status "$a/status"; extended_states "$a/extended"; };
Dir::Cache "$a/cache";
APT { Architectures { "amd64"; "arm64"; }; Sandbox::User "root"; };
Acquire { Check-Valid-Until "false"; Languages "none"; };
END
  say "reading the package lists of trixie and sid"
  apt_own apt-get -qq update
  touch "$a/updated"
}

# The mirror that this machine's own apt uses, in either format of its file.
mirror() {
  cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2> /dev/null |
    awk '($1 == "URIs:" || $1 == "deb") && !/security/ {
           for (i = 2; i <= NF; i++) if ($i ~ "://") { print $i; exit } }' || true
}

# unpack DIRECTORY PACKAGE/SUITE...
unpack() {
  local to=$1 file
  shift
  apt_lists
  mkdir -p "$to" "$cache/debs"
  (cd "$cache/debs" && rm -f -- *.deb && apt_own apt-get -qq download "$@")
  for file in "$cache"/debs/*.deb; do dpkg -x "$file" "$to"; done
}

fetch_source() {
  [ ! -d "$tree/source" ] || return 0
  rm -rf "$tree"
  mkdir -p "$tree"
  # Debian 12's meson is too old for QEMU; a newer one is plain Python.
  unpack "$tree/python" meson/trixie
  say "fetching QEMU's source"
  (cd "$tree" && apt_own apt-get -qq source qemu/trixie > source.log 2>&1) ||
    die "no source of QEMU: see $tree/source.log"
  mv "$tree"/qemu-*/ "$tree/source"
  mkdir -p "$tree/source/hw/vsmmuv3"
  : > "$tree/source/hw/vsmmuv3/meson.build"
  echo "subdir('vsmmuv3')" >> "$tree/source/hw/meson.build"
  printf 'CONFIG_%s=y\n' ARM_VIRT NVME_PCI VIRTIO_PCI VIRTIO_BLK VIRTIO_NET VIRTIO_RNG \
    VHOST_USER_BLK \
    VIRTIO_IOMMU E1000E_PCI_EXPRESS IGB_PCI_EXPRESS EDU PCI_TESTDEV PCIE_PORT XIO3130 \
    PCI_BRIDGE PCIE_PCI_BRIDGE PXB CXL CXL_MEM_DEVICE \
    > "$tree/source/configs/devices/aarch64-softmmu/vsmmuv3.mak"
}

# Where meson.build is new. Meson then writes config-host.h anew, with the same words in it, and all of
# QEMU would be compiled again.
reconfigure() {
  local header=$tree/build/config-host.h
  cp -p "$header" "$tree/config-host.h"
  meson_env ninja -C "$tree/build" build.ninja > "$tree/ninja.log" 2>&1 || return 0
  ! cmp -s "$header" "$tree/config-host.h" || touch -r "$tree/config-host.h" "$header"
}

# What a minute of compiling can do without is left out.
configure() {
  [ ! -e "$tree/build/build.ninja" ] || return 0
  say "configuring QEMU (log: $tree/build.log)"
  rm -rf "$tree/build"
  mkdir "$tree/build"
  (cd "$tree/build" && meson_env ../source/configure --python=/usr/bin/python3 \
    --target-list=aarch64-softmmu --without-default-features --without-default-devices \
    --with-devices-aarch64=vsmmuv3 --enable-system --enable-tcg --enable-fdt --enable-slirp \
    --enable-vhost-user --disable-install-blobs --disable-download) > "$tree/build.log" 2>&1 ||
    die "configure failed: see $tree/build.log"
}

meson_env() {
  PYTHONPATH=$tree/python/usr/lib/python3/dist-packages "$@"
}

build() {
  Sources/tools/packages.sh need qemu
  fetch_source
  local to=$tree/source/hw/vsmmuv3
  local file
  # What did not change keeps its date, so that ninja does nothing where nothing is new.
  for file in examples/qemu/{*.[ch],trace-events,meson.build} Include/vsmmuv3{,_host}.h; do
    cmp -s "$file" "$to/${file##*/}" || cp -fL --remove-destination "$file" "$to/"
  done
  mkdir -p "$to/bench"
  for file in examples/qemu/bench/*.[ch]; do
    cmp -s "$file" "$to/bench/${file##*/}" || cp -f "$file" "$to/bench/"
  done
  configure
  say "building QEMU (log: $tree/ninja.log; the first time takes 9 minutes)"
  reconfigure
  meson_env nice ninja -j "$(nproc)" -C "$tree/build" qemu-system-aarch64 > "$tree/ninja.log" 2>&1 ||
    { grep -A 20 'FAILED:\|ERROR:' "$tree/ninja.log" | head -n 40 >&2; die "QEMU: no build"; }
}

guest() {
  Sources/tools/packages.sh need qemu
  [ -e "$guest/QEMU_EFI.fd" ] && [ -e "$guest/busybox" ] || {
    say "fetching busybox and UEFI firmware"
    rm -rf "$cache/other"
    unpack "$cache/other" busybox-static:arm64/sid qemu-efi-aarch64/sid
    mkdir -p "$guest"
    cp "$cache/other/usr/bin/busybox" "$guest/"
    cp "$cache/other/usr/share/qemu-efi-aarch64/QEMU_EFI.fd" "$guest/"
    rm -rf "$cache/other"
  }
  kernel "$guest" linux-image-arm64
  # The other page size, for the other granule.
  kernel "$guest/16k" linux-image-arm64-16k
}

# kernel DIRECTORY PACKAGE: a kernel of Debian sid, with the modules that the guests need.
kernel() {
  [ ! -e "$1/base.gz" ] || return 0
  say "fetching $2"
  local new=$cache/kernel.new packages version module
  rm -rf "$new"
  mkdir -p "$new/root/bin" "$new/root/mod"
  apt_lists
  packages=$(apt_own apt-cache depends --recurse --no-{recommends,suggests,conflicts,breaks} \
    --no-{replaces,enhances} "$2:arm64" |
    sed -nE 's/^(linux-(image|binary|modules|base)-[0-9].*)$/\1\/sid/p' | sort -u)
  # shellcheck disable=SC2086
  unpack "$new" $packages
  version=$(basename "$new"/usr/lib/modules/*)
  mkdir -p "$1"
  find "$new" -name 'vmlinuz*' -type f -exec cp {} "$1/vmlinuz" \;
  ln -s usr/lib "$new/lib"
  /sbin/depmod -b "$new" "$version"
  cp "$guest/busybox" "$new/root/bin/"
  for module in nvme virtio_blk virtio_net e1000e; do
    /sbin/modprobe -d "$new" -S "$version" --show-depends "$module"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r module; do
    case $module in
      *.xz) xz -dc "$module" > "$new/root/mod/$(basename "$module" .xz)" ;;
      *) cp "$module" "$new/root/mod/" ;;
    esac
    basename "$module" .xz >> "$new/root/mod/order"
  done
  pack "$new/root" > "$new/base.gz"
  mv "$new/base.gz" "$1/"
  rm -rf "$new"
}

# Programs of a newer system, with its C library: they are run by its loader.
stock_one() {
  local to=$cache/stock-$1 suite=$2 new=$cache/stock.new machine
  [ ! -x "$to/qemu" ] || return 0
  machine=$(uname -m)-linux-gnu
  say "fetching QEMU $1"
  apt_lists
  rm -rf "$new"
  mkdir -p "$new/debs/partial"
  apt_own apt-get -qq -y -d -o Dir::Cache::Archives="$new/debs" -t "$suite" install \
    --no-install-recommends "qemu-system-arm/$suite" > "$new/log" 2>&1 ||
    die "no QEMU $1: see $new/log"
  find "$new/debs" -name '*.deb' -exec dpkg -x {} "$new" \;
  rm -rf "$new/debs" "$new/log"
  cat > "$new/qemu" << END
#!/bin/sh
u=$to/usr
l=\$u/lib/$machine
export QEMU_MODULE_DIR="\$l/qemu"
exec \$l/ld-linux-*.so.* --library-path "\$l" \${VSMMUV3_PRELOAD:+--preload "\$VSMMUV3_PRELOAD"} \\
  "\$u/bin/qemu-system-aarch64" -L "\$u/share/qemu" "\$@"
END
  chmod +x "$new/qemu"
  rm -rf "$to"
  mv "$new" "$to"
  [ "$(series "$to/qemu")" = "$1" ] || die "Debian's $suite has another QEMU than $1"
}

stock() {
  stock_one 10.0 trixie
  stock_one 11.1 sid
}

# The root folder of a machine with KVM.
host() {
  local to=$cache/host new=$cache/host.new
  [ ! -e "$to/usr/bin/busybox" ] || return 0
  say "fetching QEMU 11.1 for arm64"
  apt_lists
  rm -rf "$new"
  mkdir -p "$new/debs/partial" "$new"/{dev,proc,sys,tmp,l2}
  apt_own apt-get -qq -y -d -o APT::Architecture=arm64 -o Dir::Cache::Archives="$new/debs" -t sid \
    install --no-install-recommends qemu-system-arm qemu-efi-aarch64 busybox-static \
    > "$cache/host.log" 2>&1 || die "no QEMU for arm64: see $cache/host.log"
  find "$new/debs" -name '*.deb' -exec dpkg -x {} "$new" \;
  rm -rf "$new/debs" "$new"/usr/share/{AAVMF,doc,locale,man}
  ln -sfn usr/lib "$new/lib"
  ln -sfn usr/bin "$new/bin"
  rm -rf "$to"
  mv "$new" "$to"
}

ready() {
  [ -x "$qemu" ] || { echo "QEMU is not built (make qemu)"; return 1; }
  [ -e "$guest/base.gz" ] || { echo "there is no guest (make qemu)"; return 1; }
}

boot() {
  local steps=${1:-io}
  [ $# != 0 ] || [ ! -t 0 ] || steps=shell
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  initramfs "$work/initrd"
  truncate -s 256M "$work/nvme.img"
  "$qemu" "${machine[@]}" -nodefaults -nographic -no-reboot -serial mon:stdio \
    -device "vsmmuv3,lib=$library" -m 1G -smp 2 -kernel "$guest/vmlinuz" -initrd "$work/initrd" \
    -drive "if=none,id=nvme,format=raw,file=$work/nvme.img" -device nvme,drive=nvme,serial=1 \
    -append "console=ttyAMA0 panic=-1 steps=$steps"
}

case ${1:-} in
  build | guest | stock | host | ready) "$1" ;;
  boot) shift; boot "$@" ;;
  *) sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
