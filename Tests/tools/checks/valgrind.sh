#!/bin/sh
# SPDX-License-Identifier: MIT
# The library that users install, watched from outside: no leak, no stray access. Its threads are the
# business of tsan; here they would run one at a time.
. Tests/tools/check.sh

watched() {
  Tests/tools/patience.sh 1200 valgrind -q --error-exitcode=9 --leak-check=full \
    --errors-for-leak-kinds=definite,indirect \
    "$BUILD/test/conformance" "$BUILD/libvsmmuv3.so.0" version create destroy reset mmio_halves \
    mmio_refuses mmio_pages run_ queue command strict sync log messages invalidations ram_ stream_r \
    stream_b translate dma save restore counters iort
}
counted "valgrind" watched
finish
