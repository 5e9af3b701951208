// SPDX-License-Identifier: MIT
import SMMUSpec

// The saved form of an SMMU, which section 7 of the header describes: each part (`StatePart`) has a
// section in it.
extension SMMU {
  /// Writes the state if it fits; returns its size in bytes.
  public func save(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    var size = StateWriter()
    write(to: &size)
    guard buffer.count >= size.count else { return size.count }
    let place = UnsafeMutableRawBufferPointer(rebasing: buffer[..<size.count])
    var out = StateWriter(place)
    write(to: &out)
    let sum = SavedBytes(UnsafeRawBufferPointer(place))
      .checksum(without: SavedState.checksumOffset)
    out.put(sum, at: SavedState.checksumOffset)
    return size.count
  }

  private func write(to out: inout StateWriter) {
    out.put(SavedState.magic)
    out.put(SavedState.version)
    // Older readers know no sections.
    out.put(SavedState.version)
    out.put(UInt32(0))
    out.put(UInt32(0))
    var count: UInt32 = 0
    for part in StatePart.allCases where has(part) {
      out.put(part.name.characters)
      out.put(part.version)
      let length = out.count
      out.put(UInt32(0))
      save(part, to: &out)
      out.put(UInt32(out.count - length - 4), at: length)
      count += 1
    }
    out.put(count, at: SavedState.countOffset)
  }

  /// Checks a saved state without applying it.
  public func validate(_ data: UnsafeRawBufferPointer) throws(SavedStateError) {
    try validate(SavedState(data))
  }

  /// Applies a saved state that `validate` accepts; the caches start cold. An access in progress
  /// meanwhile sees the old state or the new one, but never a bypass that is part of neither.
  public func restore(_ data: UnsafeRawBufferPointer) throws(SavedStateError) {
    let state = try SavedState(data)
    try validate(state)
    replaceState { apply(state) }
    hardware?.everythingChanged()
    consumeCommands(options.commandBudget)
  }

  private func validate(_ state: SavedState) throws(SavedStateError) {
    if let records = state.records { return try saved.validate(records, of: nil) }
    var place = SavedState.headerBytes
    var found = PartSet()
    while let section = state.section(at: &place) {
      guard let part = StatePart(section.name) else { throw .unknownSection(section.name) }
      guard !found.contains(part) else { throw .repeatedSection(section.name) }
      guard found.areAllBefore(part) else { throw .misplacedSection(section.name) }
      found.insert(part)
      guard section.version <= part.version else {
        throw .newerSection(section.name, version: section.version)
      }
      try validate(section, of: part)
    }
    for part in StatePart.allCases where has(part) && !found.contains(part) {
      throw .missingSection(part.name)
    }
  }

  private func apply(_ state: SavedState) {
    for part in StatePart.allCases { reset(part) }
    if let records = state.records { saved.restore(records) }
    var place = SavedState.headerBytes
    while state.records == nil, let section = state.section(at: &place) {
      if let part = StatePart(section.name) { restore(part, from: section) }
    }
    // Updates complete within their writes, so the acknowledgements follow (§6.3.10, §6.3.18).
    registers[.irqCtrlAck] = registers[.irqCtrl]
    registers[.cr0ack] = registers[.cr0]
  }
}

/// What each part does; those of today consist of registers.
extension SMMU {
  private var saved: SavedRegisters { SavedRegisters(registers: registers, features: features) }

  private func has(_ part: StatePart) -> Bool { saved.has(part) }

  private func save(_ part: StatePart, to out: inout StateWriter) { saved.save(part, to: &out) }

  private func validate(
    _ section: SavedSection, of part: StatePart
  ) throws(SavedStateError) {
    guard section.version != 0, section.bytes.count % RegisterRecord.size == 0 else {
      throw .malformedSection(section.name)
    }
    try saved.validate(RegisterRecords(section.bytes), of: part)
  }

  private func reset(_ part: StatePart) { saved.reset(part) }

  /// From a section that `validate` accepts; the part is in its reset state.
  private func restore(_ part: StatePart, from section: SavedSection) {
    saved.restore(RegisterRecords(section.bytes))
  }
}

/// The parts whose sections there were so far.
private struct PartSet {
  private var bits: UInt32 = 0

  func contains(_ part: StatePart) -> Bool { bits >> UInt32(part.rawValue) & 1 != 0 }

  func areAllBefore(_ part: StatePart) -> Bool { bits >> UInt32(part.rawValue) == 0 }

  mutating func insert(_ part: StatePart) { bits |= 1 << UInt32(part.rawValue) }
}
