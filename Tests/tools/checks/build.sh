#!/bin/sh
# SPDX-License-Identifier: MIT
# What users build; and the packages that the other checks need are there.
. Tests/tools/check.sh

ok "make" make --no-print-directory all
# Swift 6.3 numbers the constant tables of a function in an order of each object's own, and the linker
# takes a table of one name from any: a function with several is in one object (@export(interface)).
tables() {
  for archive in .build-embedded/release/*-static.a; do
    nm "$archive" 2> /dev/null | sed -n 's/.* V \(.*Tv[0-9][0-9]*_r*\)$/\1/p' | sort | uniq -d
  done
}
empty "functions with several constant tables in several objects" tables
ok "packages of the tests" Sources/tools/packages.sh need tests arm64
finish
