// SPDX-License-Identifier: MIT
import SMMUSpec

/// A whole DMA of a client: translated and copied, inside an access of the caller's.
extension Translator {
  /// Copies between `data` and the memory behind `access`, in the direction that its flags say.
  /// Each piece is a transaction of its own (§3.12): an abort ends the copy, RAZ/WI the piece
  /// alone, as the client sees success (§3.12.1, §5.5).
  ///
  /// Returns the translation of the first byte, with the bytes done as its length; where a piece
  /// was RAZ/WI, its kind and event are those of the first such; where one aborted, of that one.
  /// `address + length` must not wrap.
  public func transfer(
    _ access: Access, data: UnsafeMutableRawPointer, length: UInt64
  ) -> Translation {
    var access = access
    var result = translate(access)
    var translation = result
    var done: UInt64 = 0
    while true {
      if translation.kind != .ok { result.blame(translation) }
      guard translation.kind != .abort && done < length else { break }
      let piece: UInt64
      if translation.kind == .ok {
        piece = min(translation.length, length - done)
        guard copy(access, address: translation.address, data: data + Int(done), length: piece)
        else {
          // The client hears of it, no one else does (§16.7.4).
          translation.kind = .abort
          result.blame(translation)
          break
        }
      } else {
        piece = min(Self.transactionSize - access.address % Self.transactionSize, length - done)
        if !access.writes {
          (data + Int(done)).initializeMemory(as: UInt8.self, repeating: 0, count: Int(piece))
        }
      }
      done += piece
      guard done < length else { break }
      access.address &+= piece
      translation = translate(access)
    }
    result.length = done
    return result
  }

  /// No transaction crosses a multiple of this: neither PCIe nor AMBA lets one, and no page is
  /// smaller. So much is RAZ/WI at a time, whatever the granule.
  private static var transactionSize: UInt64 { 4096 }

  private func copy(
    _ access: Access, address: UInt64, data: UnsafeMutableRawPointer, length: UInt64
  ) -> Bool {
    access.writes
      ? copyIn(address, data: data, length: length) : copyOut(address, data: data, length: length)
  }

  /// `length` bytes, which may span regions; false is an abort.
  private func copyOut(
    _ address: UInt64, data: UnsafeMutableRawPointer, length: UInt64
  ) -> Bool {
    if let host = bus.memory.host(address, length) {
      data.copyMemory(from: host, byteCount: Int(length))
      return true
    }
    return pieces(address, length: length) { piece, offset, count in
      if let host = bus.memory.host(piece, count) {
        (data + offset).copyMemory(from: host, byteCount: Int(count))
        return true
      }
      return machine.read(piece, into: data + offset, count: Int(count))
    }
  }

  private func copyIn(_ address: UInt64, data: UnsafeRawPointer, length: UInt64) -> Bool {
    if let host = bus.memory.host(address, length) {
      host.copyMemory(from: data, byteCount: Int(length))
      machine.wrote(address, count: length)
      return true
    }
    return pieces(address, length: length) { piece, offset, count in
      if let host = bus.memory.host(piece, count) {
        host.copyMemory(from: data + offset, byteCount: Int(count))
        machine.wrote(piece, count: count)
        return true
      }
      return machine.write(piece, from: data + offset, count: Int(count))
    }
  }

  /// Cuts a copy at the boundaries that regions can have.
  private func pieces(
    _ address: UInt64, length: UInt64, _ body: (UInt64, Int, UInt64) -> Bool
  ) -> Bool {
    var done: UInt64 = 0
    while done < length {
      let piece = address &+ done
      let rest = GuestMemory.alignment - piece % GuestMemory.alignment
      let count = min(rest, length - done)
      guard body(piece, Int(done), count) else { return false }
      done += count
    }
    return true
  }
}

extension Translation {
  /// A piece was not copied: an abort is what the whole DMA comes to, and else the first RAZ/WI.
  fileprivate mutating func blame(_ piece: Translation) {
    guard kind == .ok || piece.kind == .abort else { return }
    kind = piece.kind
    event = piece.event
    permissions = piece.permissions
  }
}
