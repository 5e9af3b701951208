// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUBase
import SMMUModel
import SMMUSpec
import Testing

@testable import SMMUHost

@Suite struct StreamDirectoryTests {
  let streams = StreamDirectory(Mutex()!)

  func device(_ stream: StreamID?, id: UInt32? = nil) -> AssignedDevice {
    AssignedDevice(
      stream: stream, fd: 3, id: id ?? stream ?? 0, isOwners: false, isLinked: false, facts: .rich)
  }

  func refusal(_ body: () throws(Refusal) -> Void) -> Errno? {
    do throws(Refusal) {
      try body()
      return nil
    } catch {
      return error.errno
    }
  }

  @Test("Emulated devices come and go in any order")
  func emulated() throws {
    for stream in [7, 0, .max, 3, 9] as [StreamID] { try streams.addEmulated(stream) }
    #expect(streams.emulatedCount == 5)
    for stream in [0, 3, 7, 9, .max] as [StreamID] { #expect(streams.isEmulated(stream)) }
    for stream in [1, 4, 8, 10, .max - 1] as [StreamID] { #expect(!streams.isEmulated(stream)) }
    #expect(refusal { () throws(Refusal) in try streams.addEmulated(7) } == .eexist)
    try streams.removeEmulated(7)
    #expect(refusal { () throws(Refusal) in try streams.removeEmulated(7) } == .enoent)
    #expect(!streams.isEmulated(7) && streams.emulatedCount == 4)
  }

  @Test("There are no more than the header says")
  func capacity() throws {
    for stream in 0..<StreamID(StreamDirectory.mostEmulated) { try streams.addEmulated(stream) }
    #expect(refusal { () throws(Refusal) in try streams.addEmulated(1 << 20) } == .enomem)
    try streams.removeEmulated(5)
    try streams.addEmulated(1 << 20)
  }

  @Test("Assigned devices are in the order of their StreamIDs")
  func assigned() throws {
    #expect([5, 1, 9, 3].map { streams.insert(device($0)) } == [0, 0, 2, 1])
    #expect(streams.assigned.map(\.stream) == [1, 3, 5, 9])
    #expect([0, 1, 2, 5, 6, 10].map { streams.place(of: $0) } == [0, 0, 1, 2, 3, 4])
    #expect(streams.index(of: 3) == 1 && streams.index(of: 4) == nil)
    #expect(try streams.require(9) == 3)
    #expect(refusal { () throws(Refusal) in _ = try streams.require(4) } == .enoent)
  }

  @Test("Those that have no StreamID are behind all others, and known by their ids")
  func unnumbered() throws {
    #expect([nil, 5, nil, .max].map { streams.insert(device($0, id: 70)) } == [0, 0, 1, 1])
    #expect(streams.assigned.map(\.stream) == [5, .max, nil, nil])
    #expect(streams.place(of: nil) == 2 && streams.place(of: .max) == 1)
    _ = streams.insert(device(nil, id: 71))
    #expect(try streams.require(.id(71)) == 2)
    #expect(refusal { () throws(Refusal) in _ = try streams.require(.id(5)) } == .enoent)
    #expect(refusal { () throws(Refusal) in _ = try streams.require(.stream(71)) } == .enoent)
  }

  @Test("A StreamID is of one device, and assigned ones are none to translate")
  func kinds() {
    _ = streams.insert(device(4))
    #expect(refusal { () throws(Refusal) in try streams.addEmulated(4) } == .eexist)
    #expect(!streams.isEmulated(4))
    #expect(refusal { () throws(Refusal) in try streams.removeEmulated(4) } == .enoent)
  }

  /// What any thread is told of an assigned one.
  func attached(_ stream: StreamID) -> AssignedStream? {
    guard case .assigned(let attached) = streams.kind(of: stream) else { return nil }
    return attached
  }

  @Test("What a device is attached to is known by its StreamID, among others that come and go")
  func attachments() throws {
    for stream in [5, 1, 9] as [StreamID] { _ = streams.insert(device(stream)) }
    let made = AssignedStream.stage1(1, 2)
    streams.assigned[1].state = .stage1(hwpt: 7, made: made)
    #expect(attached(5) == .abort)
    streams.noteAttachment(at: 1)
    #expect(attached(5) == made && attached(1) == .abort && attached(9) == .abort)
    _ = streams.insert(device(3))
    _ = streams.remove(at: 0)
    #expect(attached(5) == made && attached(3) == .abort && attached(1) == nil)
    // What has no StreamID has nothing to be asked for, and one that comes with a state has that.
    let unnumbered = streams.insert(device(nil, id: 71))
    streams.noteAttachment(at: unnumbered)
    var bypassed = device(4)
    bypassed.state = .bypass
    _ = streams.insert(bypassed)
    #expect(attached(4) == .bypass && attached(5) == made)
    try streams.addEmulated(6)
    guard case .emulated = streams.kind(of: 6), streams.kind(of: 2) == nil else {
      Issue.record("6 is emulated, 2 is unknown")
      return
    }
  }
}
