#!/bin/sh
# SPDX-License-Identifier: MIT
# The Swift tests under AddressSanitizer, and which lines of the architecture they reach. Leaks are the
# business of valgrind: the runtime of Swift's tests leaks by itself.
. Tests/tools/check.sh
. Tests/tools/swift-tests.sh

export ASAN_OPTIONS=detect_leaks=0
# Not the profile of an older run.
rm -f .build-asan/debug/codecov/default.profdata
swift_tests "tests" --sanitize=address --enable-code-coverage --scratch-path .build-asan
# One test too few is as bad as one that fails.
ok "there are tests" [ "$passed" -gt 0 ]
if Tests/tools/coverage.sh .build-asan Sources/SMMUSpec Sources/SMMUModel \
  > "$BUILD/coverage.txt"; then
  pass "coverage"
  sed 's/^/> /' "$BUILD/coverage.txt"
else
  fail "coverage"
fi
finish
