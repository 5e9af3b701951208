# SPDX-License-Identifier: MIT
# Sourced by the checks. Each ends with `finish`, whose last line is "N passed, N failed".
set -u
BUILD=${BUILD:-build}
passed=0
failed=0
mkdir -p "$BUILD"

pass() {
  passed=$((passed + 1))
  echo "ok   $*"
}

fail() {
  failed=$((failed + 1))
  echo "FAIL $*"
}

# ok WHAT COMMAND...: passes if the command does.
ok() {
  what=$1
  shift
  if "$@"; then pass "$what"; else fail "$what"; fi
}

# empty WHAT COMMAND...: passes if the command says nothing.
empty() {
  what=$1
  shift
  said=$("$@" 2>&1)
  if [ -z "$said" ]; then
    pass "$what"
  else
    echo "$said" | head -n 40
    fail "$what"
  fi
}

# same WHAT FILE FILE
same() {
  if diff -u "$2" "$3"; then pass "$1"; else fail "$1"; fi
}

# skip WHAT REASON: is told again at the end of `make test`.
skip() {
  echo "skipped: $1: $2"
}

# counted WHAT COMMAND...: adds the counts of the command's own last line.
counted() {
  what=$1
  shift
  log=$BUILD/test/$(echo "$what" | tr ' /' '__').log
  mkdir -p "$BUILD/test"
  "$@" > "$log" 2>&1
  status=$?
  counts=$(tail -n 1 "$log" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p')
  if [ -z "$counts" ]; then
    tail -n 30 "$log"
    fail "$what: ended with status $status"
    return
  fi
  passed=$((passed + ${counts% *}))
  failed=$((failed + ${counts#* }))
  echo "$what: ${counts% *} passed, ${counts#* } failed"
  if [ "${counts#* }" != 0 ]; then
    grep -v '^ok' "$log" | head -n 40
  elif [ $status != 0 ]; then
    tail -n 30 "$log"
    fail "$what: ended with status $status"
  fi
}

# SwiftPM; see UNCACHED in the Makefile. A test that hangs does not hang all of it.
swiftpm() {
  verb=$1
  shift
  Tests/tools/patience.sh 3600 swift "$verb" --disable-build-manifest-caching "$@"
}

finish() {
  echo "$passed passed, $failed failed"
  [ $failed = 0 ]
  exit
}
