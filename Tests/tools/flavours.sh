#!/bin/sh
# SPDX-License-Identifier: MIT
# The libraries for a real Swift runtime, into build/dynamic, where it is beside them, and
# build/static, where it is inside. They differ in how they are linked alone (Package.swift), so what
# is compiled for one is linked for the other.
set -eu
build=${BUILD:-build}
scratch=.build-runtime
built=$build/static/.built
if [ -e "$built" ] &&
  [ -z "$(find Package.swift Sources Include "$0" -newer "$built" -print -quit)" ]; then
  exit
fi
mkdir -p "$build/static"
rm -f "$built"
: > "$built.new"
for runtime in dynamic static; do
  mkdir -p "$build/$runtime"
  for product in vsmmuv3 vsmmuv3-emulated; do
    VSMMU_RUNTIME=$runtime swift build --disable-build-manifest-caching -c release \
      --product $product --scratch-path $scratch
    # Not into a file that is loaded somewhere.
    cp --remove-destination "$scratch/release/lib$product.so" "$build/$runtime"
  done
done
mv "$built.new" "$built"
