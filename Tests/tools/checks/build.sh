#!/bin/sh
# SPDX-License-Identifier: MIT
# What users build, and the packages that the other checks need.
. Tests/tools/check.sh

ok "make" make --no-print-directory all
ok "packages of the tests" Tests/tools/packages.sh g++ valgrind device-tree-compiler acpica-tools
finish
