#!/bin/sh
# SPDX-License-Identifier: MIT
# The conformance program under AddressSanitizer, on what was compiled for the fuzzer. The check
# `swift` has the Swift tests under it.
. Tests/tools/check.sh

export ASAN_OPTIONS=detect_leaks=0
ok "build for AddressSanitizer" Tests/tools/sanitized.sh address
counted "conformance under AddressSanitizer" Tests/tools/patience.sh 600 \
  "$BUILD/address/conformance" AddressSanitizer
finish
