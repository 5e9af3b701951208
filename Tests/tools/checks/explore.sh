#!/bin/sh
# SPDX-License-Identifier: MIT
# Interleavings of accesses with each kind of change, then the same on a machine that orders memory
# accesses as weakly as C11 allows. EXPLORE_LIMIT: runs of a scene (3000). A scene that fails prints
# the schedule that replays it: build/explore/explore SCENE --replay SCHEDULE
. Tests/tools/check.sh

limit=${EXPLORE_LIMIT:-3000}
seed=${EXPLORE_SEED:-$(date +%s)}

ok "explorer" Tests/tools/explore-program.sh "$BUILD/explore"
counted "interleavings" "$BUILD/explore/explore" --limit "$limit" --random 50 --seed "$seed"
counted "weak memory" "$BUILD/explore/explore" --preemptions 1 --old-loads 2 \
  --limit $((limit / 2)) --random 100 --seed "$seed"
sed -n 's/^> /> explore: /p' "$BUILD/test/interleavings.log" "$BUILD/test/weak_memory.log"
finish
