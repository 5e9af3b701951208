// SPDX-License-Identifier: MIT
// Section 4 of vsmmuv3_emulated.h.
import CSupport
import CVSMMU
import SMMUBase
import SMMUEmulated
import VSMMUShared

@implementation @_cdecl("vsmmu_emulated_fail")
public func vsmmu_emulated_fail(
  _ emulated: OpaquePointer?, _ request: UInt32, _ nth: UInt32, _ error: Int32, _ done: UInt32
) -> Int32 {
  // Linux has no errno above 4095.
  guard nth > 0, (1...4095).contains(error) else { return vsmmu_support_einval }
  let effect: FailureRule.Effect =
    done == 0
    ? .error(Errno(code: error))
    : .partial(done: done, reported: done, error: Errno(code: error))
  return order(emulated, FailureRule(.control, request: request, nth: nth, effect: effect))
}

@implementation @_cdecl("vsmmu_emulated_lose_events")
public func vsmmu_emulated_lose_events(_ emulated: OpaquePointer?, _ count: UInt32) -> Int32 {
  guard count > 0 else { return emulated == nil ? vsmmu_support_einval : 0 }
  return order(emulated, FailureRule(.read, effect: .loseEvents(count)))
}

private func order(_ emulated: OpaquePointer?, _ rule: FailureRule) -> Int32 {
  Int32(
    truncatingIfNeeded: with(emulated) {
      $0.kernel.add(rule) ? 0 : Int64(vsmmu_support_enomem)
    })
}

@implementation @_cdecl("vsmmu_emulated_get_counters")
public func vsmmu_emulated_get_counters(
  _ emulated: OpaquePointer?, _ counters: UnsafeMutablePointer<vsmmu_emulated_counters>?
) -> Int32 {
  Int32(
    truncatingIfNeeded: with(emulated) { emulated in
      do throws(Refusal) {
        try copyOut(
          vsmmu_emulated_counters(emulated.host.counters), to: counters, named: "counters", least: 8
        )
        return 0
      } catch {
        return Int64(error.code)
      }
    })
}

extension vsmmu_emulated_counters {
  fileprivate init(_ counters: EmulatedCounters) {
    self.init()
    objects = UInt32(clamping: counters.objects)
    files = UInt32(clamping: counters.files)
    mappings = UInt32(clamping: counters.mappings)
    calls = counters.calls
    invalidations = counters.invalidations
    hwpts = counters.hwpts
    commands = counters.commands
    rollovers = counters.rollovers
    pins_max = UInt32(clamping: counters.pinLimit)
    pins = UInt32(clamping: counters.pins)
    pin_failures = counters.pinFailures
    direct_commands = counters.directCommands
  }
}

@implementation @_cdecl("vsmmu_emulated_check")
public func vsmmu_emulated_check(
  _ emulated: OpaquePointer?, _ message: UnsafeMutablePointer<CChar>?, _ message_size: Int
) -> Int32 {
  Int32(
    clamping: with(emulated) { emulated in
      do throws(Errno) {
        let broken = try emulated.host.checkReserving()
        broken.sentence.copy(to: message, message_size)
        return Int64(broken.count)
      } catch {
        Refusal.noMemory.sentence.copy(to: message, message_size)
        return -Int64(error.code)
      }
    })
}
