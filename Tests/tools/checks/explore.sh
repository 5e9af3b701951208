#!/bin/sh
# SPDX-License-Identifier: MIT
# Interleavings of accesses with each kind of change, then the same on a machine that orders memory
# accesses as weakly as C11 allows; random guests on it; and one of the planted defects, chosen by
# the seed, which must be found. EXPLORE_LIMIT: runs of a scene (800). What fails prints the
# schedule that replays it: build/explore/explore SCENE --replay SCHEDULE, and of a random guest
# build/explore/explore --twin 1 --seed SEED --replay SCHEDULE
. Tests/tools/check.sh

limit=${EXPLORE_LIMIT:-800}
seed=${EXPLORE_SEED:-$(date +%s)}

planted() {
  cd Tests/Exploration/defects || return
  set -- *.patch
  cd - > /dev/null || return
  shift $((seed % $#))
  EXPLORER=$BUILD/explore Tests/tools/explore-defects.sh "${1%.patch}"
}

ok "explorer" Tests/tools/explore-program.sh "$BUILD/explore"
counted "interleavings" "$BUILD/explore/explore" --limit "$limit" --random 50 --seed "$seed"
counted "weak memory" "$BUILD/explore/explore" --preemptions 1 --old-loads 2 \
  --limit $((limit / 2)) --random 100 --seed "$seed"
counted "random guests" "$BUILD/explore/explore" --twin 30 --preemptions 1 --old-loads 1 \
  --limit 100 --random 100 --seed "$seed"
counted "a planted defect" planted
sed -n 's/^> /> explore: /p' "$BUILD/test/interleavings.log" "$BUILD/test/weak_memory.log" \
  "$BUILD/test/random_guests.log"
sed -n 's/^ok  /> found:/p' "$BUILD/test/a_planted_defect.log"
finish
