#!/bin/sh
# SPDX-License-Identifier: MIT
# swift build or test, started again with an empty scratch directory where SwiftPM 6.3 has lost track
# of its own build description, as it does after a change of Package.swift.
#
#     swiftpm.sh SCRATCH build|test ARGUMENT...
set -u
scratch=$1
verb=$2
shift 2
mkdir -p "$scratch"
log=$scratch.log

# A pipe would hide the status, so the log is told of it.
attempt() {
  { swift "$@" 2>&1; echo "status $?"; } | tee "$log" | grep -v '^status '
  [ "$(tail -n 1 "$log")" = "status 0" ]
}

attempt "$verb" --scratch-path "$scratch" "$@" && exit 0
grep -q 'unknown build description\|failed to write auxiliary file' "$log" || exit 1
echo "starting again with an empty $scratch"
rm -rf "$scratch"
attempt "$verb" --scratch-path "$scratch" "$@"
