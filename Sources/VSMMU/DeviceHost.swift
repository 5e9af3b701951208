// SPDX-License-Identifier: MIT
import CSupport
import CVSMMU
import SMMUHost
import SMMUModel
import SMMUSpec

/// A device's dealings with its host.
extension Device {
  /// At creation. On an error the device is given up by the caller.
  func join(_ handle: OpaquePointer, addressSpace: UInt32) throws(Refusal) {
    let host = Unmanaged<HostHandle>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
    let side = try hosted { () throws(HostError) in
      try HostSMMU.make(host.host, smmu, machine, addressSpace: addressSpace)
    }
    host.addUser()
    hostHandle = host
    hostSide = side
    smmu.hardware = side
    try renegotiate([])
  }

  /// At the end of the device, while nothing else runs.
  func leaveHost() {
    eventThread?.stop()
    eventThread = nil
    smmu.hardware = nil
    hostSide?.close()
    hostSide = nil
    hostHandle?.removeUser()
    hostHandle = nil
  }

  func requireHost() throws(HostError) -> HostSMMU {
    guard let hostSide else {
      throw HostError(.einval, "the vSMMU was created without config.host")
    }
    return hostSide
  }

  func attach(_ stream: StreamID, _ source: DeviceSource) throws(Refusal) {
    try hosted { () throws(HostError) in
      try requireHost().attachDevice(stream, source) { (information) throws(HostError) in
        try accept(information)
      }
    }
  }

  /// Makes the ID registers what this host can do too, or refuses it.
  private func accept(_ information: HostInformation) throws(HostError) {
  }

  private func renegotiate(_ hosts: [HostInformation]) throws(Refusal) {
  }
}
