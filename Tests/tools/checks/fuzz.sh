#!/bin/sh
# SPDX-License-Identifier: MIT
# The fuzzer: its corpus again, the canary that it must find, then FUZZ_SECONDS of looking for more.
. Tests/tools/check.sh

FUZZ_SECONDS=${FUZZ_SECONDS:-60}
work=$BUILD/test/fuzz
mkdir -p "$work/found" "$work/canary"
# Swift's own report of a crash gets into the way of libFuzzer's; leaks are valgrind's business.
export SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0
common="-timeout=120 -rss_limit_mb=2048 -max_len=400 -len_control=0 -verbosity=1"

ok "build the fuzzer" Tests/tools/fuzzer.sh "$BUILD/fuzz"

files=$(find Tests/Fuzz/corpus -type f | wc -l)
bytes=$(find Tests/Fuzz/corpus -type f -exec cat {} + | wc -c)
ok "the corpus is small: $files files, $bytes bytes" [ "$files" -lt 500 -a "$bytes" -lt 1000000 ]

# shellcheck disable=SC2086 # several flags
replay() { "$BUILD/fuzz/fuzz" $common -runs=0 Tests/Fuzz/corpus > "$work/replay.log" 2>&1; }
ok "the corpus, again" replay

# shellcheck disable=SC2086
canary() {
  Tests/tools/patience.sh 240 "$BUILD/fuzz/fuzz-canary" $common -seed=2 \
    -artifact_prefix="$work/canary/" > "$work/canary.log" 2>&1
  grep -q 'not so: caches outlived an invalidation' "$work/canary.log"
}
ok "the canary is found" canary

# New inputs go to a directory of the build, the tree's corpus is only read.
# shellcheck disable=SC2086
look() {
  "$BUILD/fuzz/fuzz" $common -max_total_time="$FUZZ_SECONDS" -print_final_stats=1 \
    -artifact_prefix="$work/crash-" "$work/found" Tests/Fuzz/corpus > "$work/look.log" 2>&1
  status=$?
  sed -n 's/^\(Done .*\)/> fuzz: \1/p' "$work/look.log"
  [ $status = 0 ] || grep -E 'not so|ERROR|SUMMARY|Test unit' "$work/look.log"
  return $status
}
ok "nothing found in $FUZZ_SECONDS s" look
finish
