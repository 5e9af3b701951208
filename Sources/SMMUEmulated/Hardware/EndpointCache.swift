// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUModel
import SMMUSpec

/// The translations that a device keeps for itself (an ATC, §3.9.1): by page of 4 KiB, substream
/// and privilege. No TLBI and no broadcast reaches them, only invalidation requests. Any thread may
/// call.
final class EndpointCache {
  /// As many as a slot has bits for.
  private static var entries: Int { 256 }

  private struct Entry {
    /// Page and context; nil if there is nothing.
    var key: Key?
    var translation = Translation?.none
  }

  private struct Key: Equatable {
    let page: UInt64
    let substream: SubstreamID?
    let flags: UInt32
  }

  private let mutex: Mutex
  private let table: UnsafeMutablePointer<Entry>
  /// Translations may be asked for, and kept.
  private var isEnabled = false
  /// Counts what takes entries away: an answer that was asked for before is not kept.
  private var generation: UInt64 = 0

  /// nil without memory.
  static func make() -> EndpointCache? { Mutex().map { EndpointCache($0) } }

  private init(_ mutex: Mutex) {
    self.mutex = mutex
    table = .allocate(capacity: Self.entries)
    table.initialize(repeating: Entry(), count: Self.entries)
  }

  deinit {
    table.deallocate()
    mutex.destroy()
  }

  /// Bytes of one.
  static var needed: Int { entries * MemoryLayout<Entry>.stride + 1024 }

  private func slot(_ key: Key) -> Int {
    let context = UInt64(key.substream.map { $0 &+ 1 } ?? 0) << 4 | UInt64(key.flags)
    let mixed = (key.page ^ context << 40) &* 0x9e37_79b9_7f4a_7c15
    return Int(truncatingIfNeeded: mixed >> 56)
  }

  private static func key(_ access: Access) -> Key {
    let kept: AccessFlags = [.instruction, .privileged]
    return Key(
      page: access.address >> 12,
      substream: access.flags.contains(.substream) ? access.substream : nil,
      flags: access.flags.intersection(kept).rawValue)
  }

  /// What a transaction needs: read 1, write 2.
  private static func need(_ access: Access) -> UInt8 {
    access.flags.contains(.atomic) ? 3 : access.flags.contains(.write) ? 2 : 1
  }
}

// MARK: What the device does

extension EndpointCache {
  /// A copy to or from a page whose translation is kept, nil if none is: the number to `keep` with
  /// what the SMMU answers then. No invalidation completes while the copy is under way.
  func copy(
    _ access: Access, data: UnsafeMutableRawPointer, count: Int
  ) -> (answer: Translation?, generation: UInt64?) {
    mutex.locked {
      guard isEnabled else { return (nil, nil) }
      let key = Self.key(access)
      let found = table[slot(key)]
      guard found.key == key, var answer = found.translation,
        answer.permissions & Self.need(access) == Self.need(access)
      else { return (nil, generation) }
      answer.address |= access.address & 0xfff
      let host = UnsafeMutableRawPointer(
        bitPattern: UInt(truncatingIfNeeded: answer.address))!
      if access.flags.contains(.write) {
        host.copyMemory(from: data, byteCount: count)
      } else {
        data.copyMemory(from: host, byteCount: count)
      }
      answer.length = UInt64(count)
      return (answer, nil)
    }
  }

  /// Keeps what the SMMU has answered, unless something was taken away since.
  func keep(_ answer: Translation, for access: Access, generation: UInt64) {
    mutex.locked {
      guard isEnabled, generation == self.generation, answer.kind == .ok else { return }
      var answer = answer
      answer.address &= ~0xfff
      let key = Self.key(access)
      table[slot(key)] = Entry(key: key, translation: answer)
    }
  }
}

// MARK: What its host does

extension EndpointCache {
  func enable() { mutex.locked { isEnabled = true } }

  func disable() {
    mutex.locked {
      isEnabled = false
      empty()
    }
  }

  /// An invalidation of everything, or a reset.
  func clear() { mutex.locked { empty() } }

  private func empty() {
    generation &+= 1
    for i in 0..<Self.entries { table[i] = Entry() }
  }

  /// An invalidation request. Without a PASID it is about entries of every one (§4.5.1). `each` is
  /// told what is gone, and the generation to ask for it again.
  func invalidate(_ what: ATCInvalidation, _ each: (Access, UInt64) -> Void) {
    let range = what.range
    for i in 0..<Self.entries {
      let gone = mutex.locked { () -> (Access, UInt64)? in
        if i == 0 { generation &+= 1 }
        guard let key = table[i].key, range.first >> 12 <= key.page, key.page <= range.last >> 12,
          what.source.substream == nil || key.substream == what.source.substream
            || what.isGlobal && key.substream != nil
        else { return nil }
        table[i] = Entry()
        var flags = AccessFlags(rawValue: key.flags)
        if key.substream != nil { flags.insert(.substream) }
        let access = Access(
          stream: 0, substream: key.substream ?? 0, flags: flags, address: key.page << 12)
        return (access, generation)
      }
      if let gone { each(gone.0, gone.1) }
    }
  }
}
