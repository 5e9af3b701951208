// swift-tools-version: 6.2
// SPDX-License-Identifier: MIT
import PackageDescription

// The flavour comes from the environment, never from a trait: SwiftPM 6.3 would then link every
// flavour as an Embedded one. Use one --scratch-path per flavour (the Makefile does).
let runtime = Context.environment["VSMMU_RUNTIME"] ?? "dynamic"  // dynamic | static | embedded
let embedded = runtime == "embedded"
let root = Context.packageDirectory

var swift: [SwiftSetting] = [.swiftLanguageMode(.v6)]
// The host side makes system calls, and the C surface mostly checks and refuses: small is better
// than fast there. The path that must be fast is inlined from SMMUModel.
var small: [SwiftSetting] = []
// Valgrind 3.19, which is Debian 12's, gives up at clang's DWARF 5. Swift's is 4.
let c: [CSetting] = [.unsafeFlags(["-gdwarf-4"])]
var support = c
var link: [LinkerSetting] = []
switch runtime {
case "embedded":
  // Each function on its own, so that the linker drops what nothing calls: 40 % of the library.
  // Exclusivity is checked by the other flavours, which the tests run on: the Embedded runtime has
  // an empty function for it, called 600 times. Kept code generation would put a hash of each file
  // into the library. Embedded Swift promises that nothing unwinds, for which LLVM leaves .eh_frame
  // out; without the promise the code is the same, and a backtrace comes through it. The debug file
  // names no file of the build's module cache.
  swift += [
    .enableExperimentalFeature("Embedded"),
    .unsafeFlags([
      "-wmo", "-Xfrontend", "-function-sections", "-enforce-exclusivity=unchecked",
      "-Xfrontend", "-disable-incremental-llvm-codegen",
      "-Xllvm", "-force-remove-attribute=nounwind", "-Xllvm", "-disable-nounwind-inference",
      "-Xfrontend", "-no-clang-module-breadcrumbs",
    ]),
  ]
  small = [.unsafeFlags(["-Osize"])]
  // Swift's allocations draw on a reserve where malloc refuses: Sources/CSupport/reserve.c, and
  // Sources/tools/library.sh for the archive.
  support += [.define("VSMMU_WRAPS_HEAP")]
  // The linker of the Swift toolchain: unlike gold it imports and exports no name that the code
  // which it drops alone would need, and it folds functions that are the same.
  link += [
    .unsafeFlags([
      "-nostartfiles", "-use-ld=lld", "-Xlinker", "--icf=all", "-Xlinker", "-O2",
      "-Xlinker", "--gc-sections", "-enable-experimental-feature", "Embedded",
      "-Xlinker", "--wrap=posix_memalign", "-Xlinker", "--wrap=free",
    ])
  ]
case "static":
  link += [.unsafeFlags(["-static-stdlib"], .when(configuration: .release))]
default:
  break
}

/// How a library shows the names of its version script alone.
@MainActor func shown(_ name: String, by target: String) -> [LinkerSetting] {
  let flags = [
    "-Xlinker", "--version-script=\(root)/Sources/\(target)/\(name).map",
    "-Xlinker", "-soname=lib\(name).so.0",
    "-Xlinker", "-z", "-Xlinker", "nodelete",
    "-Xlinker", "--no-undefined-version",
  ]
  return [.unsafeFlags(flags, .when(configuration: .release))] + link
}

/// A test target; the hosted flavours only, as Embedded Swift has no test runtime.
@MainActor func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(
    name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: swift)
}

