#!/bin/bash
# SPDX-License-Identifier: MIT
# The SMMU as a plugin in the QEMU that a distribution built: qemu-plugin.sh SERIES... builds it from
# the headers of each series (10.0, 11.1) and does there all that qemu-test.sh does, or TESTS of it.
# Its last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
. Tests/tools/qemu-common.sh
. Tests/tools/check.sh
mkdir -p "$BUILD/test"

for series; do
  if ! source=$(headers "$series"); then
    skip "Linux in a distribution's QEMU $series" "neither its headers nor its source are here"
  elif ! binary=$(stock "$series"); then
    skip "Linux in a distribution's QEMU $series" "it is not here (make qemu-plugin-test)"
  else
    file=$PWD/$BUILD/test/vsmmuv3-qemu-$series.so
    ok "the plugin for QEMU $series compiles" examples/qemu/plugin/build.sh "$source" "$file"
    # shellcheck disable=SC2086 # names
    VSMMUV3_QEMU=$binary VSMMUV3_PLUGIN=$file counted "QEMU $series" \
      Tests/tools/qemu-test.sh ${TESTS:-}
  fi
done
finish
