#!/bin/sh
# SPDX-License-Identifier: MIT
# README.md keeps its word. A ```sh block after a line <!-- run --> is run; a ```c block after
# <!-- same as FILE --> is that file.
. Tests/tools/check.sh

work=$BUILD/test/readme
rm -rf "$work"
mkdir -p "$work"
if [ ! -f README.md ]; then
  skip "README" "there is no README.md yet"
  finish
fi
# Each block becomes a file NUMBER.run or NUMBER.same, whose first line is the mark.
awk -v work="$work" '
  /^<!-- (run|same as [^ ]*) -->$/ { mark = $0; next }
  mark != "" && /^```/ {
    file = work "/" ++n (mark ~ /run/ ? ".run" : ".same")
    print mark > file
    while ((getline line) > 0 && line !~ /^```/) print line >> file
    close(file)
    mark = ""
    next
  }
  /[^ ]/ { mark = "" }' README.md
for block in "$work"/*.run; do
  [ -e "$block" ] || continue
  sed 1d "$block" > "$block.sh"
  if Tests/tools/patience.sh 900 sh -eu "$block.sh" > "$block.log" 2>&1; then
    pass "README runs: $(sed -n 2p "$block")"
  else
    cat "$block.log"
    fail "README runs: $(sed -n 2p "$block")"
  fi
done
for block in "$work"/*.same; do
  [ -e "$block" ] || continue
  file=$(sed -n '1s/<!-- same as \([^ ]*\) -->/\1/p' "$block")
  sed 1d "$block" > "$block.text"
  same "README shows $file" "$file" "$block.text"
done
ok "README has blocks to check" [ "$((passed + failed))" -gt 0 ]
finish
