#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the libraries for Linux on arm64: arm64.sh TO [FLAG...], flags for the compiler.
#
# Embedded Swift has no Linux on arm64: it is compiled for a machine without a system, whose types
# are the same, with the headers of Debian's libc for arm64, and linked by Debian's gcc.
set -eu
to=$1
shift
cross=aarch64-linux-gnu
scratch=.build-${to##*build-}

Sources/tools/packages.sh need arm64
# A machine without a system has no shared libraries, whose thread-local data is elsewhere.
flags="-Xcc -isystem/usr/$cross/include -Xcc -fPIC"
for flag in "$@"; do flags="$flags -Xcc $flag"; done
mkdir -p "$to"
# SwiftPM compiles nothing again because flags have changed, here or in its manifest.
stamp="$flags $(cksum < Package.swift)"
if [ "$(cat "$to/flags" 2> /dev/null)" != "$stamp" ]; then rm -rf "$scratch"; fi
# SwiftPM leaves objects of files that are gone in an archive that it finds.
rm -f "$scratch/aarch64-none-none-elf/release"/libvsmmuv3*-static.a
for library in vsmmuv3 vsmmuv3-emulated; do
  # shellcheck disable=SC2086 # several flags
  VSMMU_RUNTIME=embedded swift build --disable-build-manifest-caching -c release \
    --triple aarch64-none-none-elf --product $library-static --scratch-path "$scratch" $flags
done
Sources/tools/library.sh "$scratch/aarch64-none-none-elf/release" "$to" "$cross-"
printf '%s\n' "$stamp" > "$to/flags"
