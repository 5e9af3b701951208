// SPDX-License-Identifier: MIT
// BARs peer to peer, in section 4 of vsmmuv3_host.h.
import CVSMMU
import SMMUBase
import SMMUHost
import VSMMUShared

@implementation @_cdecl("vsmmu_bar_add")
public func vsmmu_bar_add(_ vsmmu: OpaquePointer?, _ bar: UnsafePointer<vsmmu_bar>?) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    var copy = vsmmu_bar()
    try copyIn(bar, named: "bar", least: 48, into: &copy)
    guard copy.flags == 0 else {
      throw .invalid("bar.flags has a bit set that this library does not know")
    }
    guard copy.reserved == 0 else { throw .invalid("bar.reserved is not 0") }
    guard copy.region <= 5 else { throw .invalid("bar.region is above 5, and no BAR") }
    let range = BARRange(
      region: copy.region, offset: copy.offset, length: copy.length, address: copy.address)
    try instance.covering { () throws(Refusal) in
      try instance.virtual.addBAR(range, of: .named(copy.device))
    }
  }
}

@implementation @_cdecl("vsmmu_bar_remove")
public func vsmmu_bar_remove(_ vsmmu: OpaquePointer?, _ address: UInt64) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    try instance.covering { () throws(Refusal) in try instance.virtual.removeBAR(address) }
  }
}

@implementation @_cdecl("vsmmu_bar_renew")
public func vsmmu_bar_renew(_ vsmmu: OpaquePointer?, _ address: UInt64) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    try instance.covering { () throws(Refusal) in try instance.virtual.renewBAR(address) }
  }
}
