#!/bin/sh
# SPDX-License-Identifier: MIT
# The stress test, half of the time as it is and half under ThreadSanitizer, each with large caches
# and with small ones: stress.sh [LIBRARY]. STRESS_SECONDS (120) are all of it; STRESS_SEED and
# STRESS_THREADS (3) choose a run.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
quarter=$((${STRESS_SECONDS:-120} / 4))
seed=$((${STRESS_SEED:-$(date +%s)} / 2 * 2))
Tests/tools/stress-program.sh "$build/stress/stress"
Tests/tools/stress-thread.sh "$build/stress/thread"
export TSAN_OPTIONS="halt_on_error=0 exitcode=66"
for program in stress thread/stress; do
  for small in 0 1; do
    echo "$program:"
    "$build/stress/$program" "${1:-$build/libvsmmuv3.so.0}" "$quarter" $((seed + small)) \
      "${STRESS_THREADS:-3}" < /dev/null
  done
done
