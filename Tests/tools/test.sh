#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the checks of Tests/tools/checks, all in the order below or those that are named, and counts.
# Its last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
export BUILD="${BUILD:-build}"
logs=$BUILD/test
mkdir -p "$logs"

# The quick ones first. A check of two minutes tells that it is alive.
all="build tidy patience header exports abi install backtrace conformance memory flavours bench stress arm64
  contract endtoend simulation examples readme swift explore ledger asan tsan valgrind fuzz qemu"

passed=0
failed=0
skipped=$logs/skipped
: > "$skipped"
begin=$(date +%s)

heartbeat() {
  waited=0
  while sleep 30; do
    waited=$((waited + 30))
    echo "     $1: $waited s"
  done
}

run() {
  name=$1
  log=$logs/$name.log
  since=$(date +%s)
  echo "==== $name"
  heartbeat "$name" &
  alive=$!
  "Tests/tools/checks/$name.sh" > "$log" 2>&1
  status=$?
  # Its sleep ends by itself.
  { kill $alive && wait $alive; } 2> /dev/null
  counts=$(tail -n 1 "$log" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p')
  [ -n "$counts" ] || counts="0 1"
  [ $status = 0 ] || [ "${counts#* }" != 0 ] || counts="${counts% *} 1"
  passed=$((passed + ${counts% *}))
  failed=$((failed + ${counts#* }))
  grep '^skipped: ' "$log" >> "$skipped"
  # Lines that a check wants to be seen.
  sed -n 's/^> /     /p' "$log"
  if [ "${counts#* }" != 0 ]; then
    grep -v '^ok \|^> ' "$log" | tail -n 60 | sed 's/^/     /'
    echo "     (all of it is in $log)"
  fi
  echo "     ${counts% *} passed, ${counts#* } failed, $(($(date +%s) - since)) s"
}

[ $# != 0 ] || set -- $all
for name in "$@"; do run "$name"; done

echo "==== all of it: $(($(date +%s) - begin)) s"
cat "$skipped"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
