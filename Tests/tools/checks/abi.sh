#!/bin/sh
# SPDX-License-Identifier: MIT
# A program that was compiled against the committed ABI works with this library: what is there stays
# as it is, what is new comes at the end.
. Tests/tools/check.sh

data=Tests/Data/abi
work=$PWD/$BUILD/test/abi
rm -rf "$work"
mkdir -p "$work"

ok "what the headers say is read" Tests/tools/abi.sh print "$work/now"
empty "nothing that was promised has changed" Tests/tools/abi.sh compare $data "$work/now"
for kind in structs functions constants symbols; do
  new=$(grep -cvxF -f $data/$kind "$work/now/$kind")
  [ "$new" = 0 ] || echo "> $new new lines of $kind: run make abi before a release"
done
ok "the ABI has structs, functions, constants and symbols ($(cat "$work/now"/* | wc -l) lines)" \
  [ "$(find "$work/now" -type f -size +1k | wc -l)" = 4 ]

# The other compiler lays them out alike.
asserts() {
  printf '#include "vsmmuv3_emulated.h"\n'
  awk '
    $2 == "size" { printf "_Static_assert(sizeof(%s) == %d, \"\");\n", $1, $3; next }
    { split($1, part, ".")
      printf "_Static_assert(offsetof(%s, %s) == %d, \"\");\n", part[1], part[2], $2
      if ($3 ~ /^u?int(32|64)_t$/ && NF == 3)
        printf "_Static_assert(sizeof(((%s *)0)->%s) == sizeof(%s), \"\");\n",
          part[1], part[2], $3 }
  ' "$work/now/structs"
}
asserts > "$work/asserts.c"
ok "gcc's layout is clang's" gcc -std=c11 -IInclude -fsyntax-only "$work/asserts.c"

# What would break programs is seen: broken WHAT KIND SED, kept WHAT KIND SED.
changed() {
  rm -rf "$work/changed"
  cp -r "$work/now" "$work/changed"
  sed "$2" "$work/now/$1" > "$work/changed/$1"
  ! cmp -s "$work/now/$1" "$work/changed/$1" &&
    Tests/tools/abi.sh compare "$work/now" "$work/changed"
}
broken() {
  if [ -n "$(changed "$2" "$3")" ]; then pass "refused: $1"; else fail "refused: $1"; fi
}
broken "a function goes" functions '/^vsmmu_run /d'
broken "a function's arguments change" functions '/^vsmmu_run /s/uint32_t)/uint64_t)/'
broken "a function's version changes" symbols '/^vsmmu_run /s/1\.0/2.0/'
broken "a constant goes" constants '/^VSMMU_ACCESS_WRITE /d'
broken "a constant's value changes" constants '/^VSMMU_ACCESS_WRITE /s/1u/128u/'
broken "a struct goes" structs '/^vsmmu_access[ .]/d'
broken "a field goes" structs '/^vsmmu_access.reserved /d'
broken "a field gets another name" structs '/^vsmmu_access.stream /s/stream/sid/'
broken "a field gets another type" structs '/^vsmmu_access.stream /s/uint32_t/int32_t/'
broken "two fields change places" structs \
  '/^vsmmu_access.stream /{h;d;};/^vsmmu_access.substream /G'
broken "a struct shrinks" structs '/^vsmmu_access size/s/32/24/'
broken "a field is inserted" structs '/^vsmmu_access.stream /i\
vsmmu_access.new 8 uint32_t'
broken "a field fills old padding" structs '/^vsmmu_access.reserved /a\
vsmmu_access.new 28 uint32_t'
broken "a struct without size grows" structs '/^vsmmu_id_mapping size/s/16/24/'

kept() {
  said=$(changed "$2" "$3") || said="nothing was changed"
  if [ -z "$said" ]; then pass "allowed: $1"; else fail "allowed: $1: $said"; fi
}
# shellcheck disable=SC2016 # the last line
kept "a new function" functions '$a\
vsmmu_zero void (void)'
kept "a new constant" constants '1i\
VSMMU_ACCESS_ANEW 128u'
# shellcheck disable=SC2016 # likewise
kept "a new symbol" symbols '$a\
vsmmu_zero VSMMU_1.2'
kept "a field at the end" structs '/^vsmmu_access size/s/32/40/
/^vsmmu_access.reserved /a\
vsmmu_access.new 32 uint64_t'
kept "a reserved field gets a name" structs '/^vsmmu_access.reserved /s/reserved/new/'

# One number: the headers and the library.
api() { sed -n "s/^#define VSMMU_API_$1 \([0-9]*\)u$/\1/p" Include/vsmmuv3.h; }
ok "the changelog knows API $(api MAJOR).$(api MINOR)" \
  grep -q "API $(api MAJOR)\.$(api MINOR)" CHANGELOG.md
finish
