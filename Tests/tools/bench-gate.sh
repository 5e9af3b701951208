#!/bin/sh
# SPDX-License-Identifier: MIT
# Instructions per call, counted by callgrind, beside the committed limits: bench-gate.sh [FLAVOUR
# [LIBRARY]]. With UPDATE=1 the flavour's limits become 3 % more than what is counted now. The last
# line is "N passed, N failed".
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
flavour=${1:-embedded}
library=${2:-$build/libvsmmuv3.so.0}
limits=Tests/Data/bench/thresholds.tsv
out=$build/bench/callgrind-$flavour

Sources/tools/packages.sh need tests
Tests/tools/bench-program.sh "$build/bench/bench"
mkdir -p "$out"
rm -f "$out"/*
# Valgrind 3.19 does not read the debug information of Swift's runtime.
strip --strip-unneeded -o "$out/library.so" "$library"
# No function that is counted may be called by another one: it would end the counting.
if ! Tests/tools/patience.sh 600 valgrind --tool=callgrind --callgrind-out-file="$out/dump" \
  --toggle-collect='vsmmu_translate' --toggle-collect='vsmmu_mmio_write' \
  --toggle-collect='vsmmu_dma_read' --toggle-collect='twin_copy' \
  --toggle-collect='twin_translate' --toggle-collect='twin_commands' \
  "$build/bench/bench" --gate "$out/library.so" < /dev/null > "$out/log" 2>&1; then
  tail -n 20 "$out/log"
  echo "0 passed, 1 failed"
  exit 1
fi

# "ROW INSTRUCTIONS" per call. What memcpy costs differs from CPU to CPU, and is not ours.
awk -F ': *' '
  /^desc: Trigger: .*row / { n = split($0, words, " "); row = words[n - 1]; calls = words[n] }
  /^totals:|^summary:/ { if (row != "") { count[row] = $2 / calls; row = "" } }
  END {
    count["dma-read-64k"] -= count["memcpy-64k"]
    delete count["memcpy-64k"]
    for (row in count) printf "%s %.2f\n", row, count[row]
  }' "$out"/dump.* | sort > "$out/all"
# The C limit depends on the compiler: told, not judged.
sed -n 's/^limit-\(.*\) \(.*\)/> C limit \1: \2 instructions/p' "$out/all"
grep -v '^limit-' "$out/all" > "$out/counts"

if [ "${UPDATE:-0}" = 1 ]; then
  mkdir -p "$(dirname "$limits")"
  touch "$limits"
  {
    printf '# SPDX-License-Identifier: MIT\n# flavour\trow\tinstructions per call, at most\n'
    {
      grep -v "^#\|^$flavour	" "$limits" || true
      awk -v flavour="$flavour" '{ printf "%s\t%s\t%.0f\n", flavour, $1, $2 * 1.03 + 0.5 }' \
        "$out/counts"
    } | sort
  } > "$out/limits"
  cp "$out/limits" "$limits"
fi

awk -v flavour="$flavour" '
  BEGIN { FS = "\t" }
  NR == FNR { if ($1 == flavour) limit[$2] = $3; next }
  { split($0, words, " "); count[words[1]] = words[2] }
  END {
    for (row in limit) {
      # A row that nothing was counted for proves nothing.
      good = row in count && count[row] > 0 && count[row] <= limit[row]
      printf "%s %s %s: %s instructions, at most %s\n", good ? "ok  " : "FAIL", flavour, row,
        row in count ? count[row] : "no", limit[row]
      if (good) passed++; else failed++
    }
    for (row in count) if (!(row in limit)) {
      printf "FAIL %s %s: %s instructions, no limit\n", flavour, row, count[row]
      failed++
    }
    if (passed + failed == 0) { print "FAIL " flavour ": nothing was counted"; failed++ }
    printf "%d passed, %d failed\n", passed, failed
    exit failed != 0
  }' "$limits" "$out/counts"
