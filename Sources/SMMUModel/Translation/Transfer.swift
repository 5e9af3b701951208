// SPDX-License-Identifier: MIT
import SMMUSpec

/// A whole DMA of a client: translated, copied and guarded.
extension SMMU {
  /// Copies between `data` and the memory behind `access`, in the direction that its flags say.
  /// Returns the translation of the first byte, or the fault that ended it, with the bytes done as
  /// its length. `address + length` must not wrap.
  public func transfer(
    _ access: Access, _ data: UnsafeMutableRawPointer, _ length: UInt64
  ) -> Translation {
    let token = beginAccess()
    defer { endAccess(token) }
    var access = access
    var result = translate(access)
    var translation = result
    var done: UInt64 = 0
    while translation.kind == .ok && done < length {
      let segment = min(translation.length, length - done)
      guard copy(access, translation.address, data + Int(done), segment) else {
        // The client hears of it, no one else does (§16.7.4).
        translation.kind = .abort
        break
      }
      done += segment
      access.address &+= segment
      if done < length { translation = translate(access) }
    }
    // What a RAZ/WI read did not get is zero (§3.12.1).
    if translation.kind == .razwi && !access.writes {
      (data + Int(done)).initializeMemory(as: UInt8.self, repeating: 0, count: Int(length - done))
    }
    if translation.kind != .ok {
      result.kind = translation.kind
      result.event = translation.event
      result.permissions = translation.permissions
    }
    result.length = done
    return result
  }

  private func copy(
    _ access: Access, _ address: UInt64, _ data: UnsafeMutableRawPointer, _ length: UInt64
  ) -> Bool {
    access.writes ? copyIn(address, data, length) : copyOut(address, data, length)
  }

  /// `length` bytes, which may span regions; false is an abort.
  private func copyOut(
    _ address: UInt64, _ data: UnsafeMutableRawPointer, _ length: UInt64
  ) -> Bool {
    if let host = memory.host(address, length) {
      data.copyMemory(from: host, byteCount: Int(length))
      return true
    }
    return pieces(address, length) { piece, offset, count in
      if let host = memory.host(piece, count) {
        (data + offset).copyMemory(from: host, byteCount: Int(count))
        return true
      }
      return machine.read(piece, into: data + offset, count: Int(count))
    }
  }

  private func copyIn(_ address: UInt64, _ data: UnsafeRawPointer, _ length: UInt64) -> Bool {
    if let host = memory.host(address, length) {
      host.copyMemory(from: data, byteCount: Int(length))
      machine.wrote(address, count: length)
      return true
    }
    return pieces(address, length) { piece, offset, count in
      if let host = memory.host(piece, count) {
        host.copyMemory(from: data + offset, byteCount: Int(count))
        machine.wrote(piece, count: count)
        return true
      }
      return machine.write(piece, from: data + offset, count: Int(count))
    }
  }

  /// Cuts a copy at the boundaries that regions can have.
  private func pieces(
    _ address: UInt64, _ length: UInt64, _ body: (UInt64, Int, UInt64) -> Bool
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
