#!/bin/sh
# SPDX-License-Identifier: MIT
# Each rule of the architecture has a test or a reason (build/rules.tsv).
BUILD=${BUILD:-build}
mkdir -p "$BUILD"
find Tests -name '*.swift' -o -path 'Tests/Conformance/*.c' -o -path 'Tests/Data/*reasons.tsv' | sort |
  xargs awk -f Tests/tools/ledger.awk -v table="$BUILD/rules.tsv"
