// SPDX-License-Identifier: MIT
import CVSMMU
import SMMUSpec

/// A device behind the C functions, without memory.
final class TestDevice {
  let handle: OpaquePointer

  /// Fails with the sentence of the refusal.
  struct Refused: Error {
    let code: Int32
    let message: String
  }

  init(_ features: String = "", profile: UInt32 = VSMMU_PROFILE_FULL) throws {
    var config = vsmmu_config(), ops = vsmmu_ops()
    config.size = UInt32(MemoryLayout<vsmmu_config>.size)
    config.profile = profile
    ops.size = UInt32(MemoryLayout<vsmmu_ops>.size)
    var device: OpaquePointer?
    var message = [CChar](repeating: 0, count: 256)
    let status = features.withCString { text in
      config.features = text
      return vsmmu_create(&config, &ops, nil, &device, &message, message.count)
    }
    guard status == 0, let device else {
      throw Refused(code: status, message: Self.text(message))
    }
    handle = device
  }

  deinit { vsmmu_destroy(handle) }

  static func text(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  func read(_ offset: UInt64, _ width: UInt32 = 4) -> UInt64 {
    var value: UInt64 = 0
    vsmmu_mmio_read(handle, offset, width, &value)
    return value
  }

  func write(_ offset: UInt64, _ value: UInt64, _ width: UInt32 = 4) -> Int32 {
    vsmmu_mmio_write(handle, offset, width, value)
  }

  func save() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Int(vsmmu_save(handle, nil, 0)))
    vsmmu_save(handle, &bytes, UInt64(bytes.count))
    return bytes
  }

  var refusal: String {
    var message = [CChar](repeating: 0, count: 256)
    vsmmu_error_message(handle, &message, message.count)
    return Self.text(message)
  }
}

/// Where the guest finds an ID register.
func offset(of register: IdentificationRegister) -> UInt64 {
  RegisterMap.offset(of: .identification(register))
}
