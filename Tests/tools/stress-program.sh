#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles the stress test, for libraries that it loads: stress-program.sh PROGRAM
set -eu
mkdir -p "$(dirname "$1")"
# What does not compile shall not run as it was.
rm -f "$1"
${CC:-cc} -std=gnu11 -O2 -g -Wall -Wextra -Werror -IInclude -o "$1" Tests/Stress/*.c \
  Tests/Conformance/guest.c Tests/Conformance/api.c -ldl -lpthread
