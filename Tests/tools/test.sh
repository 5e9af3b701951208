#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the checks of Tests/tools/checks, all of them, those that are named, or with --quick what a
# change most likely breaks; TEST_JOBS (2) at a time. Of each it tells the seconds, and those that
# processors worked. Its last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
export BUILD="${BUILD:-build}"
logs=$BUILD/test
# What runs is told by files: NAME.taken, NAME.done, and NAME.told with its counts.
state=$logs/running
rm -rf "$state"
mkdir -p "$state"
jobs=${TEST_JOBS:-2}
[ "$(nproc)" -ge "$jobs" ] || jobs=1

# The short ones first, then the longest, so that none of these is left alone at the end.
all="build tidy layers patience header exports abi backtrace swift conformance explore arm64 fuzz
  simulation tsan asan stress flavours memory contract install examples endtoend readme valgrind
  bench ledger plugin l2 qemu"
quick="build tidy layers header quick"

# Those that a check comes after: they build what it reads, or make the library too.
after() {
  case $1 in
    build | tidy | layers | patience | header | ledger | swift | quick) ;;
    bench | valgrind | flavours) echo build conformance ;;
    asan) echo build fuzz ;;
    stress) echo build tsan ;;
    examples) echo build install ;;
    readme) echo build examples ;;
    endtoend | l2) echo build arm64 ;;
    *) echo build ;;
  esac
}
# What wants the machine for itself.
is_alone() { [ "$1" = qemu ]; }

passed=0
failed=0
begin=$(date +%s)

# One line or block at a time.
tell() {
  while ! mkdir "$state/telling" 2> /dev/null; do sleep 0.1; done
  cat
  rmdir "$state/telling"
}

# A check of two minutes tells that it is alive.
heartbeat() {
  waited=0
  while sleep 30; do
    waited=$((waited + 30))
    echo "     $1: $waited s" | tell
  done
}

# worked FILE...: seconds of all that checks started, user's and system's, as `times` has them.
worked() {
  cat "$@" | tr ms '  ' | awk 'NR % 2 == 0 { sum += 60 * ($1 + $3) + $2 + $4 }
    END { printf "%.0f", sum }'
}

run() {
  name=$1
  log=$logs/$name.log
  since=$(date +%s)
  heartbeat "$name" &
  alive=$!
  (
    "Tests/tools/checks/$name.sh" > "$log" 2>&1
    status=$?
    times > "$state/$name.times"
    exit $status
  )
  status=$?
  # Its sleep ends by itself.
  { kill $alive && wait $alive; } 2> /dev/null
  counts=$(tail -n 1 "$log" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p')
  [ -n "$counts" ] || counts="0 1"
  [ $status = 0 ] || [ "${counts#* }" != 0 ] || counts="${counts% *} 1"
  {
    echo "==== $name"
    # Lines that a check wants to be seen.
    sed -n 's/^> /     /p' "$log"
    if [ "${counts#* }" != 0 ]; then
      grep -v '^ok \|^> ' "$log" | tail -n 60 | sed 's/^/     /'
      echo "     (all of it is in $log)"
    fi
    echo "     ${counts% *} passed, ${counts#* } failed, $(($(date +%s) - since)) s," \
      "$(worked "$state/$name.times") s of work"
  } | tell
  echo "$counts" > "$state/$name.told"
  : > "$state/$name.done"
}

# can_run NAME: those that it comes after are done, as far as they run at all.
can_run() {
  for other in $(after "$1"); do
    case " $wanted " in *" $other "*) [ -e "$state/$other.done" ] || return 1 ;; esac
  done
}

# Takes checks until there is none left.
lane() {
  while :; do
    left=
    for name in $wanted; do
      [ ! -e "$state/$name.taken" ] || continue
      ! is_alone "$name" || continue
      left=$name
      can_run "$name" || continue
      # Of two lanes one makes the folder.
      mkdir "$state/$name.taken" 2> /dev/null || continue
      run "$name"
      continue 2
    done
    [ -n "$left" ] || return
    sleep 1
  done
}

there() { [ -x "Tests/tools/checks/$1.sh" ]; }
case ${1:-} in
  "") wanted=$(for name in $all; do if there "$name"; then echo "$name"; fi; done | xargs) ;;
  --quick) wanted=$(for name in $quick; do if there "$name"; then echo "$name"; fi; done | xargs) ;;
  *)
    wanted=$*
    for name in $wanted; do there "$name" || { echo "there is no check $name" >&2; exit 2; }; done
    ;;
esac
# What runs beside this does not hear of an interrupt by itself.
trap 'trap - INT; kill -s TERM 0' INT
lanes=
while [ "$jobs" -gt 0 ]; do
  jobs=$((jobs - 1))
  lane &
  lanes="$lanes $!"
done
# shellcheck disable=SC2086 # several numbers
wait $lanes
for name in $wanted; do
  if is_alone "$name"; then run "$name"; fi
done

for name in $wanted; do
  counts=$(cat "$state/$name.told")
  passed=$((passed + ${counts% *}))
  failed=$((failed + ${counts#* }))
done
echo "==== all of it: $(($(date +%s) - begin)) s, $(worked "$state"/*.times) s of work"
for name in $wanted; do grep '^skipped: ' "$logs/$name.log"; done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
