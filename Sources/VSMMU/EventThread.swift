// SPDX-License-Identifier: MIT
import CKernel
import SMMUAtomics
import SMMUHost
import VSMMUShared

/// A thread of the library's own that moves host events to the guest's queue.
final class EventThread {
  private let device: Unmanaged<Device>
  private let file: Int32
  private let isStopped = Atomic(false)
  private var thread: UnsafeMutableRawPointer?

  /// Milliseconds after which it looks whether it shall stop.
  private static var patience: Int32 { 50 }

  /// nil if there is no thread to have. The device outlives it: it is stopped first.
  static func start(_ device: Device, file: Int32) -> EventThread? {
    let made = EventThread(Unmanaged.passUnretained(device), file)
    let body: @convention(c) (UnsafeMutableRawPointer?) -> Void = { opaque in
      guard let opaque else { return }
      Unmanaged<EventThread>.fromOpaque(opaque)._withUnsafeGuaranteedRef { $0.run() }
    }
    made.thread = vsmmu_system_thread_start(body, Unmanaged.passUnretained(made).toOpaque())
    return made.thread == nil ? nil : made
  }

  private init(_ device: Unmanaged<Device>, _ file: Int32) {
    self.device = device
    self.file = file
  }

  /// Not with the device's lock held, which the thread may be waiting for.
  func stop() {
    isStopped.store(true, ordering: .releasing)
    vsmmu_system_thread_join(thread)
  }

  private func run() {
    while !isStopped.load(ordering: .acquiring) {
      guard vsmmu_system_epoll_wait(file, Self.patience) != 0 else { continue }
      let isDone = device._withUnsafeGuaranteedRef { device in
        device.serially { () throws(Refusal) in
          try device.covering { () throws(Refusal) in
            device.hostSide?.takeEventsQuietly() == false ? 0 : 1
          }
        }
      }
      // The file stays readable: not at once again.
      if isDone != 1 { vsmmu_system_sleep(Self.patience) }
    }
  }
}
