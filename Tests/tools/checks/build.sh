#!/bin/sh
# SPDX-License-Identifier: MIT
# What users build; and the packages that the other checks need are there.
. Tests/tools/check.sh

ok "make" make --no-print-directory all
# Swift 6.3 numbers the constant tables of a function in an order of each object's own, and the linker
# takes a table of one name from any: a function with several is in one object (@export(interface)).
tables() {
  for archive in .build-embedded/release/*-static.a; do
    nm "$archive" 2> /dev/null | awk '
      $2 == "V" && match($3, /Tv[0-9]*_r?$/) {
        function_of[$3] = substr($3, 1, RSTART - 1)
        objects[$3]++
        if ($3 ~ /Tv[0-9]+_r?$/) has_several[function_of[$3]] = 1
      }
      END {
        for (table in objects)
          if (objects[table] > 1 && function_of[table] in has_several) print table
      }'
  done
}
empty "functions with several constant tables in several objects" tables
ok "packages of the tests" Sources/tools/packages.sh need tests arm64
finish