let package = Package(
  name: "vsmmuv3",
  products: [
    .library(name: "vsmmuv3", type: .dynamic, targets: ["VSMMU"]),
    .library(name: "vsmmuv3-static", type: .static, targets: ["VSMMU"]),
    .library(name: "vsmmuv3-emulated", type: .dynamic, targets: ["VSMMUEmulated"]),
    .library(name: "vsmmuv3-emulated-static", type: .static, targets: ["VSMMUEmulated"]),
  ],
  targets: [
    // The public headers as a module, with the compile-time checks of their layout.
    .target(
      name: "CVSMMU", path: ".", sources: ["Sources/CVSMMU"], publicHeadersPath: "Include",
      cSettings: c),
    // What the library needs from libc, for the C surface alone.
    .target(name: "CSupport", cSettings: support),
    // What threads share: atomic words, locks, waits.
    .target(name: "SMMUAtomics", dependencies: ["CSupport"], swiftSettings: swift),
    .target(name: "SMMUSpec", swiftSettings: swift),
    .target(
      name: "SMMUModel", dependencies: ["SMMUAtomics", "SMMUSpec"], swiftSettings: swift),
    // System calls and the kernel's structs.
    .target(name: "CKernel", cSettings: c),
    // What all above the model has in common: the port to a kernel, sentences, reserves.
    .target(
      name: "SMMUBase", dependencies: ["CKernel", "CSupport", "SMMUSpec"],
      swiftSettings: swift + small),
    // The client of a kernel with iommufd.
    .target(
      name: "SMMUHost",
      dependencies: ["CKernel", "SMMUAtomics", "SMMUBase", "SMMUModel", "SMMUSpec"],
      swiftSettings: swift + small),
    // Such a kernel in process, and the hardware below it.
    .target(
      name: "SMMUEmulated",
      dependencies: ["CKernel", "CSupport", "SMMUAtomics", "SMMUBase", "SMMUModel", "SMMUSpec"],
      swiftSettings: swift + small),
    // What the C surfaces of both libraries have in common.
    .target(
      name: "VSMMUShared",
      dependencies: ["CVSMMU", "CSupport", "SMMUBase", "SMMUModel", "SMMUSpec"],
      swiftSettings: swift + small),
    .target(
      name: "VSMMU",
      dependencies: [
        "CKernel", "CVSMMU", "CSupport", "SMMUAtomics", "SMMUBase", "SMMUHost", "SMMUModel",
        "SMMUSpec", "VSMMUShared",
      ],
      exclude: ["vsmmuv3.map"], swiftSettings: swift + small,
      linkerSettings: shown("vsmmuv3", by: "VSMMU")),
    .target(
      name: "VSMMUEmulated",
      dependencies: [
        "CVSMMU", "CSupport", "SMMUBase", "SMMUEmulated", "SMMUModel", "SMMUSpec", "VSMMUShared",
      ],
      exclude: ["vsmmuv3-emulated.map"], swiftSettings: swift + small,
      linkerSettings: shown("vsmmuv3-emulated", by: "VSMMUEmulated")),
  ]
    + (embedded
      ? []
      : [
        .target(
          name: "TestSupport", dependencies: ["SMMUAtomics", "SMMUBase", "SMMUModel", "SMMUSpec"],
          path: "Tests/Support",
          swiftSettings: swift),
        tests("SMMUSpecTests", ["SMMUSpec"]),
        tests("SMMUModelTests", ["SMMUAtomics", "SMMUModel", "SMMUSpec", "TestSupport"]),
        tests("SMMUBaseTests", ["CKernel", "SMMUBase"]),
        tests(
          "SMMUHostTests",
          [
            "CKernel", "SMMUBase", "SMMUEmulated", "SMMUHost", "SMMUModel", "SMMUSpec",
            "TestSupport",
          ]),
        tests(
          "SMMUEmulatedTests",
          ["CKernel", "SMMUBase", "SMMUEmulated", "SMMUModel", "SMMUSpec", "TestSupport"]),
        tests(
          "VSMMUTests", ["VSMMU", "CVSMMU", "SMMUBase", "SMMUModel", "SMMUSpec", "VSMMUShared"]),
        tests("VSMMUEmulatedTests", ["VSMMUEmulated", "CVSMMU"]),
        tests("ScenarioTests", ["VSMMU", "CVSMMU"]),
      ])
)
