#!/bin/sh
# SPDX-License-Identifier: MIT
# Plants the defects of Tests/Exploration/defects, one at a time, in a copy of the sources: some
# scene must find each. explore-defects.sh [NAME...]: all without one. EXPLORER: a built explorer's
# folder (build/explore), whose modules are taken where a defect is not in them. QUICK: only in
# the scenes that a patch names.
set -u
explorer=$(cd "${EXPLORER:-build/explore}" && pwd) || exit
defects=$PWD/Tests/Exploration/defects
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# planted NAME: the explorer with that defect in it, in $work.
planted() {
  rm -rf "$work/tree"
  mkdir -p "$work/tree/build"
  cp -r Sources Include "$work/tree"
  mkdir -p "$work/tree/Tests"
  cp -r Tests/tools Tests/Exploration "$work/tree/Tests"
  cp -rp "$explorer" "$work/tree/build/explore"
  modules=$(sed -n 's|^+++ b/Sources/\([A-Za-z]*\)/.*|\1|p' "$defects/$1.patch" | sort -u)
  (
    cd "$work/tree" || exit
    patch -s -p1 --no-backup-if-mismatch < "$defects/$1.patch" || exit
    # shellcheck disable=SC2086 # words
    OPTIMIZE=-Onone nice Tests/tools/explore-program.sh build/explore $modules
  )
}

# look WORD...: OPTIONS are the bounds of a search.
look() {
  # shellcheck disable=SC2086 # words
  nice "$work/tree/build/explore/explore" --until-failure $OPTIONS "$@" > "$work/log" 2>&1
}

# found NAME: what needs least is looked for first, in the scenes that the patch names, then in all.
found() {
  words=$(sed -n 's/^Scenes: //p' "$defects/$1.patch")
  for OPTIONS in "--preemptions 1 --limit 400 --random 50" \
    "--preemptions 1 --old-loads 2 --limit 800 --random 50" \
    "--preemptions 2 --limit 1000 --random 100"; do
    # shellcheck disable=SC2086 # words
    look $words || return 0
  done
  [ -z "${QUICK-}" ] || return 1
  for OPTIONS in "--preemptions 1 --limit 150 --random 0" \
    "--preemptions 1 --old-loads 1 --limit 150 --random 0" \
    "--preemptions 2 --limit 400 --random 50"; do
    look || return 0
  done
  return 1
}

if [ $# = 0 ]; then
  for file in "$defects"/*.patch; do set -- "$@" "$(basename "$file" .patch)"; done
fi
for name in "$@"; do
  if ! planted "$name" > "$work/build.log" 2>&1; then
    tail -n 20 "$work/build.log"
    echo "FAIL $name: does not compile"
    failed=$((failed + 1))
  elif found "$name" && grep -q '^FAIL' "$work/log"; then
    total=$(sed -n 's/^> \([0-9]*\) runs.*/\1/p' "$work/log")
    echo "ok   $name: $(sed -n 's/^FAIL //p' "$work/log"); $total runs in all"
    passed=$((passed + 1))
  else
    echo "FAIL $name: no scene has found it"
    failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
