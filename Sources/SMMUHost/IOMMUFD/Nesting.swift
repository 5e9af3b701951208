// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUModel
import SMMUSpec

/// The half of a vSMMU that lives in the host's kernel: its address space, nest parent and vIOMMU,
/// the HWPTs that all streams share, and the assigned devices. Serialised by the caller.
///
/// Objects are made in the order address space (`init`), then with the first device: nest parent,
/// vIOMMU, abort and bypass HWPT. They are destroyed in the reverse order with the last one.
public final class Nesting {
  /// What is made with the first device.
  struct Objects {
    var parent: UInt32
    var viommu: UInt32
    var abort: UInt32
    var bypass: UInt32
  }

  let host: Host
  let iommufd: IOMMUFD
  /// The model: it holds this object, and outlives it.
  unowned(unsafe) let smmu: SMMU
  unowned(unsafe) let listener: any NestingListener
  /// Attaches the devices that it has bound, if it wants to.
  let owner: (any DeviceOwner)?
  let streams: StreamDirectory
  let domain: Domain
  let addressSpace: UInt32
  var objects: Objects?
  var batch = InvalidationBatch()
  var events: VEventQueue
  public internal(set) var counters = NestingCounters()
  /// A stream was translated by hardware once: its TLB may hold something of this guest.
  var mayHoldTranslations = false
  /// A device did not answer a CMD_ATC_INV, and the guest does not know yet.
  var endpointTimedOut = false
  /// The erratum that makes TLBI and CFGI necessary twice.
  var repeatsInvalidations = false
  /// The VM that the vSMMU belongs to, if the caller has told.
  var link: VMLink?
  /// Objects that the kernel would not destroy yet, the oldest first.
  var kept: [UInt32] = []
  private static var roomForKept: Int { 256 }
  var bars: [PeerBAR] = []
  /// The VMID is pinned with the first device, not when the VM is linked.
  var pinsOnDemand = false
  /// The VMM's, until the link takes it.
  var givenVFIO: Int32?
  /// The caller tells KVM of devices, before it hands them over.
  var isKVMTold = false
  /// A stream that the kernel fails to change aborts, even where its old stage 1 could stay.
  var closesFailedStreams = false
  /// The guest's command queues of its own, if it has some.
  var direct = DirectPart()
  /// IDR0.STALL_MODEL of the host is 0: a stream stalls unless its STE says not to.
  var hostStalls = false

  static func make(
    on host: Host, domain: Domain, for smmu: SMMU, streams: StreamDirectory,
    listener: any NestingListener, owner: (any DeviceOwner)?, eventFile: Int32
  ) throws(Refusal) -> Nesting {
    if let refusal = domain.refusal { throw Refusal(.eopnotsupp, refusal) }
    let iommufd = IOMMUFD(kernel: host.kernel, fd: host.fd)
    let space: UInt32
    if case .parent(let hwpt, _, let isShared) = domain {
      try host.takeParent(hwpt, isShared: isShared)
    }
    if let lent = domain.lentAddressSpace {
      space = lent
    } else {
      do throws(Errno) { space = try iommufd.allocateAddressSpace() } catch {
        throw Refusal(error, trying: "allocate an address space")
      }
    }
    return Nesting(
      host, iommufd: iommufd, domain: domain, addressSpace: space, smmu: smmu, streams: streams,
      listener: listener, owner: owner, eventFile: eventFile)
  }

  private init(
    _ host: Host, iommufd: IOMMUFD, domain: Domain, addressSpace: UInt32, smmu: SMMU,
    streams: StreamDirectory, listener: any NestingListener, owner: (any DeviceOwner)?,
    eventFile: Int32
  ) {
    self.host = host
    self.iommufd = iommufd
    self.domain = domain
    self.addressSpace = addressSpace
    self.smmu = smmu
    self.streams = streams
    self.listener = listener
    self.owner = owner
    events = VEventQueue(epoll: eventFile)
    host.addUser()
    // What a guest does may add to these, and allocates nothing.
    kept.reserveCapacity(Self.roomForKept)
  }

  deinit {
    batch.deallocate()
    events.deallocate()
  }

  /// The assigned ones of the vSMMU's devices.
  var devices: [AssignedDevice] {
    get { streams.assigned }
    _modify { yield &streams.assigned }
  }

  /// It was made here.
  var ownsAddressSpace: Bool { domain == .own(addressSpace: nil) }

