#!/bin/bash
# SPDX-License-Identifier: MIT
# What a DMA of an emulated device costs behind the library's SMMU and behind QEMU's own, in one
# QEMU binary, without a guest: examples/qemu/bench writes tables and commands itself.
#
#   qemu-dma-bench.sh [ROUNDS]             the table, by the plugin in a distribution's QEMU
#                                          (SERIES=11.1) or VSMMUV3_PLUGIN;
#                                          ROWS=strict: of these rows alone
#   qemu-dma-bench.sh smoke PLUGIN QEMU    a few DMAs: each reads what its page says; no times
#
# Four machines take turns in each row and in changing order: no IOMMU, one that does nothing,
# QEMU's and the library's. What disturbs a run only makes it slower: the least of all rounds counts.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
. Tests/tools/qemu-common.sh
kinds=(none empty qemu library)
work=$(mktemp -d)
trap 'stop' EXIT
declare -A in out pid

stop() {
  local kind
  for kind in "${!pid[@]}"; do kill "${pid[$kind]}" 2> /dev/null || true; done
  rm -rf "$work"
}

# start KIND PLUGIN QEMU
start() {
  local kind=$1 file=$2 binary=$3 iommu=smmu options=(-M virt) to from
  case $kind in
    none | empty) iommu=$kind ;;
    qemu) options=(-M "virt,iommu=smmuv3") ;;
    library) options=(-M virt -device "vsmmuv3,lib=$library") ;;
  esac
  mkfifo "$work/$kind.in" "$work/$kind.out"
  "$binary" -plugin "$file" "${options[@]}" -m 256M -nodefaults -display none -S -qmp stdio \
    -device pci-testdev,id=function \
    -device "vsmmuv3-bench,id=bench,function=function,iommu=$iommu" \
    < "$work/$kind.in" > "$work/$kind.out" 2> "$work/$kind.errors" &
  pid[$kind]=$!
  exec {to}> "$work/$kind.in" {from}< "$work/$kind.out"
  in[$kind]=$to out[$kind]=$from
  ask "$kind" '{"execute":"qmp_capabilities"}' > /dev/null
}

# ask KIND JSON: what is returned
ask() {
  local line
  echo "$2" >&"${in[$1]}"
  while read -r -t 120 -u "${out[$1]}" line; do
    line=${line%$'\r'}
    case $line in
      '{"return": "'*) line=${line#*: \"}; echo "${line%\"\}}"; return ;;
      '{"return"'*) return ;;
      '{"error"'*) die "$1: $line" ;;
    esac
  done
  die "$1: no answer; $(cat "$work/$1.errors")"
}

# run KIND ORDER: its result
run() {
  local at='"path":"/machine/peripheral/bench","property"'
  ask "$1" "{\"execute\":\"qom-set\",\"arguments\":{$at:\"run\",\"value\":\"$2\"}}"
  ask "$1" "{\"execute\":\"qom-get\",\"arguments\":{$at:\"result\"}}"
}

# QEMU's own SMMU is asked by one thread: with two it reads another page's data now and then.
smoke() {
  local kind order expected result
  . Tests/tools/check.sh
  for kind in "${kinds[@]}"; do
    start "$kind" "$1" "$2"
    for order in "hits 32 64 2 2000" "hits 1024 4096 1 2000" "hits 16384 64 2 2000" \
      "strict 64 2 600" "strict 4096 1 600" fault; do
      expected='^[0-9]+\.[0-9] 0$'
      [ "$kind" != qemu ] || order=${order/64 2/64 1}
      [ "$order" != fault ] || expected='^refused$'
      if [ "$order" = fault ] && [ "$kind" = none ]; then expected='^read$'; fi
      result=$(run "$kind" "$order" 2> "$work/said") || true
      ok "DMA, $kind, $order" grep -qE "$expected" <<< "$result"
      cat "$work/said"
    done
  done
  finish
}

# The rows: name|order|DMAs of each thread, for a few milliseconds
rows() {
  local pages size threads
  for size in 64 4096; do
    for pages in 32 1024 16384; do
      for threads in 1 2; do
        echo "$pages pages, $size bytes, threads: $threads|hits $pages $size $threads|8000"
      done
    done
  done
  for size in 64 4096; do
    for threads in 1 2; do
      echo "strict, $size bytes, threads: $threads|strict $size $threads|1500"
    done
  done
}

table() {
  local rounds=$1 round kind name order count result turn=0 wrong=0
  for kind in "${kinds[@]}"; do start "$kind" "$2" "$3"; done
  for ((round = 1; round <= rounds; round++)); do
    say "round $round of $rounds"
    while IFS='|' read -r -u 9 name order count; do
      for _ in "${kinds[@]}"; do
        kind=${kinds[turn++ % 4]}
        result=$(run "$kind" "$order $count")
        echo "$name|$kind|${result% *}" >> "$work/all"
        [ "$kind" = qemu ] || [ "${result#* }" = 0 ] || die "$kind, $order: $result wrong"
        wrong=$((wrong + ${result#* }))
      done
      turn=$((turn + 1))
    done 9< <(rows | grep -e "${ROWS:-.}")
  done
  echo "$(date +%F), QEMU $("$3" --version | sed -nE '1s/.* version ([0-9.]+).*/\1/p')," \
    "the least of $rounds rounds, ns a DMA:"
  echo
  awk -F '|' '
    {
      if (!seen[$1]++) order[++rows] = $1
      if (!(($1, $2) in best) || $3 < best[$1, $2]) best[$1, $2] = $3
    }
    END {
      print "| | no IOMMU | one that does nothing | iommu=smmuv3 | vsmmuv3 | total |" \
        " SMMU, less no IOMMU | less one that does nothing |"
      print "|---|---|---|---|---|---|---|---|"
      for (i = 1; i <= rows; i++) {
        r = order[i]
        n = best[r, "none"]; e = best[r, "empty"]; q = best[r, "qemu"]; l = best[r, "library"]
        printf "| %s | %.0f | %.0f | %.0f | %.0f | %.1f × | %s | %s |\n", r, n, e, q, l, q / l,
          share(q - n, l - n), share(q - e, l - e)
      }
    }
    function share(theirs, ours) {
      return sprintf("%.0f : %.0f", theirs, ours) \
        (ours > 0 ? sprintf(", %.1f ×", theirs / ours) : "")
    }' "$work/all"
  echo
  echo "DMAs by iommu=smmuv3 that read what is not there: $wrong."
}

case ${1:-} in
  smoke) smoke "$2" "$3" ;;
  *)
    series=${SERIES:-11.1}
    binary=$(stock "$series") || die "no QEMU $series is here (Tests/tools/qemu.sh stock)"
    if [ -z "$plugin" ]; then
      source=$(headers "$series") || die "neither headers nor source of QEMU $series are here"
      mkdir -p "${BUILD:-build}/test"
      plugin=$PWD/${BUILD:-build}/test/vsmmuv3-qemu-dma.so
      examples/qemu/plugin/build.sh "$source" "$plugin"
    fi
    table "${1:-25}" "$plugin" "$binary"
    ;;
esac
