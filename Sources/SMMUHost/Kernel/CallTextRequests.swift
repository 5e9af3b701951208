// SPDX-License-Identifier: MIT
// The requests of ioctl(2) that the host side makes, as callers want to read them: names as in
// Linux, and where in its struct each field is. Fields that must be zero are left out.
import CKernel

/// A field of a request's struct.
struct RequestField {
  enum Form { case decimal, hex, descriptor }

  let name: StaticString
  // Small, as there are a hundred fields.
  let offset: UInt8
  let bytes: UInt8
  let form: Form
  /// The kernel fills it.
  let isOutput: Bool

  static func number(_ name: StaticString, _ offset: UInt8) -> RequestField {
    RequestField(name: name, offset: offset, bytes: 4, form: .decimal, isOutput: false)
  }
  static func flags(_ offset: UInt8) -> RequestField {
    RequestField(name: "flags", offset: offset, bytes: 4, form: .hex, isOutput: false)
  }
  static func half(_ name: StaticString, _ offset: UInt8) -> RequestField {
    RequestField(name: name, offset: offset, bytes: 2, form: .decimal, isOutput: false)
  }
  static func long(_ name: StaticString, _ offset: UInt8) -> RequestField {
    RequestField(name: name, offset: offset, bytes: 8, form: .hex, isOutput: false)
  }
  static func file(_ name: StaticString, _ offset: UInt8) -> RequestField {
    RequestField(name: name, offset: offset, bytes: 4, form: .descriptor, isOutput: false)
  }

  /// The same field, filled by the kernel.
  var out: RequestField {
    RequestField(name: name, offset: offset, bytes: bytes, form: form, isOutput: true)
  }
}

/// What a struct points to: a row of integers.
struct RequestPayload {
  let name: StaticString
  /// Where the struct holds the pointer, and the number of units.
  let pointer: Int
  let count: Int
  /// Bytes of a unit; 0 if the struct says it at `unitAt`.
  let unit: Int
  let unitAt: Int
  /// Bytes of each integer.
  let integer: Int
  let isOutput: Bool
}

struct ControlRequest {
  enum Argument {
    /// A struct whose first word is its size.
    case sized
    /// A struct of so many bytes.
    case fixed(Int)
    case number, none
  }

  let name: StaticString
  let argument: Argument
  let fields: [RequestField]
  let payload: RequestPayload?
  /// The kernel fills the struct on an error too.
  let answersErrors: Bool

  init(
    _ name: StaticString, argument: Argument = .sized, fields: [RequestField] = [],
    payload: RequestPayload? = nil, answersErrors: Bool = false
  ) {
    self.name = name
    self.argument = argument
    self.fields = fields
    self.payload = payload
    self.answersErrors = answersErrors
  }
}

// In one object: see Tests/tools/checks/build.sh.
extension ControlRequest {
  /// nil for a request that is not known.
  @export(interface)
  static func named(_ request: UInt32) -> ControlRequest? {
    switch request >> 8 {
    case 0x3b where request < 0x3b80: vfio(request)
    case 0x3b: request < 0x3b8d ? addressSpace(request) : virtual(request)
    default: kvm(request)
    }
  }

  @export(interface)
  private static func addressSpace(_ request: UInt32) -> ControlRequest? {
    switch request {
    case IOMMUFD_DESTROY.rawValue:
      .init("IOMMU_DESTROY", fields: [.number("id", 4)])
    case IOMMUFD_IOAS_ALLOC.rawValue:
      .init("IOMMU_IOAS_ALLOC", fields: [.flags(4), .number("out_ioas_id", 8).out])
    case IOMMUFD_IOAS_ALLOW_IOVAS.rawValue:
      .init(
        "IOMMU_IOAS_ALLOW_IOVAS", fields: [.number("ioas_id", 4), .number("num_iovas", 8)],
        payload: .init(
          name: "iovas", pointer: 16, count: 8, unit: 16, unitAt: 0, integer: 8, isOutput: false))
    case IOMMUFD_IOAS_COPY.rawValue:
      .init(
        "IOMMU_IOAS_COPY",
        fields: [
          .flags(4), .number("dst_ioas_id", 8), .number("src_ioas_id", 12), .long("length", 16),
          .long("dst_iova", 24), .long("src_iova", 32), .long("dst_iova", 24).out,
        ])
    case IOMMUFD_IOAS_IOVA_RANGES.rawValue:
      .init(
        "IOMMU_IOAS_IOVA_RANGES",
        fields: [
          .number("ioas_id", 4), .number("num_iovas", 8), .number("num_iovas", 8).out,
          .long("out_iova_alignment", 24).out,
        ],
        payload: .init(
          name: "iovas", pointer: 16, count: 8, unit: 16, unitAt: 0, integer: 8, isOutput: true))
    case IOMMUFD_IOAS_MAP.rawValue:
      .init(
        "IOMMU_IOAS_MAP",
        fields: [
          .flags(4), .number("ioas_id", 8), .long("user_va", 16), .long("length", 24),
          .long("iova", 32), .long("iova", 32).out,
        ])
    case IOMMUFD_IOAS_UNMAP.rawValue:
      .init(
        "IOMMU_IOAS_UNMAP",
        fields: [
          .number("ioas_id", 4), .long("iova", 8), .long("length", 16), .long("length", 16).out,
        ])
    case IOMMUFD_OPTION.rawValue:
      .init(
        "IOMMU_OPTION",
        fields: [
          .number("option_id", 4), .half("op", 8), .number("object_id", 12), .long("val64", 16),
          .long("val64", 16).out,
        ])
    case IOMMUFD_VFIO_IOAS.rawValue:
      .init(
        "IOMMU_VFIO_IOAS",
        fields: [.number("ioas_id", 4), .half("op", 8), .number("ioas_id", 4).out])
    default: paging(request)
    }
  }

