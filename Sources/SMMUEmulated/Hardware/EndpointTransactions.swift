// SPDX-License-Identifier: MIT
import SMMUModel
import SMMUSpec

/// The DMA of a device and what it does with ATS (§3.9.1).
extension EmulatedDevice {
  /// It can, and so can the root complex and the SMMU before it.
  var supportsATS: Bool { cache != nil }

  /// Reads or writes, page by page where translations may be kept.
  func dma(
    _ access: Access, data: UnsafeMutableRawPointer, length: UInt64
  ) -> Translation {
    guard let cache, length > 0 else { return untranslated(access, data: data, length: length) }
    var access = access
    var result = Translation?.none
    var done: UInt64 = 0
    while done < length {
      let count = min(4096 - access.address & 0xfff, length - done)
      let piece = self.piece(access, cache: cache, data: data + Int(done), count: count)
      done += piece.kind == .abort ? piece.length : count
      result = result.map { $0.followed(by: piece) } ?? piece
      guard piece.kind != .abort else { break }
      access.address &+= count
    }
    var whole = result!
    whole.length = done
    return whole
  }

  private func piece(
    _ access: Access, cache: EndpointCache, data: UnsafeMutableRawPointer, count: UInt64
  ) -> Translation {
    let kept = cache.copy(access, data: data, count: Int(count))
    if let answer = kept.answer { return answer }
    let answer = untranslated(access, data: data, length: count)
    // As if it had asked the SMMU first.
    if let generation = kept.generation { cache.keep(answer, for: access, generation: generation) }
    return answer
  }

  private func untranslated(
    _ access: Access, data: UnsafeMutableRawPointer, length: UInt64
  ) -> Translation {
    access.flags.contains(.write)
      ? smmu.dmaWrite(access, from: data, length: length)
      : smmu.dmaRead(access, into: data, length: length)
  }

  /// A guest's CMD_ATC_INV has come. A device asks for translations when it likes: this one does so
  /// at once for all that it has lost, so that what the SMMU should have forgotten before comes
  /// back. Whether it answers.
  func invalidate(_ what: ATCInvalidation) -> Bool {
    guard answersInvalidations else { return false }
    guard let cache else { return true }
    cache.invalidate(what) { access, generation in
      var access = access
      access.stream = stream
      access.flags.insert(.speculative)
      let answer = smmu.translate(access)
      cache.keep(answer, for: access, generation: generation)
    }
    return true
  }
}

extension Translation {
  /// What a transfer comes to: the first piece, but for one that was not copied.
  fileprivate func followed(by piece: Translation) -> Translation {
    guard piece.kind != .ok, kind == .ok || piece.kind == .abort else { return self }
    var result = self
    result.kind = piece.kind
    result.event = piece.event
    result.permissions = piece.permissions
    return result
  }
}
