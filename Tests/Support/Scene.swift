// SPDX-License-Identifier: MIT
import SMMUModel
import SMMUSpec

/// A guest with one stream that is set up and one page that is mapped: the start of most tests,
/// which then change one thing.
///
/// Stage 1: 4K, 39 bits, both halves. Stage 2: 4K, 40 bits from level 1 (two tables), with all RAM
/// mapped at `intermediate`, where a nested stream has its CD and stage 1 tables.
public final class Scene {
  public enum Mode: Sendable { case bypass, stage1, stage2, nested }

  /// IPA less PA of what the SMMU reads through stage 2.
  public static let intermediate: UInt64 = 0x40_0000_0000
  public static let input: UInt64 = 0x1234_5000
  public static let middle: UInt64 = 0x23_4560_0000
  public static let output: UInt64 = 0x56_789a_b000
  public static let upper: UInt64 = 0xffff_ff80_0765_4000
  public static let upperMiddle: UInt64 = 0x24_0000_1000
  public static let upperOutput: UInt64 = 0x57_0000_2000

  public let guest: Guest
  public let mode: Mode
  public var ste = StreamTableEntry()
  public var cd = ContextDescriptor()
  /// Physical.
  public let context: UInt64
  public let lower: TableBuilder
  public let higher: TableBuilder
  public let second: TableBuilder
  public var stream: StreamID = 1

  public init(_ mode: Mode, _ features: Features = .full, _ options: Options = Options()) {
    self.mode = mode
    guest = Guest(features, options)
    let offset = mode == .nested ? Self.intermediate : 0
    lower = TableBuilder(guest, offset: offset)
    higher = TableBuilder(guest, offset: offset)
    second = TableBuilder(guest, inputBits: 40, start: 1)
    context = guest.allocate(4096)
    guest.start()
    fill(offset)
    apply()
  }

  private func fill(_ offset: UInt64) {
    typealias S = StreamTableEntry
    typealias C = ContextDescriptor
    ste[S.v] = 1
    ste[S.config] = mode == .bypass ? 4 : mode == .stage1 ? 5 : mode == .stage2 ? 6 : 7
    ste[S.shcfg] = 1
    if mode == .stage1 || mode == .nested {
      ste[S.s1ContextPtr] = (context &+ offset) >> 6
      cd = Self.contextDescriptor
      cd[C.ttb0] = lower.base >> 4
      cd[C.ttb1] = higher.base >> 4
    }
    if mode == .stage2 || mode == .nested {
      ste[S.s2t0sz] = 24
      ste[S.s2sl0] = 1
      ste[S.s2ps] = 5
      ste[S.s2aa64] = 1
      ste[S.s2r] = 1
      ste[S.s2vmid] = 7
      ste[S.s2ttb] = second.base >> 4
    }
    switch mode {
    case .bypass: break
    case .stage1:
      lower.map(Self.input, Self.output, TableBuilder.stage1Leaf)
      higher.map(Self.upper, Self.upperOutput, TableBuilder.stage1Leaf)
    case .stage2:
      second.map(Self.middle, Self.output, TableBuilder.stage2Leaf)
    case .nested:
      lower.map(Self.input, Self.middle, TableBuilder.stage1Leaf)
      higher.map(Self.upper, Self.upperMiddle, TableBuilder.stage1Leaf)
      second.map(Self.middle, Self.output, TableBuilder.stage2Leaf)
      second.map(Self.upperMiddle, Self.upperOutput, TableBuilder.stage2Leaf)
      for block in 0..<8 as Range<UInt64> {
        let physical = GuestMachine.ramBase + block << 21
        second.map(physical + Self.intermediate, physical, level: 2, TableBuilder.stage2Leaf)
      }
    }
  }

  /// A CD for 39 bits with 4K granules in both halves, and no tables yet.
  public static var contextDescriptor: ContextDescriptor {
    typealias C = ContextDescriptor
    var cd = ContextDescriptor()
    cd[C.v] = 1
    cd[C.t0sz] = 25
    cd[C.t1sz] = 25
    cd[C.tg1] = 2
    cd[C.ips] = 5
    cd[C.aa64] = 1
    cd[C.r] = 1
    cd[C.a] = 1
    cd[C.asid] = 5
    cd[C.mair0] = 0xff
    return cd
  }

  /// The address that is mapped, to `Scene.output`.
  public var address: UInt64 { mode == .stage1 || mode == .nested ? Self.input : Self.middle }

  /// Writes the STE and the CD, and forgets all that is cached.
  public func apply() {
    guest.write(ste, at: Guest.streamTable + UInt64(stream) * 64)
    if mode == .stage1 || mode == .nested { guest.write(cd, at: context) }
    invalidateAll()
  }

  public func invalidateAll() { guest.command((0x04, 31), (0x30, 0), Guest.sync) }

  public func change(_ body: (Scene) -> Void) {
    body(self)
    apply()
  }

  /// Translates and hands back the records that this wrote.
  public func access(
    _ address: UInt64? = nil, _ flags: AccessFlags = [], substream: SubstreamID? = nil
  ) -> (Translation, [EventRecord]) {
    let answer = guest.translate(stream, address ?? self.address, flags, substream: substream)
    return (answer, guest.takeEvents())
  }

  /// The event of one access, recorded or not.
  public func event(
    _ address: UInt64? = nil, _ flags: AccessFlags = [], substream: SubstreamID? = nil
  ) -> EventKind? {
    access(address, flags, substream: substream).0.event
  }

  public func isFine(_ address: UInt64? = nil, _ flags: AccessFlags = []) -> Bool {
    access(address, flags).0.kind == .ok
  }
}

extension Translation {
  /// What the client sees, whenever it was answered.
  public var ageless: Translation {
    var copy = self
    copy.generation = 0
    return copy
  }
}
