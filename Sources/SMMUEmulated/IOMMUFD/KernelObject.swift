// SPDX-License-Identifier: MIT

/// An object of an iommufd. `users` counts who holds it beside its own id: while there are any, it
/// cannot be destroyed.
class KernelObject {
  final var id: UInt32 = 0
  final var users = 0

  /// The objects that this one holds, attachments excepted, which come and go.
  func forEachHeld(_ body: (KernelObject) -> Void) {}
  /// What does not hold of it by itself.
  func check(_ broken: inout BrokenInvariants) {}
  /// What is left to do once it has no id any more; it still holds what it held.
  func tearDown() {}
}

/// An entry of an iommufd's table of ids.
enum ObjectEntry {
  case device(KernelDevice)
  case ioas(KernelIOAS)
  case paging(PagingHWPT)
  case nested(NestedHWPT)
  case viommu(KernelVIOMMU)
  case vdevice(KernelVDevice)
  case eventQueue(KernelEventQueue)
  case faultQueue(KernelFaultQueue)
  case hwQueue(KernelHWQueue)
  /// A vDEVICE went with its device before anyone destroyed it: the id stays taken.
  case tombstone

  var object: KernelObject? {
    switch self {
    case .device(let object): object
    case .ioas(let object): object
    case .paging(let object): object
    case .nested(let object): object
    case .viommu(let object): object
    case .vdevice(let object): object
    case .eventQueue(let object): object
    case .faultQueue(let object): object
    case .hwQueue(let object): object
    case .tombstone: nil
    }
  }
}
