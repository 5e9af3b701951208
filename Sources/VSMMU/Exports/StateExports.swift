// SPDX-License-Identifier: MIT
// Sections 7 and 8 of the header.
import CSupport
import CVSMMU
import SMMUBase
import SMMUHost
import SMMUModel
import SMMUSpec
import VSMMUShared

@implementation @_cdecl("vsmmu_save")
public func vsmmu_save(
  _ vsmmu: OpaquePointer?, _ data: UnsafeMutableRawPointer?, _ capacity: UInt64
) -> Int64 {
  serially(vsmmu) { (instance) throws(Refusal) -> Int64 in
    guard data != nil || capacity == 0 else { throw .invalid("data is NULL") }
    if instance.virtual.nesting?.hasDirectQueues == true {
      throw Refusal(.eopnotsupp, "direct command queues are the host's, and are not saved")
    }
    let buffer = UnsafeMutableRawBufferPointer(
      start: data, count: Int(min(capacity, UInt64(Int32.max))))
    return try instance.covering { () throws(Refusal) in Int64(instance.smmu.save(into: buffer)) }
  }
}

/// A saved state as a buffer that cannot be larger than any of them is.
private func savedState(
  _ data: UnsafeRawPointer?, _ length: UInt64
) throws(Refusal) -> UnsafeRawBufferPointer {
  guard let data else { throw .invalid("data is NULL") }
  return UnsafeRawBufferPointer(start: data, count: Int(min(length, UInt64(Int32.max))))
}

@implementation @_cdecl("vsmmu_validate")
public func vsmmu_validate(
  _ vsmmu: OpaquePointer?, _ data: UnsafeRawPointer?, _ length: UInt64
) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    let buffer = try savedState(data, length)
    try instance.covering { () throws(Refusal) in
      do throws(SavedStateError) {
        try instance.smmu.validate(buffer)
      } catch {
        throw error.refusal
      }
    }
  }
}

@implementation @_cdecl("vsmmu_restore")
public func vsmmu_restore(
  _ vsmmu: OpaquePointer?, _ data: UnsafeRawPointer?, _ length: UInt64
) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    let buffer = try savedState(data, length)
    try instance.covering { () throws(Refusal) in
      do throws(SavedStateError) {
        try instance.smmu.restore(buffer)
      } catch {
        throw error.refusal
      }
    }
    // The guest that it comes from has seen the ID registers.
    instance.virtual.freeze()
  }
}

extension SavedStateError {
  fileprivate var refusal: Refusal {
    switch self {
    case .truncated: .invalid("the saved state is cut short")
    case .notASavedState: .invalid("this is no saved state of a vsmmu")
    case .damaged: .invalid("the saved state is damaged")
    case .newer(let version):
      .saying(vsmmu_support_e2big) { text in
        text.append("the saved state has version ")
        text.append(UInt64(version))
        text.append(", which this library cannot read")
      }
    case .unknownSection(let name):
      .section(
        name, before: "the saved state has a section ", behind: " that this library does not know")
    case .newerSection(let name, let version):
      .saying(vsmmu_support_e2big) { text in
        text.append("the saved state's section ")
        text.append(section: name)
        text.append(" has version ")
        text.append(UInt64(version))
        text.append(", which this library cannot read")
      }
    case .repeatedSection(let name):
      .section(name, before: "the saved state has the section ", behind: " twice")
    case .misplacedSection(let name):
      .section(name, before: "the saved state has the section ", behind: " too late")
    case .missingSection(let name):
      .section(name, before: "the saved state has no section ", behind: "")
    case .malformedSection(let name):
      .section(name, before: "the saved state's section ", behind: " is not made as it should be")
    case .unknown(let offset):
      .saying(vsmmu_support_einval) { text in
        text.append("the saved state does not fit this device in the register at ")
        text.append(hex: UInt64(offset))
      }
    case .repeated(let offset):
      .saying(vsmmu_support_einval) { text in
        text.append("the saved state has the register at ")
        text.append(hex: UInt64(offset))
        text.append(" twice")
      }
    case .differs(let register, let field, let saved, let own):
      .saying(vsmmu_support_einval) { text in
        text.append("the saved state is of another device: ")
        text.append(place: register, field)
        text.append(" was ")
        text.append(UInt64(saved))
        text.append(" and is ")
        text.append(UInt64(own))
      }
    }
  }
}

extension Refusal {
  fileprivate static func section(
    _ name: SectionName, before: StaticString, behind: StaticString
  ) -> Refusal {
    .saying(vsmmu_support_einval) { text in
      text.append(before)
      text.append(section: name)
      text.append(behind)
    }
  }
}

extension Sentence {
  fileprivate mutating func append(section name: SectionName) {
    var copy = self
    name.forEach { copy.append(byte: $0) }
    self = copy
  }
}

@implementation @_cdecl("vsmmu_get_counters")
public func vsmmu_get_counters(
  _ vsmmu: OpaquePointer?, _ counters: UnsafeMutablePointer<vsmmu_counters>?
) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    let now = instance.smmu.counters
    var copy = vsmmu_counters()
    copy.commands = now[.commands]
    copy.command_errors = now[.commandErrors]
    copy.syncs = now[.syncs]
    copy.tlb_misses = now[.tlbMisses]
    copy.configuration_misses = now[.configurationMisses]
    copy.invalidations = now[.invalidations]
    copy.events_recorded = now[.eventsRecorded]
    copy.events_dropped = now[.eventsDropped]
    copy.external_aborts = now[.externalAborts]
    try copyOut(copy, to: counters, named: "counters", least: 8)
  }
}
