// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// IOMMU_IOAS_*.
extension IOMMUFDFile {
  func ioasAlloc(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    var request = try UserStruct(argument, zeros: iommufd_ioas_alloc())
    guard request.value.flags == 0 else { throw .eopnotsupp }
    let ioas = KernelIOAS()
    objects.insert(.ioas(ioas))
    request.value.out_ioas_id = ioas.id
    request.copyOut()
  }

  func ioasIOVARanges(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    var request = try UserStruct(argument, zeros: iommufd_ioas_iova_ranges())
    guard request.value.reserved == 0 else { throw .eopnotsupp }
    let ioas = try objects.ioas(request.value.ioas_id)
    let capacity = Int(request.value.num_iovas)
    let target = UnsafeMutableRawPointer(bitPattern: UInt(request.value.allowed_iovas))
    var count = 0
    ioas.forEachUsableRange { range in
      if let target, count < capacity {
        let pair = iommufd_iova_range(start: range.first, last: range.last)
        UserMemory.store(pair, to: target, at: count)
      }
      count += 1
    }
    guard target != nil || capacity == 0 else { throw .efault }
    request.value.num_iovas = UInt32(clamping: count)
    request.value.out_iova_alignment = ioas.alignment
    request.copyOut()
    guard count <= capacity else { throw .emsgsize }
  }

  func ioasAllowIOVAs(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    let request = try UserStruct(argument, zeros: iommufd_ioas_allow_iovas()).value
    guard request.reserved == 0 else { throw .eopnotsupp }
    let ioas = try objects.ioas(request.ioas_id)
    let bytes = EmulatedNeed.growth(to: Int(request.num_iovas), IOVARange.self)
    let ranges = try reserving(bytes, orThrow: Errno.enomem) { () throws(Errno) in
      try allowed(by: request)
    }
    try ioas.allow(ranges)
  }

  private func allowed(by request: iommufd_ioas_allow_iovas) throws(Errno) -> [IOVARange] {
    var ranges: [IOVARange] = []
    guard request.num_iovas > 0 else { return ranges }
    let source = try UserMemory.pointer(request.allowed_iovas)
    for i in 0..<Int(request.num_iovas) {
      let pair = UserMemory.load(source, at: i, as: iommufd_iova_range.self)
      guard pair.start < pair.last,
        !ranges.contains(where: { $0.meets(pair.start, pair.last) })
      else { throw .einval }
      ranges.add(inOrder: IOVARange(first: pair.start, last: pair.last))
    }
    return ranges
  }

  func ioasMap(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    var request = try UserStruct(argument, zeros: iommufd_ioas_map())
    let map = request.value
    let flags = try MapFlags(map.flags, reserved: map.reserved)
    guard map.iova != .max, map.length != .max else { throw .eoverflow }
    guard flags.isReadable || flags.isWritable else { throw .einval }
    let ioas = try objects.ioas(map.ioas_id)
    request.value.iova = try ioas.map(
      at: flags.isFixed ? map.iova : nil, address: map.user_va, length: map.length,
      readable: flags.isReadable, writable: flags.isWritable, memory: .process)
    request.copyOut()
  }

  func ioasMapFile(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    var request = try UserStruct(argument, zeros: iommufd_ioas_map_file())
    let map = request.value
    let flags = try MapFlags(map.flags, reserved: 0)
    guard map.iova != .max, map.length != .max else { throw .eoverflow }
    guard flags.isReadable || flags.isWritable else { throw .einval }
    let ioas = try objects.ioas(map.ioas_id)
    guard map.length != 0 else { throw .einval }
    guard !map.start.addingReportingOverflow(map.length - 1).overflow else { throw .eoverflow }
    let (memory, address) = try mapped(map)
    request.value.iova = try ioas.map(
      at: flags.isFixed ? map.iova : nil, address: address, length: map.length,
      readable: flags.isReadable, writable: flags.isWritable, memory: memory)
    request.copyOut()
  }

