# SPDX-License-Identifier: MIT
# A thin face for SwiftPM and cc; `make help` lists what there is.

BUILD := build
CC ?= cc
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
FUZZ_SECONDS ?= 60

# LSE=1: atomic instructions of ARMv8.1, which every server since has.
ARM64 := build-arm64$(if $(LSE),-lse)
ARM64_FLAGS ?= $(if $(LSE),-march=armv8.1-a)
INSTALL = DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' Sources/tools/install.sh
# needs FOLDER,GOAL: the goal, if it has not been made since a source changed. So `sudo make install`
# compiles nothing after `make`.
changed = $(shell find Package.swift Sources Include -newer $(1)/.built -print -quit 2>&1)
needs = $(if $(changed),$(2))

HEADERS := $(wildcard Include/*.h)
HOST := $(wildcard examples/host/*.c)
HOST_HEADERS := $(wildcard examples/host/*.h)
# SwiftPM 6.3 cannot read its own cached plan again: "unknown build description".
UNCACHED := --disable-build-manifest-caching
GLIB := glib-2.0 gmodule-2.0 gio-2.0
LIBRARY := $(BUILD)/libvsmmuv3.so.0
EMULATED := $(BUILD)/libvsmmuv3-emulated.so.0

export BUILD FUZZ_SECONDS

.PHONY: all deps deps-qemu library examples run check test qemu qemu-test qemu-bench bench bench-gate stress explore explore-defects explore-orderings fuzz asan tsan coverage lint install clean help packages

all: library examples ## The libraries without a Swift runtime, and the C examples, into build/

library: | packages ## libvsmmuv3 and libvsmmuv3-emulated, as .so.0 and .a, in build/
	@mkdir -p $(BUILD)
	@# SwiftPM leaves objects of files that are gone in an archive that it finds.
	@rm -f .build-embedded/release/libvsmmuv3*-static.a
	@VSMMU_RUNTIME=embedded swift build -c release --scratch-path .build-embedded $(UNCACHED)
	@Sources/tools/library.sh .build-embedded/release $(BUILD)

examples: $(BUILD)/hello $(BUILD)/host

$(LIBRARY): | library

$(BUILD)/hello: examples/hello.c $(HEADERS) | $(LIBRARY)
	$(CC) -std=c11 $(WARNINGS) $(CFLAGS) -IInclude -o $@ $< -L$(BUILD) -lvsmmuv3 \
		-Wl,-rpath,'$$ORIGIN'

# The host loads the libraries at run time, as a VMM with plug-ins does.
$(BUILD)/host: $(HOST) $(HOST_HEADERS) $(HEADERS) | packages
	@mkdir -p $(BUILD)
	$(CC) -std=gnu11 $(WARNINGS) $(CFLAGS) -IInclude $$(pkg-config --cflags $(GLIB)) -o $@ $(HOST) \
		$$(pkg-config --libs $(GLIB)) -lfdt

deps: ## Installs the Debian packages that are missing to run and test (as root, or by sudo)
	@Sources/tools/packages.sh install run arm64 tests more-tests

deps-qemu: ## The same for QEMU and its guests
	@Sources/tools/packages.sh install qemu

run: all ## Replays what a Linux driver did to an SMMUv3, then drives the device like a guest
	$(BUILD)/host --library $(LIBRARY) --replay Tests/Data/captures/*.gz
	$(BUILD)/host --library $(LIBRARY) --demo
	$(BUILD)/host --library $(LIBRARY) --emulated $(EMULATED) --assigned

check: packages ## What a change most likely breaks, in two minutes
	@Tests/tools/test.sh --quick

test: packages ## Proves all of it, TEST_JOBS (2) checks at a time
	@Tests/tools/test.sh

qemu: library | $(filter deps-qemu,$(MAKECMDGOALS)) ## Fetches and builds QEMU 10.0 with the SMMU in it, boots Linux on it
	@Tests/tools/qemu.sh build
	@Tests/tools/qemu.sh guest
	@Tests/tools/qemu.sh boot

qemu-test: library ## Linux in that QEMU: disks, network, faults, kexec, vhost, migration (6 minutes)
	@mkdir -p $(BUILD)/test
	@Tests/tools/checks/qemu.sh 2>&1 | tee $(BUILD)/test/qemu.log
	@tail -n 1 $(BUILD)/test/qemu.log | grep -q ', 0 failed$$'

.PHONY: qemu-plugin qemu-plugin-test

PLUGIN ?= $(BUILD)/vsmmuv3-qemu.so

qemu-plugin: | packages ## The SMMU as a plugin, PLUGIN=FILE.so, for another's QEMU: QEMU=its source [CC=...]
	@mkdir -p $(dir $(PLUGIN))
	@CC='$(CC)' examples/qemu/plugin/build.sh '$(QEMU)' '$(PLUGIN)'

qemu-plugin-test: library ## Debian's own QEMU 10.0 and 11.1 with it: fetches them, does what qemu-test does
	@Tests/tools/qemu.sh stock
	@Tests/tools/qemu-plugin.sh 10.0 11.1

.PHONY: l2-test

l2-test: arm64 ## Assigned devices in guests of Linux with KVM, in a QEMU: all scenes, or SCENES="nvme ..."
	@Tests/tools/l2.sh setup
	@mkdir -p $(BUILD)/test
	@Tests/tools/l2.sh run $(SCENES) 2>&1 | tee $(BUILD)/test/l2.log
	@tail -n 1 $(BUILD)/test/l2.log | grep -q ', 0 failed$$'

qemu-bench: library ## The library's SMMU beside QEMU's own, as a table
	@Tests/tools/qemu-bench.sh

.PHONY: qemu-dma-bench
qemu-dma-bench: library ## The same without a guest, by the plugin: nanoseconds of an emulated device's DMA
	@Tests/tools/qemu-dma-bench.sh

bench: library ## The library beside the limit in C and beside what VMMs do today, as a table
	@Tests/tools/bench.sh $(LIBRARY)

bench-gate: library ## Instructions of the hot paths, against Tests/Data/bench/thresholds.tsv
	@Tests/tools/bench-gate.sh embedded $(LIBRARY)

stress: library ## DMA threads against a guest that maps, unmaps and invalidates: STRESS_SECONDS (120)
	@Tests/tools/stress.sh $(LIBRARY)

explore: ## Interleavings of accesses and changes, searched: EXPLORE_LIMIT runs of a scene (800)
	@Tests/tools/test.sh explore

explore-defects: ## Plants each of Tests/Exploration/defects: some interleaving must show it
	@Tests/tools/explore-program.sh $(BUILD)/explore
	@EXPLORER=$(BUILD)/explore Tests/tools/explore-defects.sh

explore-orderings: ## Takes each memory ordering away, and tells which scene fails without it
	@Tests/tools/explore-program.sh $(BUILD)/explore
	@EXPLORER=$(BUILD)/explore Tests/tools/explore-orderings.sh

fuzz: ## Fuzzes for FUZZ_SECONDS (60)
	@Tests/tools/test.sh fuzz

asan: ## The tests under AddressSanitizer
	@Tests/tools/test.sh swift asan

tsan: ## Threads of the C surface under ThreadSanitizer
	@Tests/tools/test.sh tsan

coverage: ## Line coverage of the model by the Swift tests
	@Tests/tools/test.sh swift

lint: ## What swift-format thinks of the sources
	@swift format lint --recursive --parallel Sources Tests Package.swift

.PHONY: arm64 install-arm64 uninstall abi

arm64: ## The library for Linux on arm64, into build-arm64/; LSE=1: into build-arm64-lse/
	@Sources/tools/arm64.sh $(ARM64) $(ARM64_FLAGS)

install: $(call needs,$(BUILD),library) ## Into DESTDIR/PREFIX (/usr/local); LIBDIR (PREFIX/lib)
	@$(INSTALL) install $(BUILD)

install-arm64: $(call needs,$(ARM64),arm64) ## The one for arm64, likewise
	@$(INSTALL) install $(ARM64)

uninstall: ## Takes away what `make install` with the same words put there
	@$(INSTALL) uninstall

abi: library ## Writes Tests/Data/abi anew, where the headers have grown as they may
	@Tests/tools/abi.sh write

clean: ## Removes all that was built
	rm -rf $(BUILD) build-* .build .build-*

help: ## This list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 20

# Says what is missing; installs nothing.
packages: | $(filter deps,$(MAKECMDGOALS))
	@Sources/tools/packages.sh need run
