// SPDX-License-Identifier: MIT
import CSupport
import SMMUBase
import VSMMUShared

/// Which instances this thread is inside of: in a serial call on one, or in one of its callbacks. A
/// call on the same instance would wait for itself there.
struct Inside {
  /// Stands for a instance: the address of its machine.
  private let instance: UnsafeRawPointer

  @inline(__always)
  init(_ machine: CallbackMachine) {
    instance = UnsafeRawPointer(Unmanaged.passUnretained(machine).toOpaque())
  }

  var isEntered: Bool {
    #if EXPLORE
      // The threads of an explored program are one of the kernel's.
      false
    #else
      vsmmu_support_is_inside(instance) != 0
    #endif
  }

  @inline(__always)
  func run<R>(_ body: () -> R) -> R {
    var frame = vsmmu_support_frame()
    return withUnsafeMutablePointer(to: &frame) { frame in
      vsmmu_support_enter(frame, instance)
      defer { vsmmu_support_leave(frame) }
      return body()
    }
  }

  static var refusal: Refusal {
    Refusal(
      vsmmu_support_edeadlk, Sentence("a callback of this device may not call the same device"))
  }
}