  @export(interface)
  private static func paging(_ request: UInt32) -> ControlRequest? {
    switch request {
    case IOMMUFD_HWPT_ALLOC.rawValue:
      .init(
        "IOMMU_HWPT_ALLOC",
        fields: [
          .flags(4), .number("dev_id", 8), .number("pt_id", 12), .number("data_type", 24),
          .number("fault_id", 40), .number("out_hwpt_id", 16).out,
        ],
        payload: .init(
          name: "data", pointer: 32, count: 28, unit: 1, unitAt: 0, integer: 8, isOutput: false))
    case IOMMUFD_GET_HW_INFO.rawValue:
      .init(
        "IOMMU_GET_HW_INFO",
        fields: [
          .flags(4), .number("dev_id", 8), .number("data_len", 12), .number("data_len", 12).out,
          .number("out_data_type", 24).out,
          RequestField(
            name: "out_max_pasid_log2", offset: 28, bytes: 1, form: .decimal, isOutput: true),
          .long("out_capabilities", 32).out,
        ],
        payload: .init(
          name: "data", pointer: 16, count: 12, unit: 1, unitAt: 0, integer: 4, isOutput: true))
    case IOMMUFD_HWPT_SET_DIRTY_TRACKING.rawValue:
      .init("IOMMU_HWPT_SET_DIRTY_TRACKING", fields: [.flags(4), .number("hwpt_id", 8)])
    case IOMMUFD_HWPT_GET_DIRTY_BITMAP.rawValue:
      .init(
        "IOMMU_HWPT_GET_DIRTY_BITMAP",
        fields: [
          .number("hwpt_id", 4), .flags(8), .long("iova", 16), .long("length", 24),
          .long("page_size", 32),
        ])
    default: nil
    }
  }

  @export(interface)
  private static func virtual(_ request: UInt32) -> ControlRequest? {
    switch request {
    case IOMMUFD_HWPT_INVALIDATE.rawValue:
      .init(
        "IOMMU_HWPT_INVALIDATE",
        fields: [
          .number("hwpt_id", 4), .number("data_type", 16), .number("entry_len", 20),
          .number("entry_num", 24), .number("entry_num", 24).out,
        ],
        payload: .init(
          name: "data", pointer: 8, count: 24, unit: 0, unitAt: 20, integer: 8, isOutput: false),
        answersErrors: true)
    case IOMMUFD_FAULT_QUEUE_ALLOC.rawValue:
      .init(
        "IOMMU_FAULT_QUEUE_ALLOC",
        fields: [.flags(4), .number("out_fault_id", 8).out, .file("out_fault_fd", 12).out])
    case IOMMUFD_IOAS_MAP_FILE.rawValue:
      .init(
        "IOMMU_IOAS_MAP_FILE",
        fields: [
          .flags(4), .number("ioas_id", 8), .file("fd", 12), .long("start", 16),
          .long("length", 24), .long("iova", 32), .long("iova", 32).out,
        ])
    case IOMMUFD_VIOMMU_ALLOC.rawValue:
      .init(
        "IOMMU_VIOMMU_ALLOC",
        fields: [
          .flags(4), .number("type", 8), .number("dev_id", 12), .number("hwpt_id", 16),
          .number("out_viommu_id", 20).out,
        ],
        payload: .init(
          name: "data", pointer: 32, count: 24, unit: 1, unitAt: 0, integer: 8, isOutput: true))
    case IOMMUFD_VDEVICE_ALLOC.rawValue:
      .init(
        "IOMMU_VDEVICE_ALLOC",
        fields: [
          .number("viommu_id", 4), .number("dev_id", 8), .long("virt_id", 16),
          .number("out_vdevice_id", 12).out,
        ])
    case IOMMUFD_IOAS_CHANGE_PROCESS.rawValue: .init("IOMMU_IOAS_CHANGE_PROCESS")
    default: queues(request)
    }
  }

