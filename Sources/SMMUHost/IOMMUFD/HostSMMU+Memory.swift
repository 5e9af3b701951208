// SPDX-License-Identifier: MIT

/// Guest memory in the address space that devices see through stage 2. With one of the caller's
/// there is nothing to do: what is in it is the caller's to say.
extension HostSMMU {
  public func map(
    _ address: UInt64, length: UInt64, host memory: UnsafeMutableRawPointer
  ) throws(HostError) {
    guard ownsAddressSpace else { return }
    do throws(Errno) {
      if let other = host.mapping(of: memory, length), other.addressSpace != addressSpace {
        try iommufd.copy(
          addressSpace, address, length: length, from: other.addressSpace, other.address)
      } else {
        try iommufd.map(addressSpace, address, length: length, host: memory)
      }
    } catch {
      throw HostError(error, trying: "map guest memory into the address space")
    }
    host.add(
      Host.Mapping(addressSpace: addressSpace, address: address, length: length, memory: memory))
  }

  /// The same with the file behind the memory, which the kernel prefers.
  public func map(
    _ address: UInt64, length: UInt64, file: Int32, offset: UInt64
  ) throws(HostError) {
    guard ownsAddressSpace else { return }
    do throws(Errno) {
      try iommufd.map(addressSpace, address, length: length, file: file, offset: offset)
    } catch {
      throw HostError(error, trying: "map a file of guest memory into the address space")
    }
  }

  public func unmap(_ address: UInt64, length: UInt64) throws(HostError) {
    guard ownsAddressSpace else { return }
    do throws(Errno) {
      try iommufd.unmap(addressSpace, address, length: length)
    } catch {
      throw HostError(error, trying: "unmap guest memory from the address space")
    }
    host.remove(addressSpace, address)
  }

  /// Bits of the guest physical addresses that stage 2 takes; 0 = the kernel does not tell.
  public var stage2Bits: Int {
    guard objects != nil, let last = try? iommufd.lastAddress(addressSpace) else { return 0 }
    return Negotiation.addressBits(last: last)
  }
}
