#!/bin/sh
# SPDX-License-Identifier: MIT
# The Swift tests, and which lines of the architecture they reach.
. Tests/tools/check.sh
. Tests/tools/swift-tests.sh

swift_tests "tests" --enable-code-coverage --scratch-path .build-test
# One test too few is as bad as one that fails.
ok "there are tests" [ "$passed" -gt 0 ]
if Tests/tools/coverage.sh .build-test Sources/SMMUSpec Sources/SMMUModel \
  > "$BUILD/coverage.txt"; then
  pass "coverage"
  sed 's/^/> /' "$BUILD/coverage.txt"
else
  fail "coverage"
fi
finish
