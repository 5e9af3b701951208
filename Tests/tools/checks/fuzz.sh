#!/bin/sh
# SPDX-License-Identifier: MIT
# The fuzzer, on emulated devices and on assigned ones: their corpora again, the canary that both must
# find, then FUZZ_SECONDS of looking for more, of which assigned devices have a third.
. Tests/tools/check.sh

FUZZ_SECONDS=${FUZZ_SECONDS:-60}
work=$BUILD/test/fuzz
rm -rf "$work/canary"
for target in device host; do mkdir -p "$work/found/$target" "$work/canary/$target"; done
mkdir "$work/canary/random"
# Swift's own report of a crash gets into the way of libFuzzer's; leaks are valgrind's business.
export SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0
common="-timeout=120 -rss_limit_mb=2048 -max_len=400 -len_control=0 -verbosity=1"

ok "build the fuzzer" Tests/tools/fuzzer.sh "$BUILD/fuzz"

files=$(find Tests/Fuzz/corpus -type f | wc -l)
bytes=$(find Tests/Fuzz/corpus -type f -exec cat {} + | wc -c)
ok "the corpus is small: $files files, $bytes bytes" [ "$files" -lt 500 -a "$bytes" -lt 1000000 ]

# shellcheck disable=SC2086 # several flags
replay() {
  FUZZ_TARGET=$1 "$BUILD/fuzz/fuzz" $common -runs=0 "Tests/Fuzz/corpus/$1" \
    > "$work/replay-$1.log" 2>&1
}
ok "the corpus, again" replay device
ok "the corpus of assigned devices, again" replay host
ok "it has direct queues" grep -q '^direct commands: [1-9]' "$work/replay-host.log"

# From random bytes, with any seed: the fault is not in what is given.
head -c 6400 /dev/urandom | (cd "$work/canary/random" && split -b 400)
# shellcheck disable=SC2086
canary() {
  FUZZ_TARGET=$1 FUZZ_CANARY=1 Tests/tools/patience.sh 240 "$BUILD/fuzz/fuzz" $common \
    -artifact_prefix="$work/canary/" "$work/canary/$1" "$work/canary/random" \
    > "$work/canary-$1.log" 2>&1
  grep -q "not so: $2" "$work/canary-$1.log"
}
ok "the canary is found" canary device 'caches outlived an invalidation'
ok "the canary of assigned devices is found" canary host 'a device reads where there is nothing'

# look TARGET SECONDS: new inputs go to a directory of the build, the tree's corpus is only read.
# shellcheck disable=SC2086
look() {
  FUZZ_TARGET=$1 "$BUILD/fuzz/fuzz" $common -max_total_time="$2" -print_final_stats=1 \
    -artifact_prefix="$work/crash-$1-" "$work/found/$1" "Tests/Fuzz/corpus/$1" \
    > "$work/look-$1.log" 2>&1
  status=$?
  sed -n "s/^\(Done .*\)/> fuzz, $1: \1/p" "$work/look-$1.log"
  [ $status = 0 ] || grep -E 'not so|ERROR|SUMMARY|Test unit' "$work/look-$1.log"
  return $status
}
ok "nothing found in $((FUZZ_SECONDS * 2 / 3)) s" look device $((FUZZ_SECONDS * 2 / 3))
ok "nothing found with assigned devices in $((FUZZ_SECONDS / 3)) s" look host $((FUZZ_SECONDS / 3))
finish
