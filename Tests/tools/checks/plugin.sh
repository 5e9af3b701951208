#!/bin/bash
# SPDX-License-Identifier: MIT
# The SMMU as a plugin for QEMU: it compiles against the headers that are here, for both
# architectures, and loads into a distribution's QEMU and no other, where there is one. Linux on it:
# make qemu-plugin-test.
. Tests/tools/check.sh
. Tests/tools/qemu-common.sh

work=$PWD/$BUILD/test/plugin
rm -rf "$work"
mkdir -p "$work"

# compiled WHAT CC HEADERS FILE
compiled() {
  CC=$2 examples/qemu/plugin/build.sh "$3" "$4" > "$work/said" 2>&1
  ok "$1 compiles" [ -e "$4" ]
  empty "$1: no warning" cat "$work/said"
  [ -e "$4" ] || return 1
  same "$1 shows what QEMU looks for" <(echo qemu_plugin_install qemu_plugin_version) \
    <(nm -D --defined-only "$4" | awk '{ print $3 }' | sort | xargs)
  ok "$1: all symbols are looked up at once" sh -c "readelf -d '$4' | grep -q BIND_NOW"
  same "$1 needs libc alone" <(echo libc.so.6) \
    <(readelf -d "$4" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
}

# says WHAT WORDS COMMAND...
says() {
  local what=$1 words=$2
  shift 2
  Tests/tools/patience.sh 60 "$@" < /dev/null > "$work/said" 2>&1
  ok "$what" grep -qE -- "$words" "$work/said"
}

# In a QEMU as a distribution built it.
loads() {
  local file=$1 qemu=$2 machine="-M virt -nodefaults -display none -S"
  local one="QEMU $3"
  says "$one: loads, and the structs are as compiled" "say which library" \
    "$qemu" -plugin "$file" $machine -device vsmmuv3
  says "$one: its options" "tlb-entries=<uint32>" "$qemu" -M virt -plugin "$file,help=on"
  if [[ $qemu == "$cache"/* ]]; then
    VSMMUV3_PRELOAD=$file says "$one: preloaded, its options" "tlb-entries=<uint32>" \
      "$qemu" -device vsmmuv3,help
  fi
  says "$one: an argument that there is not" "takes force=on" "$qemu" -M virt -plugin "$file,x=1"
  printf 'quit\n' > "$work/quit"
  ok "$one: makes the device" Tests/tools/patience.sh 60 sh -c \
    "'$qemu' -plugin '$file,trace=vsmmuv3_*' $machine -monitor stdio \
      -device vsmmuv3,lib='$library' < '$work/quit' > '$work/said' 2>&1"
  ok "$one: traced" grep -q '^vsmmuv3_reset' "$work/said"
}

# One that was not tested with this QEMU, and whose headers differ from what that was built with.
differs() {
  local qemu=$1 headers=$2 other=$work/other copy=$work/copy
  cp -rL "$headers/." "$other"
  sed -i 's/^    int nirq;$/    int nirq, one_more[4];/' "$other/include/hw/pci/pci_bus.h"
  mkdir -p "$copy/examples"
  cp -r examples/qemu "$copy/examples/"
  cp -r Include "$copy/"
  sed -i 's/"11.1.3"/"0.0.0"/' "$copy/examples/qemu/plugin/version.c"
  "$copy/examples/qemu/plugin/build.sh" "$other" "$work/other.so" > "$work/said" 2>&1
  set -- "$qemu" -M virt -nodefaults -display none -S -device vsmmuv3
  says "a version that was not tested is refused" "was not tested with QEMU 11.1" \
    "$@" -plugin "$work/other.so"
  says "by force it is not, but a struct that differs is seen" "PCI has [0-9]+ bytes in this QEMU" \
    "$@" -plugin "$work/other.so,force=on"
  rm -rf "$other" "$copy"
}

# refused FILE QEMU: one of another series, each way of loading it.
refused() {
  says "another series is refused: ${1##*/}" "symbol|API version|compiled for QEMU" \
    "$2" -plugin "$1" -M none
  # Where its loader can be asked to.
  [[ $2 == "$cache"/* ]] || return
  VSMMUV3_PRELOAD=$1 says "another series is refused, preloaded: ${1##*/}" \
    "undefined symbol|compiled for QEMU" "$2" -M none
}

found=
for series in 10.0 11.1; do
  if ! source=$(headers "$series"); then
    skip "the plugin for QEMU $series" "neither its headers nor its source are here"
    continue
  fi
  file=$work/$series.so
  compiled "QEMU $series" cc "$source" "$file" || continue
  if command -v aarch64-linux-gnu-gcc > /dev/null; then
    compiled "QEMU $series on arm64" aarch64-linux-gnu-gcc "$source" "$work/$series-arm64.so"
  fi
  if ! binary=$(stock "$series"); then
    skip "the plugin in QEMU $series" "it is not here (make qemu-plugin-test fetches it)"
    continue
  fi
  loads "$file" "$binary" "$series"
  counted "DMA in QEMU $series" \
    Tests/tools/patience.sh 300 Tests/tools/qemu-dma-bench.sh smoke "$file" "$binary"
  found="$found $series"
done
case $found in
  *10.0*11.1*)
    refused "$work/10.0.so" "$(stock 11.1)"
    refused "$work/11.1.so" "$(stock 10.0)"
    ;;
esac
case $found in
  *11.1*) [ ! -d "$(headers 11.1)/generated" ] || differs "$(stock 11.1)" "$(headers 11.1)" ;;
esac
finish
