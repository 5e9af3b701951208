#!/bin/sh
# SPDX-License-Identifier: MIT
# The libraries without memory: each allocation of each call is refused in turn, and the conformance
# program runs while all of Swift's are, so that calls live on what they reserve.
. Tests/tools/check.sh

mkdir -p "$BUILD/test"

# program NAME FLAG...: with a heap of its own before libc's, which the compiler must not see through.
program() {
  out=$BUILD/test/$1
  shift
  rm -f "$out"
  "${CC:-cc}" -std=gnu11 -O1 -g -fno-builtin -Wall -Wextra -Werror -IInclude -o "$out" \
    Tests/Memory/heap.c "$@" -ldl -lpthread
}

# What the program consists of beside its heap.
rest="Tests/Memory/attempt.c Tests/Memory/main.c Tests/Memory/device_calls.c
  Tests/Memory/host_calls.c Tests/Memory/emulated_calls.c Tests/Memory/guest_paths.c
  Tests/Memory/direct_calls.c
  Tests/Conformance/check.c Tests/Conformance/api.c Tests/Conformance/api_emulated.c
  Tests/Conformance/guest.c Tests/Conformance/hosted.c"

archives="$BUILD/libvsmmuv3.a $BUILD/libvsmmuv3-emulated.a"

# shellcheck disable=SC2086 # several files
ok "memory program, by dlopen" program memory $rest
# shellcheck disable=SC2086
ok "memory program, archives" program memory-static -DLINKED $rest $archives
ok "conformance program on reserves" program starved Tests/Conformance/*.c
# shellcheck disable=SC2086
ok "conformance program on reserves, archives" program starved-static -DLINKED \
  Tests/Conformance/*.c $archives

counted "memory refused, shared" "$BUILD/test/memory" "$BUILD/libvsmmuv3.so.0"
counted "memory refused, archives" "$BUILD/test/memory-static" static
export HEAP=starved
counted "conformance on reserves, shared" "$BUILD/test/starved" "$BUILD/libvsmmuv3.so.0"
counted "conformance on reserves, archives" "$BUILD/test/starved-static" static
finish
