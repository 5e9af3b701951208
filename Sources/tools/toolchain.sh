#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints the directory of the Swift toolchain's own clang, llvm-cov and llvm-profdata.
swiftc -print-target-info | sed -n 's|.*"runtimeResourcePath": "\(.*\)/lib/swift".*|\1/bin|p'
