#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs COMMAND, and ends it with all that it started when it has had SECONDS of the machine:
# patience.sh SECONDS COMMAND... The status is the command's, or 124. A second in which three are at
# work for each processor counts a third: what is only slow because others work is not ended.
set -u
seconds=$1
shift

# Processes of the session $child, which is the command's own.
members() {
  cat /proc/[0-9]*/stat 2> /dev/null | awk -v session="$child" '
    { pid = $1; sub(/.*\) /, ""); if ($4 == session && $1 != "Z") print pid }'
}

end() {
  for signal in TERM KILL; do
    # shellcheck disable=SC2046 # one number each
    set -- $(members)
    [ $# != 0 ] || return
    kill -s $signal "$@"
    # Some have to say goodbye.
    for _ in 1 2 3 4 5 6 7 8 9 10; do [ -z "$(members)" ] || sleep 0.1; done
  done 2> /dev/null
}

# Ends when the seconds are over. Of those that are at work awk itself is one.
watch() {
  processors=$(nproc)
  spent=0
  while [ "$spent" -lt $((seconds * 1000)) ]; do
    sleep 1
    spent=$(awk -v spent="$spent" -v processors="$processors" '{
      split($4, tasks, "/")
      share = tasks[1] - 1 > processors ? processors / (tasks[1] - 1) : 1
      printf "%d", spent + 1000 * share
    }' /proc/loadavg)
  done
}

# The standard input of what runs in the background would be empty.
exec 3<&0
setsid "$@" <&3 3<&- &
child=$!
exec 3<&-
late=
stop() {
  trap - TERM INT HUP
  kill $watcher
  end
  exit 143
} 2> /dev/null
# Whoever reads what the command says does not wait for this.
{ watch; kill -s USR1 $$; end; } > /dev/null 2>&1 < /dev/null &
watcher=$!
trap stop TERM INT HUP
trap late=1 USR1
# Ends early, with a status of its own, at a signal.
wait $child 2> /dev/null
status=$?
if [ -z "$late" ]; then
  { kill $watcher && wait $watcher; } 2> /dev/null
  exit $status
fi
wait $watcher 2> /dev/null
echo "ended after $seconds seconds of a machine of its own: $*" >&2
exit 124
