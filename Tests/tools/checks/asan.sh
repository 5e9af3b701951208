#!/bin/sh
# SPDX-License-Identifier: MIT
# The Swift tests and the conformance program under AddressSanitizer. Leaks are the business of
# valgrind: the runtime of Swift's tests leaks by itself.
. Tests/tools/check.sh
. Tests/tools/swift-tests.sh

export ASAN_OPTIONS=detect_leaks=0
swift_tests "address sanitizer" --sanitize=address --scratch-path .build-asan
ok "build for AddressSanitizer" Tests/tools/sanitized.sh address
counted "conformance under AddressSanitizer" Tests/tools/patience.sh 600 \
  "$BUILD/address/conformance" AddressSanitizer
finish