  /// A dma-buf is one before it is any other file.
  private func mapped(
    _ map: iommufd_ioas_map_file
  ) throws(Errno) -> (memory: MappedMemory, address: UInt64) {
    guard let buffer = try? kernel.descriptors.file(map.fd).dmaBuf else {
      let file = try MappedFile.map(map.fd, offset: map.start, length: map.length)
      return (.file(file), file.address)
    }
    let bar = try MappedBAR.map(
      buffer, offset: map.start, length: map.length, among: kernel.descriptors)
    return (.bar(bar), bar.address)
  }

  func ioasCopy(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    var request = try UserStruct(argument, zeros: iommufd_ioas_copy())
    let copy = request.value
    let flags = try MapFlags(copy.flags, reserved: 0)
    guard copy.length != .max, copy.dst_iova != .max, copy.src_iova != .max else {
      throw .eoverflow
    }
    guard flags.isReadable || flags.isWritable else { throw .einval }
    let source = try objects.ioas(copy.src_ioas_id)
    let pieces = try reserving(
      EmulatedNeed.growth(of: source.areas), orThrow: Errno.enomem
    ) { () throws(Errno) in
      var pieces: [IOVAArea] = []
      try source.forEachPiece(copy.src_iova, length: copy.length) { pieces.append($0) }
      return pieces
    }
    let target = try objects.ioas(copy.dst_ioas_id)
    if flags.isWritable && pieces.contains(where: { !$0.isWritable }) { throw .eperm }
    request.value.dst_iova = try target.map(
      pieces, at: flags.isFixed ? copy.dst_iova : nil, length: copy.length, flags: flags)
    request.copyOut()
  }

  func ioasUnmap(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    var request = try UserStruct(argument, zeros: iommufd_ioas_unmap())
    let unmap = request.value
    let ioas = try objects.ioas(unmap.ioas_id)
    if unmap.iova == 0 && unmap.length == .max {
      request.value.length = try ioas.unmap(0, .max)
    } else {
      guard unmap.iova != .max, unmap.length != .max else { throw .eoverflow }
      guard unmap.length != 0 else { throw .einval }
      let (last, overflow) = unmap.iova.addingReportingOverflow(unmap.length - 1)
      guard !overflow else { throw .eoverflow }
      request.value.length = try ioas.unmap(unmap.iova, last)
    }
    request.copyOut()
  }

  /// Another process takes over what this one pinned: possible where all of it is in files.
  func ioasChangeProcess(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    let request = try UserStruct(argument, zeros: iommufd_ioas_change_process()).value
    guard request.reserved == 0 else { throw .eopnotsupp }
    var hasOthers = false
    objects.each { entry in
      guard case .ioas(let ioas) = entry else { return }
      if ioas.areas.contains(where: { !$0.memory.isFile }) { hasOthers = true }
    }
    guard !hasOthers else { throw .einval }
  }
}

/// IOMMU_IOAS_MAP_*.
struct MapFlags {
  let isFixed: Bool
  let isWritable: Bool
  let isReadable: Bool

  init(_ bits: UInt32, reserved: UInt32) throws(Errno) {
    guard bits & ~7 == 0, reserved == 0 else { throw .eopnotsupp }
    isFixed = bits & UInt32(IOMMUFD_MAP_FIXED_IOVA) != 0
    isWritable = bits & UInt32(IOMMUFD_MAP_WRITEABLE) != 0
    isReadable = bits & UInt32(IOMMUFD_MAP_READABLE) != 0
  }
}

extension KernelIOAS {
  /// Maps pieces of memory one behind the other, all or none.
  func map(
    _ pieces: [IOVAArea], at fixed: UInt64?, length: UInt64, flags: MapFlags
  ) throws(Errno) -> UInt64 {
    let start: UInt64
    if let fixed {
      start = fixed
    } else {
      // The first one finds room for all of them.
      start = try choose(pieces.first?.address ?? 0, length)
    }
    var next = start
    do throws(Errno) {
      for piece in pieces {
        _ = try map(
          at: next, address: piece.address, length: piece.length, readable: flags.isReadable,
          writable: flags.isWritable, memory: piece.memory)
        next = next &+ piece.length
      }
    } catch {
      if next != start {
        do throws(Errno) { _ = try unmap(start, next &- 1) } catch {}
      }
      throw error
    }
    return start
  }
}
