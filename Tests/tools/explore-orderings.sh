#!/bin/sh
# SPDX-License-Identifier: MIT
# Takes the ordering of each access to an atomic word away, one at a time, and tells which scene
# fails without it: explore-orderings.sh [PATTERN]. EXPLORER: a built explorer's folder. Compare
# with the table of Sources/README.md. LIMIT: runs of a scene (300). SCENES: words, as the explorer
# takes them.
set -u
explorer=${EXPLORER:-build/explore}/explore
limit=${LIMIT:-300}

# File, line and ordering of each access that is more than relaxed. A call is of the line that it
# begins in.
sites() {
  find Sources -name '*.swift' ! -name 'Explore*.swift' ! -name Lock.swift | sort |
    while read -r file; do
      awk -v name="$(echo "$file" | sed 's|^Sources/\([^/]*\)/.*/|\1/|; s|^Sources/||')" '
        /\.(load|store|exchange|compareExchange|wrappingAdd|wrappingSubtract|bitwiseOr)\(/ ||
          /atomicMemoryFence\(/ { line = FNR }
        match($0, /ordering: \.(acquiring|releasing|acquiringAndReleasing|sequentiallyConsistent)/) {
          print name ":" line, substr($0, RSTART + 11, RLENGTH - 11)
        }' "$file"
    done | sort -u
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
needed=0
others=0
sites | grep -e "${1:-.}" > "$work/sites"
while read -r site ordering; do
  # shellcheck disable=SC2086 # words
  said=$(nice "$explorer" --until-failure --weaken "$site" --old-loads 2 --preemptions 1 \
    --limit "$limit" --random 30 ${SCENES-} < /dev/null |
    sed -n 's/^FAIL \([^,]*\), run \([0-9]*\): \(.*\)/\1 (\2): \3/p')
  if [ -n "$said" ]; then
    needed=$((needed + 1))
    echo "needed $site $ordering: $said"
  else
    others=$((others + 1))
    echo "-      $site $ordering"
  fi
done < "$work/sites"
echo "$needed that a scene needs, $others that none does"
