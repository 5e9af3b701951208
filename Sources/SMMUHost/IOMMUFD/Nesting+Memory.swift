// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// Guest memory in the address space that devices see through stage 2. With one of the caller's
/// there is nothing to do: what is in it is the caller's to say.
extension Nesting {
  /// A host that assigns devices keeps a window for their MSIs, which RAM often meets by mistake.
  func requireOutsideWindow(_ address: UInt64, length: UInt64) throws(Refusal) {
    let window = messageWindow
    guard address <= window.last, address &+ (length &- 1) >= window.first else { return }
    var sentence = Sentence("RAM at ")
    sentence.append(hex: address)
    sentence.append(" covers the host's window for MSIs from ")
    sentence.append(hex: window.first)
    sentence.append(" to ")
    sentence.append(hex: window.last)
    throw Refusal(.einval, sentence)
  }

  func map(
    _ address: UInt64, length: UInt64, host memory: UnsafeMutableRawPointer
  ) throws(Refusal) {
    guard ownsAddressSpace else { return }
    try requireNoBAR(address, length: length)
    let mapping = Host.Mapping(
      addressSpace: addressSpace, address: address, length: length, memory: memory)
    do throws(Errno) {
      try host.map(mapping) { (other) throws(Errno) in
        try iommufd.copy(
          in: addressSpace, at: address, length: length, from: other.addressSpace,
          at: other.address)
      } map: { () throws(Errno) in
        try iommufd.map(in: addressSpace, at: address, length: length, host: memory)
      }
    } catch {
      throw Self.unmappable(error)
    }
  }

  /// The same with the file behind the memory, which the kernel prefers.
  func map(
    _ address: UInt64, length: UInt64, file: Int32, offset: UInt64
  ) throws(Refusal) {
    guard ownsAddressSpace else { return }
    try requireNoBAR(address, length: length)
    do throws(Errno) {
      try iommufd.map(
        in: addressSpace, at: address, length: length, file: file, offset: offset)
    } catch {
      throw Self.unmappable(error)
    }
  }

  func unmap(_ address: UInt64, length: UInt64) throws(Refusal) {
    guard ownsAddressSpace else { return }
    do throws(Errno) {
      try host.unmap(in: addressSpace, at: address) { () throws(Errno) in
        try iommufd.unmap(in: addressSpace, at: address, length: length)
      }
    } catch {
      if error == .ebusy && direct.frame != nil {
        throw Refusal(error, "a direct command queue of the guest's lies in this memory")
      }
      throw Refusal(error, trying: "unmap guest memory from the address space")
    }
  }

  private static func unmappable(_ errno: Errno) -> Refusal {
    Refusal(errno, trying: "map guest memory into the address space")
  }

  /// Bits of the guest physical addresses that stage 2 takes; 0 while there is none.
  func stage2Bits() throws(Refusal) -> Int {
    guard objects != nil else { return 0 }
    do throws(Errno) {
      return Negotiation.addressBits(last: try iommufd.lastAddress(addressSpace))
    } catch {
      throw Refusal(error, trying: "tell the addresses that stage 2 takes")
    }
  }
}
