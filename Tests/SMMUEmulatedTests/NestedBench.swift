// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUModel
import SMMUSpec

@testable import SMMUEmulated

/// A bench with a VM and its device, its memory as guest RAM at 1 GiB, a nest parent and a vIOMMU.
final class NestedBench {
  static let ram: UInt64 = 0x4000_0000
  static let ramBytes = 4 << 20
  let base: EmulatedBench
  let vm: Int32
  let fd: Int32
  let device: UInt32
  let ioas: UInt32
  let parent: UInt32
  let viommu: UInt32
  let memory: UnsafeMutableRawPointer

  init(_ configuration: EmulatedConfiguration, virtualID: UInt64? = nil) {
    base = EmulatedBench(configuration)
    let machine = base.machine()
    vm = machine.vm
    (fd, device) = base.device(0, link: machine.link)
    ioas = base.ioas()
    memory = base.memory(Self.ramBytes)
    _ = base.map(ioas, Self.ram, memory, UInt64(Self.ramBytes))
    parent = UInt32(clamping: base.hwpt(device, ioas, flags: 1))
    viommu = UInt32(clamping: base.viommu(device, parent))
    if let virtualID { _ = base.vdevice(device, viommu, virtualID) }
  }

  convenience init(_ version: EmulatedKernelVersion, virtualID: UInt64? = nil) {
    var configuration = EmulatedConfiguration()
    configuration.version = version
    self.init(configuration, virtualID: virtualID)
  }

  func nested(_ low: UInt64, _ high: UInt64 = 0, length: UInt32 = 16, type: UInt32 = 2) -> Int64 {
    base.nested(device, viommu, low, high, length: length, type: type)
  }

  func attach(_ table: Int64) -> Int64 { base.attach(fd, UInt32(clamping: table)) }

  // MARK: The guest's memory

  subscript(_ address: UInt64) -> UInt64 {
    get { memory.load(fromByteOffset: Int(address - Self.ram), as: UInt64.self) }
    set { memory.storeBytes(of: newValue, toByteOffset: Int(address - Self.ram), as: UInt64.self) }
  }

  static let context = ram + 0x1_0000
  private static let root = ram + 0x2_0000
  static let asid: UInt64 = 7
  /// An STE that translates by the context descriptor there.
  static let stage1: (UInt64, UInt64) = (context | 0b1011, 0xd4)

  /// A context descriptor of 4K pages and 39 bits, with a table of three levels.
  func writeContext(aset: UInt64 = 1) {
    self[Self.context] =
      Self.asid << 48 | aset << 47 | 1 << 46 | 1 << 45 | 1 << 41 | 4 << 32 | 1 << 31 | 1 << 30
      | 3 << 12 | 1 << 10 | 1 << 8 | 25
    self[Self.context + 8] = Self.root
    self[Self.context + 24] = 0xff
  }

  /// Maps a page of the guest's stage 1; nil takes it away.
  func map(_ address: UInt64, to page: UInt64?) {
    var table = Self.root
    for (shift, next) in [(30, Self.root + 0x1000), (21, Self.root + 0x2000)] as [(UInt64, UInt64)]
    {
      self[table + 8 * (address >> shift & 511)] = next | 3
      table = next
    }
    self[table + 8 * (address >> 12 & 511)] =
      page.map { $0 | 1 << 11 | 1 << 10 | 3 << 8 | 0x43 } ?? 0
  }

  // MARK: The device

  func read(_ address: UInt64) -> (word: UInt64, kind: Translation.Kind) {
    var word: UInt64 = 0
    let answer = base.host.dma(
      of: 0, access: Access(stream: 0, address: address), data: &word, length: 8)!
    return (word, answer.kind)
  }

  func write(_ address: UInt64, _ word: UInt64) -> Translation.Kind {
    var word = word
    return base.host.dma(
      of: 0, access: Access(stream: 0, flags: .write, address: address), data: &word, length: 8)!
      .kind
  }

  /// The events in a vEVENTQ: flags, sequence, and the record's words.
  func events(_ fd: Int32) -> [[UInt64]] {
    let (count, bytes) = base.read(fd, 4096)
    var place = 0
    var events: [[UInt64]] = []
    bytes.withUnsafeBytes { buffer in
      while place < count {
        let flags = UInt64(buffer.loadUnaligned(fromByteOffset: place, as: UInt32.self))
        let sequence = UInt64(buffer.loadUnaligned(fromByteOffset: place + 4, as: UInt32.self))
        place += 8
        var event = [flags, sequence]
        for i in 0..<(flags == 0 ? 4 : 0) {
          event.append(buffer.loadUnaligned(fromByteOffset: place + 8 * i, as: UInt64.self))
        }
        if flags == 0 { place += 32 }
        events.append(event)
      }
    }
    return events
  }
}
