# SPDX-License-Identifier: MIT
# Sourced after check.sh: swift_tests WHAT ARGUMENT... runs `swift test` and counts its tests.
swift_tests() {
  log=$BUILD/test/$1-swift.log
  mkdir -p "$BUILD/test"
  what=$1
  shift
  swiftpm test "$@" > "$log" 2>&1
  status=$?
  # Not the lines about suites and about the whole run.
  right=$(grep -c '^✔ Test .* passed after' "$log")
  wrong=$(grep -c '^✘ Test .* failed after' "$log")
  right=$((right - $(grep -c '^✔ Test run with' "$log")))
  wrong=$((wrong - $(grep -c '^✘ Test run with' "$log")))
  passed=$((passed + right))
  failed=$((failed + wrong))
  echo "$what: $right passed, $wrong failed"
  if [ $status != 0 ]; then
    grep -E '✘|error:|Fatal|ERROR: |warning: unre' "$log" | head -n 60
    # What crashed says so in its last words.
    [ $wrong != 0 ] || { tail -n 30 "$log"; fail "$what: ended with status $status"; }
  fi
}
