#!/bin/sh
# SPDX-License-Identifier: MIT
# Which folders know which: prints the arrows between the folders of each Swift module and their
# circles, and compares them with Tests/Data/layers.tsv.
. Tests/tools/check.sh

work=$BUILD/test/layers
table=Tests/Data/layers.tsv
rm -rf "$work"
mkdir -p "$work/out"
modules=$(awk -F '\t' '$1 == "module" { print $2 }' "$table")

# judge TABLE FACTS: prints what is not as the table has it.
judge() {
  awk -f Tests/tools/layers.awk "$1" "$2" | sed -n 's/^problem: //p' | sort
}

# shellcheck disable=SC2086 # a list
if ! Tests/tools/arrows.sh "$PWD" "$work/out" $modules > "$work/facts"; then
  fail "the modules compile"
  finish
fi
awk -f Tests/tools/layers.awk "$table" "$work/facts" | grep -v '^problem: '
ok "there are arrows to judge" [ "$(grep -c '^refer' "$work/facts")" -gt 10000 ]
empty "the arrows are those of the table" judge "$table" "$work/facts"

# Does it see anything? Each of these must be told of, and nothing else.
# caught WHAT SENTENCE TABLE FACTS
caught() {
  judge "$3" "$4" > "$work/said"
  if grep -q "$2" "$work/said" && [ "$(wc -l < "$work/said")" = 1 ]; then
    pass "$1 is seen"
  else
    cat "$work/said"
    fail "$1 is seen"
  fi
}

# A file in the lowest folder of SMMUModel that knows one in the highest.
low=$(awk -F '\t' '$1 == "floor" && $2 == "SMMUModel" && $3 != "." { print $3; exit }' "$table")
high=$(awk -F '\t' '$1 == "floor" && $2 == "SMMUModel" && $3 != "." { last = $3 }
  END { print last }' "$table")
planted=$work/planted
mkdir -p "$planted/Sources"
cp -r Include "$planted"
cp -r Sources/SMMUModel "$planted/Sources"
echo 'func plantedBelow() { plantedAbove() }' > "$planted/Sources/SMMUModel/$low/PlantedBelow.swift"
echo 'func plantedAbove() {}' > "$planted/Sources/SMMUModel/$high/PlantedAbove.swift"
grep -v '	Sources/SMMUModel/' "$work/facts" > "$work/facts.planted"
if Tests/tools/arrows.sh "$(cd "$planted" && pwd)" "$work/out" SMMUModel >> "$work/facts.planted"; then
  caught "a planted arrow upwards" \
    "^a new arrow upwards, SMMUModel $low -> $high (1): .*PlantedBelow.swift knows plantedAbove()" \
    "$table" "$work/facts.planted"
else
  fail "the planted arrow compiles"
fi
{ cat "$table"; printf 'up\tSMMUModel\t%s\t%s\t1\n' "$low" "$high"; } > "$work/gone.tsv"
caught "an arrow of the table that is gone" "^SMMUModel $low -> $high is gone" \
  "$work/gone.tsv" "$work/facts"
{ cat "$work/facts"; printf 'import\tSources/SMMUSpec/Planted.swift\tCKernel\n'; } > "$work/import"
caught "an import that the table does not have" '^SMMUSpec imports CKernel' "$table" "$work/import"
{ cat "$work/facts"; printf 'define\tSources/SMMUSpec/Planted/File.swift\tplanted\n'; } > "$work/new"
caught "a folder without a floor" '^folder Planted of SMMUSpec has no floor' "$table" "$work/new"
finish
