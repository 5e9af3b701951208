#!/bin/sh
# SPDX-License-Identifier: MIT
# Assigned devices of a real kernel in a distribution's QEMU, by the plugin, where that is set up: two of
# the scenes of `make l2-test`.
. Tests/tools/check.sh

if ! why=$(Tests/tools/l2.sh ready); then
  skip "guests with assigned devices" "$why"
  finish
fi
exec Tests/tools/l2.sh run nvme refusals
