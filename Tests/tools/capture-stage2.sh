#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes a capture of an SMMU with stage 2 alone: FOLDER/stage2.trace.gz, FOLDER/stage2.end.snap.gz.
# Its ID registers are those of QEMU's with stage=2, HAD without stage 1 among them. Stream 8 reads
# IPA 0x1000 and may not write it.
set -eu

registers() {
  cat << 'END'
R 0 4 d441019
R 4 4 2730010
R c 4 1414
R 14 4 74
R 1c 4 1
W 80 8 40000000
W 88 4 4
W a0 8 40010003
W 100a8 4 0
W 100ac 4 0
W 20 4 5
END
}

# word NUMBER: 64 bits as they lie in memory
word() {
  printf '%016x' "$1" | sed 's/\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)/\8\7\6\5\4\3\2\1/'
}

page() { printf 'P %x\n' "$1"; }
memory() { printf 'M %x %s\n' "$1" "$2"; }

snapshot() {
  echo '# vsmmuv3-capture/1 snapshot stage2.end by hand'
  echo 'I stream 0x8 cfg=6 '
  registers
  page 0x40000000
  # Config 6; T0SZ 25, SL0 1, S2PS 5, AA64, S2R, VMID 1; S2TTB.
  memory 0x40000200 \
    "$(word 0xd)$(word $((1 << 44)))$(word $((1 | 25 << 32 | 1 << 38 | 5 << 48 | 1 << 51 | 1 << 58)))"
  memory 0x40000218 "$(word 0x40001000)"
  page 0x40001000
  memory 0x40001000 "$(word 0x40002003)"
  page 0x40002000
  memory 0x40002000 "$(word 0x40003003)"
  page 0x40003000
  memory 0x40003008 "$(word 0x4000877f)"
  echo 'T 8 1000 1000 40008000 1'
  echo 'F 8 1000 w F_PERMISSION'
  echo 'F 8 2000 r F_TRANSLATION'
}

trace() {
  echo '# vsmmuv3-capture/1 trace stage2 by hand'
  registers
  echo 'S end'
}

trace | gzip -n > "$1/stage2.trace.gz"
snapshot | gzip -n > "$1/stage2.end.snap.gz"
