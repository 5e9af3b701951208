// SPDX-License-Identifier: MIT
// Section 1 of the header.
import CVSMMU

private let libraryVersion: StaticString = "0.1.0"

@implementation @_cdecl("vsmmu_api_version")
public func vsmmu_api_version() -> UInt32 { VSMMU_API_MAJOR << 16 | VSMMU_API_MINOR }

@implementation @_cdecl("vsmmu_library_version")
public func vsmmu_library_version() -> UnsafePointer<CChar>? {
  UnsafeRawPointer(libraryVersion.utf8Start).assumingMemoryBound(to: CChar.self)
}
