#!/bin/sh
# SPDX-License-Identifier: MIT
# The benchmark's table: bench.sh [LIBRARY]. BENCH_SECONDS (1) go to each row.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
Tests/tools/bench-program.sh "$build/bench/bench"
"$build/bench/bench" --seconds "${BENCH_SECONDS:-1}" "${1:-$build/libvsmmuv3.so.0}" < /dev/null