  /// Takes all devices away and gives all back to the kernel. Nothing may be called after it, but
  /// that the file of events stays.
  func close() {
    for device in devices {
      do throws(AttachmentError) { try disconnect(device) } catch {
        fail(
          error.errno, by: error.who, trying: "detach a device that goes away",
          stream: device.stream)
        // Blocked is better than behind an SMMU that is gone.
        if device.fd >= 0 { try? iommufd.detach(device.fd) }
      }
      release(device)
    }
    while !devices.isEmpty { _ = streams.remove(at: devices.count - 1) }
    bars = []
    destroyObjects()
    events.disable(iommufd)
    retryKept(.max)
    // A stage 2 that stayed may still name the VMID.
    if kept.isEmpty { unpin() }
    link?.close(unpins: false)
    link = nil
    dropGivenVFIO()
    if ownsAddressSpace {
      host.removeMappings(of: addressSpace) { give(back: addressSpace, "address space") }
      retryKept(.max)
    }
    if let parent = domain.lentParent { host.giveBackParent(parent) }
    host.removeUser()
  }

  /// Other vSMMUs stand on the same nest parent, and have its VMID.
  var sharesVMID: Bool { domain.lentParent.map { host.isShared(parent: $0) } ?? false }

  /// Where a Linux host maps the doorbells of these devices' MSIs.
  public var messageWindow: (first: UInt64, last: UInt64) {
    (IOMMUFD_MSI_WINDOW_FIRST, IOMMUFD_MSI_WINDOW_LAST)
  }

  // MARK: What all devices share

  func makeObjects(for device: UInt32) throws(Refusal) -> Objects {
    var step: StaticString = "allocate a nest parent (stage 2) for the vSMMU"
    var made: [UInt32] = []
    do throws(Errno) {
      let parent: UInt32
      if let lent = domain.lentParent {
        parent = lent
        step = "allocate a vIOMMU on parent_hwpt; is that a nest parent of the device's SMMU?"
      } else {
        if domain.lentAddressSpace != nil {
          step = "allocate a nest parent (stage 2) over ioas; is that an IOAS of this host's?"
        }
        parent = try iommufd.allocateNestParent(device, addressSpace)
        made.append(parent)
        step = "allocate a vIOMMU; it needs nesting, and CANWBS in the IORT or an SMMU with S2FWB"
      }
      let viommu = try makeVIOMMU(for: device, on: parent)
      made.append(viommu)
      step = "allocate the HWPT for streams that abort"
      let abort = try iommufd.allocateNested(for: device, of: viommu, ste: (1, 0))
      made.append(abort)
      step = "allocate the HWPT for streams that bypass"
      let bypass = try iommufd.allocateNested(for: device, of: viommu, ste: (1 | 4 << 1, 0))
      return Objects(parent: parent, viommu: viommu, abort: abort, bypass: bypass)
    } catch {
      for id in made.reversed() { give(back: id, "object of a refused device") }
      throw Refusal(error, trying: step)
    }
  }

  func destroyObjects() {
    guard let objects else { return }
    // What was not sent yet would invalidate what is gone with the vIOMMU.
    batch.clear()
    events.disable(iommufd)
    if let queue = events.surrender() { give(back: queue, "event queue") }
    closeDirect()
    retryKept(.max)
    give(back: objects.bypass, "bypass HWPT")
    give(back: objects.abort, "abort HWPT")
    give(back: objects.viommu, "vIOMMU")
    if domain.lentParent == nil { give(back: objects.parent, "nest parent") }
    self.objects = nil
    mayHoldTranslations = false
  }

  /// Tells the listener what `build` puts together.
  func say(_ build: (inout Sentence) -> Void) {
    Sentence.onStack { sentence in
      build(&sentence)
      listener.hostSays(sentence)
    }
  }

  /// A failure on behalf of the guest, which has no caller to tell.
  func fail(
    _ errno: Errno, by who: StaticString = "the host kernel", trying text: StaticString,
    stream: StreamID? = nil
  ) {
    counters.failures &+= 1
    say { sentence in
      sentence.append(who)
      sentence.append(" answered errno ")
      sentence.append(UInt64(errno.code))
      sentence.append(" to: ")
      sentence.append(text)
      if let stream {
        sentence.append(" (stream ")
        sentence.append(UInt64(stream))
        sentence.append(")")
      }
    }
  }
}

/// What the host side has done since it was made.
public struct NestingCounters: Sendable {
  public var invalidateCalls: UInt64 = 0
  public var forwarded: UInt64 = 0
  public var withheld: UInt64 = 0
  public var nestedHWPTs: UInt64 = 0
  public var attachments: UInt64 = 0
  public var events: UInt64 = 0
  public var eventsLost: UInt64 = 0
  public var failures: UInt64 = 0
}
