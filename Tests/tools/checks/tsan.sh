#!/bin/sh
# SPDX-License-Identifier: MIT
# Threads of the C surface under ThreadSanitizer.
. Tests/tools/check.sh

ok "build for ThreadSanitizer" Tests/tools/sanitized.sh thread
export TSAN_OPTIONS="halt_on_error=0 exitcode=66"
counted "threads" Tests/tools/patience.sh 600 "$BUILD/thread/conformance" "ThreadSanitizer" \
  threads two_devices reset access direct_tlbi direct_interrupt
finish
