#!/bin/sh
# SPDX-License-Identifier: MIT
# Linux guests in QEMU on the library's SMMU, where QEMU was built (make qemu).
. Tests/tools/check.sh

if ! why=$(Tests/tools/qemu.sh ready); then
  skip "Linux in QEMU" "$why"
  finish
fi
# Where the device file is newer than the QEMU.
Tests/tools/qemu.sh build
exec Tests/tools/qemu-test.sh
