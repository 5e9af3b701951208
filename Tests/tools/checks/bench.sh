#!/bin/sh
# SPDX-License-Identifier: MIT
# Instruction counts within their limits; and the benchmark, for a moment, to prove that it runs.
# Its times are not judged here: the computer has other things to do.
. Tests/tools/check.sh

short() {
  mkdir -p "$BUILD/test"
  BENCH_SECONDS=0.02 Tests/tools/patience.sh 300 Tests/tools/bench.sh "$BUILD/libvsmmuv3.so.0" \
    > "$BUILD/test/bench.txt" 2>&1 || {
    tail -n 5 "$BUILD/test/bench.txt"
    return 1
  }
  # A row for each path of the table, each with a number of the library's.
  [ "$(grep -c '^| [^|]* | [0-9][^|]* |' "$BUILD/test/bench.txt")" -ge 27 ]
}

counted "instructions, embedded" Tests/tools/bench-gate.sh embedded "$BUILD/libvsmmuv3.so.0"
if [ -e "$BUILD/static/libvsmmuv3.so" ]; then
  counted "instructions, static runtime" Tests/tools/bench-gate.sh static \
    "$BUILD/static/libvsmmuv3.so"
else
  skip "instructions, static runtime" "conformance has not built that library"
fi
ok "make bench, for a moment" short
finish
