#!/bin/sh
# SPDX-License-Identifier: MIT
# The pages keep their word: README.md, docs and those beside the code. What they claim is in the
# words of Tests/tools/pages.awk.
. Tests/tools/check.sh

work=$BUILD/test/readme
rm -rf "$work"
mkdir -p "$work"
# shellcheck disable=SC2046 # names without blanks
awk -v work="$work" -f Tests/tools/pages.awk \
  $(find README.md CONTRIBUTING.md SECURITY.md docs Sources examples Tests -name '*.md' | sort) \
  > "$work/claims"

claims() { awk -F '\t' -v kind="$1" '$1 == kind { print $2 "\t" $3 }' "$work/claims"; }
broken_links() {
  claims link | while read -r page target; do
    [ -e "$(dirname "$page")/$target" ] || echo "$page links to $target"
  done
}
empty "links of the pages lead to files" broken_links
missing_paths() {
  claims path | while read -r page path; do
    # A pattern may name several.
    # shellcheck disable=SC2086
    set -- $path
    [ -e "$1" ] || echo "$page names $path"
  done
}
empty "files that the pages name are there" missing_paths
missing_verbs() {
  claims verb | while read -r page verb; do
    grep -q "^$verb:" Makefile || echo "$page tells of make $verb"
  done
}
empty "make has the verbs that the pages tell of" missing_verbs
ok "README.md has at most 220 lines" [ "$(wc -l < README.md)" -le 220 ]

: > "$work/output"
for block in "$work"/*.run; do
  [ -e "$block" ] || continue
  what="$(sed -n '1s/: .*//p' "$block"): $(sed -n 2p "$block")"
  sed 1d "$block" > "$block.sh"
  if Tests/tools/patience.sh 900 sh -eu "$block.sh" > "$block.log" 2>&1; then
    pass "$what runs"
  else
    cat "$block.log"
    fail "$what runs"
  fi
  cat "$block.log" >> "$work/output"
done
for block in "$work"/*.same; do
  [ -e "$block" ] || continue
  file=$(sed -n '1s/.*<!-- same as \([^ ]*\) -->/\1/p' "$block")
  sed 1d "$block" > "$block.text"
  same "$(sed -n '1s/: .*//p' "$block") shows $file" "$file" "$block.text"
done
# Lines that the output does not have in this order. [...] leaves some out.
not_said() {
  sed 1d "$1" | awk -v output="$work/output" '
    /^\[/ { next }
    {
      found = 0
      while (!found && (getline line < output) > 0) found = line == $0
      if (!found) { print "not in the output, or not there: " $0; exit }
    }'
}
for block in "$work"/*.from; do
  [ -e "$block" ] || continue
  empty "$(sed -n '1s/: .*//p' "$block") shows what make run says" not_said "$block"
done

# Names of code in the first two sections of Sources/README.md.
unknown_names() {
  sed '/^## How threads meet/,$d' Sources/README.md | grep -oE '`[A-Za-z_]+`' | tr -d '`' | sort -u |
    while read -r name; do
      grep -rqwF "$name" Sources --include='*.swift' || [ -d "Sources/VSMMU/$name" ] ||
        echo "Sources/README.md names $name"
    done
}
empty "the glossary's names are those of the code" unknown_names

# The table of features: rows of feature, field, yes or no, tests.
rows() { awk -F ' *[|] *' '/^## What it does/ { on = 1 } /^## Trust/ { on = 0 } on && NF == 6' README.md; }
no_proof() {
  rows | awk -F ' *[|] *' '$4 == "yes" { print $5 }' | tr ',' '\n' | tr -d '` ' |
    while read -r name; do
      case $name in
        */*) found=$(find Tests -path "*$name*" | head -n 1) ;;
        *_*) found=$(grep -rlE "^static void ${name%\*}" Tests/Conformance) ;;
        ?*) found=$(find Tests -name "$name.swift") ;;
        *) found= ;;
      esac
      [ -n "$found" ] || echo "a row with yes is proven by '$name', which is nowhere"
    done
}
empty "README.md's features have the tests that it names" no_proof
# "IDR0.S1P" is not 0, "IDR0.ATS = 0" is that, in the registers of a device with defaults.
fields() {
  rows | awk -F ' *[|] *' '$4 == "yes" || $4 ~ /\*\*no\*\*/ { print $3 }' | tr ',' '\n' | grep IDR
}
wrong_fields() {
  "$BUILD/hello" | grep '^IDR' > "$work/registers"
  fields | awk -v registers="$work/registers" '
    function digit(c) { return index("0123456789abcdef", c) - 1 }
    function bit(word, n) { return int(digit(substr(word, 10 - int(n / 4), 1)) / 2 ^ (n % 4)) % 2 }
    BEGIN { while ((getline < registers) > 0) word[$1] = $2 }
    FILENAME != "-" {
      if (/^public enum/) register = $3
      if (match($0, /Field\("[A-Z0-9_]+", [0-9, ]+\)/)) {
        split(substr($0, RSTART + 7, RLENGTH - 8), part, /", |, /)
        high[register "." part[1]] = part[2]
        low[register "." part[1]] = part[3] == "" ? part[2] : part[3]
      }
      next
    }
    {
      split($1, part, ".")
      if (!($1 in high) || !(part[1] in word)) { print "no field " $1; next }
      value = 0
      for (n = high[$1] + 0; n >= low[$1] + 0; n--) value = 2 * value + bit(word[part[1]], n)
      if ($2 == "=" ? value != $3 : value == 0) print $0 " reads " value
    }' Sources/SMMUSpec/Registers/IdentificationFields.swift -
}
ok "README.md's features have fields to check" [ "$(fields | wc -l)" -gt 30 ]
empty "the ID registers say what README.md says" wrong_fields
finish
