#!/bin/sh
# SPDX-License-Identifier: MIT
# What users build; and the packages that the other checks need are there.
. Tests/tools/check.sh

ok "make" make --no-print-directory all
ok "packages of the tests" Sources/tools/packages.sh need tests arm64
finish