  @export(interface)
  private static func queues(_ request: UInt32) -> ControlRequest? {
    switch request {
    case IOMMUFD_VEVENTQ_ALLOC.rawValue:
      .init(
        "IOMMU_VEVENTQ_ALLOC",
        fields: [
          .flags(4), .number("viommu_id", 8), .number("type", 12),
          .number("veventq_depth", 16), .number("out_veventq_id", 20).out,
          .file("out_veventq_fd", 24).out,
        ])
    case IOMMUFD_HW_QUEUE_ALLOC.rawValue:
      .init(
        "IOMMU_HW_QUEUE_ALLOC",
        fields: [
          .flags(4), .number("viommu_id", 8), .number("type", 12), .number("index", 16),
          .long("nesting_parent_iova", 24), .long("length", 32),
          .number("out_hw_queue_id", 20).out,
        ])
    case IOMMUFD_IOAS_NOIOMMU_GET_PA.rawValue:
      .init(
        "IOMMU_IOAS_NOIOMMU_GET_PA",
        fields: [
          .flags(4), .number("ioas_id", 8), .long("iova", 16), .long("length", 24),
          .long("length", 24).out, .long("out_phys", 32).out,
        ])
    default: nil
    }
  }

  @export(interface)
  private static func vfio(_ request: UInt32) -> ControlRequest? {
    switch request {
    case VFIO_REQUEST_DEVICE_GET_INFO.rawValue:
      .init(
        "VFIO_DEVICE_GET_INFO",
        fields: [.flags(4).out, .number("num_regions", 8).out, .number("num_irqs", 12).out])
    case VFIO_REQUEST_DEVICE_RESET.rawValue: .init("VFIO_DEVICE_RESET", argument: .none)
    case VFIO_REQUEST_DEVICE_FEATURE.rawValue:
      // Fields of DMA_BUF: the library asks for no other feature.
      .init(
        "VFIO_DEVICE_FEATURE",
        fields: [
          .flags(4), .number("region_index", 8), .number("nr_ranges", 20), .long("offset", 24),
          .long("length", 32),
        ])
    case VFIO_REQUEST_BIND_IOMMUFD.rawValue:
      .init(
        "VFIO_DEVICE_BIND_IOMMUFD",
        fields: [.flags(4), .file("iommufd", 8), .number("out_devid", 12).out])
    case VFIO_REQUEST_ATTACH_PT.rawValue:
      .init(
        "VFIO_DEVICE_ATTACH_IOMMUFD_PT",
        fields: [.flags(4), .number("pt_id", 8), .number("pasid", 12), .number("pt_id", 8).out])
    case VFIO_REQUEST_DETACH_PT.rawValue:
      .init("VFIO_DEVICE_DETACH_IOMMUFD_PT", fields: [.flags(4), .number("pasid", 8)])
    default: nil
    }
  }

  @export(interface)
  private static func kvm(_ request: UInt32) -> ControlRequest? {
    switch Int32(bitPattern: request) {
    case KVM_REQUEST_GET_API_VERSION.rawValue: .init("KVM_GET_API_VERSION", argument: .number)
    case KVM_REQUEST_CREATE_VM.rawValue: .init("KVM_CREATE_VM", argument: .number)
    case KVM_REQUEST_CHECK_EXTENSION.rawValue: .init("KVM_CHECK_EXTENSION", argument: .number)
    case KVM_REQUEST_CREATE_VCPU.rawValue: .init("KVM_CREATE_VCPU", argument: .number)
    case KVM_REQUEST_RUN.rawValue: .init("KVM_RUN", argument: .number)
    case KVM_REQUEST_CREATE_DEVICE.rawValue:
      .init(
        "KVM_CREATE_DEVICE", argument: .fixed(12),
        fields: [.number("type", 0), .flags(8), .file("fd", 4).out])
    case KVM_REQUEST_SET_DEVICE_ATTR.rawValue:
      .init(
        "KVM_SET_DEVICE_ATTR", argument: .fixed(24),
        fields: [.flags(0), .number("group", 4), .long("attr", 8), .long("addr", 16)])
    default: nil
    }
  }
}
