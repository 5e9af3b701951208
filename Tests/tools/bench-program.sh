#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles the benchmark: bench-program.sh PROGRAM
set -eu
Sources/tools/packages.sh need run
mkdir -p "$(dirname "$1")"
# What does not compile shall not run as it was.
rm -f "$1"
# shellcheck disable=SC2046 # several flags
${CC:-cc} -std=gnu11 -O2 -g -Wall -Wextra -Werror -IInclude -o "$1" \
  Tests/Bench/*.c Tests/Conformance/guest.c Tests/Conformance/api.c \
  $(pkg-config --cflags --libs glib-2.0) -ldl -lpthread
