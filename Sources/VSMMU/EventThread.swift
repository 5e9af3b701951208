// SPDX-License-Identifier: MIT
import CKernel
import SMMUAtomics
import SMMUBase
import SMMUHost
import VSMMUShared

/// A thread of the library's own that moves host events to the guest's queue.
final class EventThread {
  private let instance: Unmanaged<Instance>
  private let file: Int32
  private let isStopped = Atomic(false)
  private var thread: UnsafeMutableRawPointer?

  /// Milliseconds after which it looks whether it shall stop.
  private static var patience: Int32 { 50 }

  /// nil if there is no thread to have. The instance outlives it: it is stopped first.
  static func start(_ instance: Instance, file: Int32) -> EventThread? {
    let made = EventThread(Unmanaged.passUnretained(instance), file)
    let body: @convention(c) (UnsafeMutableRawPointer?) -> Void = { opaque in
      guard let opaque else { return }
      Unmanaged<EventThread>.fromOpaque(opaque)._withUnsafeGuaranteedRef { $0.run() }
    }
    made.thread = vsmmu_system_thread_start(body, Unmanaged.passUnretained(made).toOpaque())
    return made.thread == nil ? nil : made
  }

  private init(_ instance: Unmanaged<Instance>, _ file: Int32) {
    self.instance = instance
    self.file = file
  }

  /// Not with the instance's lock held, which the thread may be waiting for.
  func stop() {
    isStopped.store(true, ordering: .releasing)
    vsmmu_system_thread_join(thread)
  }

  private func run() {
    while !isStopped.load(ordering: .acquiring) {
      guard vsmmu_system_epoll_wait(file, Self.patience) != 0 else { continue }
      let isDone = instance._withUnsafeGuaranteedRef { instance in
        instance.serially { () throws(Refusal) in
          try instance.covering { () throws(Refusal) in
            instance.virtual.nesting?.takeEventsQuietly() == false ? 0 : 1
          }
        }
      }
      // The file stays readable: not at once again.
      if isDone != 1 { vsmmu_system_sleep(Self.patience) }
    }
  }
}
