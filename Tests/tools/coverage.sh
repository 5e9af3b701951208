#!/bin/sh
# SPDX-License-Identifier: MIT
# Line coverage by folder, from the profile that `swift test --enable-code-coverage` left:
# coverage.sh SCRATCH FOLDER...
set -eu
scratch=$1
shift
# Debian's llvm-cov does not know this version of the profile.
"$(Sources/tools/toolchain.sh)/llvm-cov" export -format=lcov -instr-profile \
  "$scratch/debug/codecov/default.profdata" "$scratch/debug/vsmmuv3PackageTests.xctest" "$@" |
  awk -v root="$PWD/" '
    function share(hit, all) { return all ? sprintf("%5.1f %%", 100 * hit / all) : "    -  " }
    /^SF:/ {
      folder = substr($0, 4)
      sub(root, "", folder)
      sub("/[^/]*$", "", folder)
      module = folder
      sub("^Sources/", "", module)
      sub("/.*", "", module)
    }
    # A line that several functions share (generics) is told once for each file.
    /^DA:/ {
      split(substr($0, 4), pair, ",")
      all[folder]++; total[module]++; sum++
      if (pair[2] > 0) { hit[folder]++; reached[module]++; sumhit++ }
    }
    END {
      for (f in all) printf "%s  %6d lines  %s\n", share(hit[f], all[f]), all[f], f | "sort -k 5"
      close("sort -k 5")
      for (m in total) printf "%s  %6d lines  all of %s\n", share(reached[m], total[m]), total[m], m
      printf "%s  %6d lines  total\n", share(sumhit, sum), sum
    }'
