#!/bin/sh
# SPDX-License-Identifier: MIT
# What a program that was compiled against the headers relies on, in Tests/Data/abi:
#
#     abi.sh print TO [FLAG...]  writes what the headers (and build/) say into the folder TO, as the
#                                compiler sees it with those flags
#     abi.sh compare OLD NEW     says what of OLD is not so in NEW, which may have more
#     abi.sh write               replaces Tests/Data/abi, unless that breaks what is there
set -eu
data=Tests/Data/abi
build=${BUILD:-build}

clang() {
  "$(Sources/tools/toolchain.sh)/clang" -std=c11 -IInclude "$@" \
    -x c Include/vsmmuv3_emulated.h
}

# A line for each struct and one for each field: name, offset, type; the types have fixed sizes.
structs() {
  clang -fsyntax-only -Xclang -fdump-record-layouts-complete "$@" | awk '
    / 0 \| struct vsmmu_[a-z_]*$/ { name = $NF; fields = ""; next }
    name == "" { next }
    /\[sizeof=/ {
      size = align = $0
      sub(/.*sizeof=/, "", size); sub(/,.*/, "", size)
      sub(/.*align=/, "", align); sub(/\].*/, "", align)
      printf "%s size %s align %s\n%s", name, size, align, fields
      name = ""
      next
    }
    / \|   [^ ]/ {
      field = $NF; offset = $1; type = $0
      sub(/^[^|]*\|   /, "", type); sub(/ [^ ]*$/, "", type)
      fields = fields name "." field " " offset " " type "\n"
    }'
}

# name, type
functions() {
  clang -fsyntax-only -Xclang -ast-dump "$@" |
    sed -n "s/^.*FunctionDecl .* \(vsmmu_[a-z0-9_]*\) '\(.*\)'.*/\1 \2/p" | LC_ALL=C sort
}

# name, value; a macro with arguments as it is written. The version of the API grows with the rest.
constants() {
  clang -E -dM "$@" | sed -n 's/^#define \(VSMMU_[A-Z0-9_]*\) \(.*\)/\1 \2/p
    s/^#define \(VSMMU_[A-Z0-9_]*([^)]*)\) \(.*\)/\1 \2/p' |
    grep -v -e '^VSMMU_API_MINOR ' | LC_ALL=C sort
}

# name, version; of both libraries
symbols() {
  nm -D --defined-only "$build/libvsmmuv3.so.0" "$build/libvsmmuv3-emulated.so.0" |
    sed -n 's/^[^ ]* [B-Z] \(vsmmu_[^@]*\)@@\(.*\)/\1 \2/p' | LC_ALL=C sort
}

print() {
  to=$1
  shift
  mkdir -p "$to"
  structs "$@" > "$to/structs"
  functions "$@" > "$to/functions"
  constants "$@" > "$to/constants"
  symbols > "$to/symbols"
}

compare() {
  for kind in functions constants symbols; do
    awk -v kind=$kind -v old="$1/$kind" '
      FILENAME == old { was[$1] = $0; next }
      { is[$1] = $0 }
      END {
        for (name in was)
          if (!(name in is)) print kind ": gone: " was[name]
          else if (is[name] != was[name])
            print kind ": was " was[name] "\n" kind ":  is " is[name]
      }' "$1/$kind" "$2/$kind"
  done
  awk -v old="$1/structs" -f Tests/tools/abi.awk "$1/structs" "$2/structs"
}

case $1 in
  print)
    shift
    print "$@"
    ;;
  compare) compare "$2" "$3" ;;
  write)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    print "$work"
    broken=
    [ ! -e $data/structs ] || broken=$(compare $data "$work")
    if [ -n "$broken" ]; then
      printf '%s\n' "$broken"
      echo "That breaks programs: it needs another VSMMU_API_MAJOR, and $data removed."
      exit 1
    fi
    mkdir -p $data
    cp "$work"/* $data
    ;;
  *)
    echo "usage: abi.sh print TO [FLAG...], compare OLD NEW, or write" >&2
    exit 2
    ;;
esac
