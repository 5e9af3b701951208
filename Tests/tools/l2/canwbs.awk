# SPDX-License-Identifier: MIT
# An IORT, its bytes as numbers in one line: prints it with CANWBS in the memory access flags of each
# root complex (DEN0049), the promise of coherence that Linux wants for a vIOMMU. As octal escapes.
{
  for (i = 1; i <= NF; i++) byte[i - 1] = $i
  nodes = byte[36] + 256 * byte[37]
  at = byte[40] + 256 * byte[41]
  while (nodes-- > 0) {
    # Of type 2. The flags' bit 2, which QEMU leaves 0.
    if (byte[at] == 2 && int(byte[at + 23] / 4) % 2 == 0) byte[at + 23] += 4
    at += byte[at + 1] + 256 * byte[at + 2]
  }
  # An override has to be of a newer OEM revision.
  byte[24]++
  byte[9] = sum = 0
  for (i = 0; i < NF; i++) sum += byte[i]
  byte[9] = (256 - sum % 256) % 256
  for (i = 0; i < NF; i++) printf "\\0%03o", byte[i]
}
