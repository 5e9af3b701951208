#!/bin/sh
# SPDX-License-Identifier: MIT
# The Swift tests as they are built soonest, for `make check`.
. Tests/tools/check.sh
. Tests/tools/swift-tests.sh

swift_tests "quick" --scratch-path .build-test
ok "there are tests" [ "$passed" -gt 0 ]
finish
