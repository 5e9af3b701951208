#!/bin/sh
# SPDX-License-Identifier: MIT
# The stress test, half of the time as it is and half under ThreadSanitizer: stress.sh [LIBRARY].
# STRESS_SECONDS (120) are all of it; STRESS_SEED and STRESS_THREADS (3) choose a run.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
half=$((${STRESS_SECONDS:-120} / 2))
seed=${STRESS_SEED:-$(date +%s)}
threads=${STRESS_THREADS:-3}
Tests/tools/stress-program.sh "$build/stress/stress"
"$build/stress/stress" "${1:-$build/libvsmmuv3.so.0}" "$half" "$seed" "$threads" < /dev/null
Tests/tools/stress-thread.sh "$build/stress/thread"
export TSAN_OPTIONS="halt_on_error=0 exitcode=66"
"$build/stress/thread/stress" linked "$half" "$seed" "$threads" < /dev/null
