# SPDX-License-Identifier: MIT
# Sourced after check.sh: swift_tests WHAT ARGUMENT... runs `swift test` and counts its tests.
swift_tests() {
  log=$BUILD/test/$1-swift.log
  mkdir -p "$BUILD/test"
  what=$1
  shift
  swiftpm test "$@" > "$log" 2>&1
  status=$?
  # The last words count all tests; of the lines before some may be missing.
  total=$(sed -n 's/^.* Test run with \([0-9]*\) tests.*/\1/p' "$log" | tail -n 1)
  wrong=$(grep -c '^✘ Test .* failed after' "$log")
  wrong=$((wrong - $(grep -c '^✘ Test run with' "$log")))
  right=$((${total:-0} - wrong))
  passed=$((passed + right))
  failed=$((failed + wrong))
  echo "$what: $right passed, $wrong failed"
  if [ $status != 0 ]; then
    grep -E '✘|error:|Fatal|ERROR: |warning: unre' "$log" | head -n 60
    # What crashed says so in its last words.
    [ $wrong != 0 ] || { tail -n 30 "$log"; fail "$what: ended with status $status"; }
  fi
}
