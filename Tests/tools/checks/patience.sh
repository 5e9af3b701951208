#!/bin/sh
# SPDX-License-Identifier: MIT
# The limit that the other checks run under: it passes on what a program says, and ends what hangs.
. Tests/tools/check.sh

patience=Tests/tools/patience.sh
work=$BUILD/test/patience
mkdir -p "$work"

status() {
  want=$1
  shift
  "$@" 2> "$work/said" > /dev/null
  [ $? = "$want" ]
}
ok "a status is passed on" status 3 $patience 60 sh -c 'exit 3'
ok "a signal too" status 137 $patience 60 sh -c 'kill -9 $$'
ok "input and output" [ "$(echo word | $patience 60 cat)" = word ]
# Both processes write their numbers first.
hang='echo $$ > '$work'/one; sh -c "echo \$\$ > '$work'/two; sleep 1000" & trap "" TERM
  while :; do sleep 1000; done'
ok "what hangs is ended" status 124 $patience 1 sh -c "$hang"
ok "and told" grep -q 'ended after 1 seconds' "$work/said"
alive() {
  for number in $(cat "$work/one" "$work/two"); do
    ! grep -qs '^State:[^ZX]*$' "/proc/$number/status" || echo "$number is alive"
  done
}
ok "there were two" [ "$(cat "$work/one" "$work/two" | wc -l)" = 2 ]
empty "all of it is ended" alive
finish
