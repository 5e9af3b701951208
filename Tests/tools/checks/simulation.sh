#!/bin/sh
# SPDX-License-Identifier: MIT
# Random guests, devices, VMs and failures on an emulated host: SIMULATION_RUNS of them (6000), from
# seed SIMULATION_SEED (1) on. A seed that fails: build/test/simulation build/libvsmmuv3.so.0 SEED 1
. Tests/tools/check.sh

out=$BUILD/test/simulation
runs=${SIMULATION_RUNS:-6000}
seed=${SIMULATION_SEED:-1}

program() {
  mkdir -p "$BUILD/test"
  # What does not compile shall not run as it was.
  rm -f "$out"
  cc -std=gnu11 -O1 -g -Wall -Wextra -Werror -IInclude -o "$out" Tests/Simulation/*.c \
    Tests/Conformance/guest.c Tests/Conformance/api.c Tests/Conformance/api_emulated.c -ldl \
    -lpthread
}

# half NAME FIRST COUNT: one of two that run at the same time.
half() {
  Tests/tools/patience.sh 1500 "$out" "$BUILD/libvsmmuv3.so.0" "$2" "$3" \
    > "$out-$1.txt" 2>&1 < /dev/null
  echo "$?" > "$out-$1.status"
}

# What a half came to.
told() {
  grep -v '^> seeds' "$out-$1.txt"
  return "$(cat "$out-$1.status")"
}

# planted DEFECT WORDS: it is found, with a sentence of these words.
planted() {
  Tests/tools/patience.sh 300 "$out" "$BUILD/libvsmmuv3.so.0" 1 300 250 "$1" \
    > "$out-planted-$1.txt" 2>&1 < /dev/null
  [ $? = 1 ] && grep -q "^FAIL seed .*$2" "$out-planted-$1.txt"
}

ok "simulation program" program
half first "$seed" $((runs / 2)) &
first=$!
half second $((seed + runs / 2)) $((runs - runs / 2)) &
second=$!
wait $first $second
counted "seeds from $seed" told first
counted "seeds from $((seed + runs / 2))" told second
for defect in 1 2 3; do
  ok "planted defect $defect of BARs is found" planted $defect '(BAR): '
done
ok "planted: CMD_ATC_INV without an effect" planted 4 'assigned stream .* page .*, may '
ok "planted: TLBIs of direct queues without one" planted 5 '(direct): .*assigned stream .*, may '
ok "planted: a failing attachment ends stage 1" planted 6 'assigned stream .* aborts at slot '
ok "planted: vSMMUs of one VMID have one ASID" planted 7 '(shared parent): of two on one parent'
grep -h '^> [0-9]' "$out-first.txt" "$out-second.txt"
finish
