// SPDX-License-Identifier: MIT
import SMMUBase

/// BARs are revoked where their memory stops to answer.
extension EmulatedKernelState {
  /// When this returns, no access of a device uses the BAR. Mappings of it stay as holes.
  func revoke(_ bar: EmulatedBAR) {
    for iommufd in iommufds {
      iommufd.objects.each { entry in
        if case .ioas(let ioas) = entry { ioas.unmapTables(of: bar) }
      }
    }
    bar.revoked()
  }
}

extension EmulatedHost {
  /// Memory decode of a device, or its power state.
  public func setDecode(_ isOn: Bool, ofDevice index: Int) throws(Errno) {
    guard kernel.devices.indices.contains(index) else { throw .einval }
    try lockedReserving { () throws(Errno) -> Void in
      let bar = kernel.devices[index].bar
      if !isOn && bar.isDecoded { kernel.revoke(bar) }
      bar.isDecoded = isOn
    }
  }

  /// The memory behind a region of a device.
  public func barMemory(
    ofDevice index: Int, region: Int
  ) throws(Errno) -> UnsafeMutableRawBufferPointer {
    guard kernel.devices.indices.contains(index), region == 0 else { throw .einval }
    return try locked { () throws(Errno) -> UnsafeMutableRawBufferPointer in
      let memory = try kernel.devices[index].bar.memory()
      return UnsafeMutableRawBufferPointer(start: memory.pointer, count: memory.bytes)
    }
  }
}
