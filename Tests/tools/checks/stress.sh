#!/bin/sh
# SPDX-License-Identifier: MIT
# DMA threads against a guest that invalidates: some seconds of `make stress`, which takes minutes.
. Tests/tools/check.sh

# An even seed has large caches, an odd one small ones.
seed=$((${STRESS_SEED:-$(date +%s)} / 2 * 2))

# run PROGRAM SECONDS SEED
run() {
  Tests/tools/patience.sh 300 "$1" "$BUILD/libvsmmuv3.so.0" "$2" "$3" < /dev/null
}

# A hang is a failure, which `counted` tells by the missing last line.
ok "stress program" Tests/tools/stress-program.sh "$BUILD/stress/stress"
counted "stress, large caches" run "$BUILD/stress/stress" 4 $seed
counted "stress, small caches" run "$BUILD/stress/stress" 4 $((seed + 1))
ok "stress program, ThreadSanitizer" Tests/tools/stress-thread.sh "$BUILD/stress/thread"
export TSAN_OPTIONS="halt_on_error=0 exitcode=66"
counted "stress, ThreadSanitizer" run "$BUILD/stress/thread/stress" 5 $seed
counted "stress, ThreadSanitizer, small caches" run "$BUILD/stress/thread/stress" 5 $((seed + 1))
sed -n "s/^> /> stress: /p" "$BUILD"/test/stress,*.log
finish
