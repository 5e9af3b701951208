// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// VFIO_DEVICE_FEATURE, of which there is DMA_BUF.
extension VFIODeviceFile {
  func feature(_ argument: UnsafeMutableRawPointer?) throws(Errno) -> Int64 {
    guard let argument else { throw .efault }
    let size = argument.loadUnaligned(as: UInt32.self)
    let flags = argument.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
    let known = VFIO_FEATURE_MASK | VFIO_FEATURE_GET | VFIO_FEATURE_SET | VFIO_FEATURE_PROBE
    guard size >= VFIO_FEATURE_LEAST, flags & ~known == 0 else { throw .einval }
    let isProbe = flags & VFIO_FEATURE_PROBE != 0
    let (gets, sets) = (flags & VFIO_FEATURE_GET != 0, flags & VFIO_FEATURE_SET != 0)
    guard isProbe || !(gets && sets) else { throw .einval }
    guard flags & VFIO_FEATURE_MASK == VFIO_FEATURE_DMA_BUF else { throw .enotty }
    guard !sets else { throw .einval }
    if isProbe { return 0 }
    guard gets, size >= VFIO_FEATURE_DMA_BUF_LEAST else { throw .einval }
    return Int64(try exportBAR(argument))
  }

  /// Linux allocates room for any number of ranges, or fails.
  private static var mostRanges: UInt32 { 256 }

  private func exportBAR(_ argument: UnsafeMutableRawPointer) throws(Errno) -> Int32 {
    var request = vfio_feature_dma_buf()
    try UserMemory.copyIn(argument, size: Int(VFIO_FEATURE_DMA_BUF_LEAST), to: &request)
    guard request.nr_ranges > 0, request.dma_buf_flags == 0 else { throw .einval }
    // The other regions have no memory.
    guard request.region_index == 0 else { throw .enodev }
    guard request.nr_ranges <= Self.mostRanges else { throw .enomem }
    var ranges: [DMABuf.Range] = []
    var length: UInt64 = 0
    for i in 0..<Int(request.nr_ranges) {
      let range = UserMemory.load(
        argument + Int(VFIO_FEATURE_DMA_BUF_LEAST), at: i, as: vfio_bar_range.self)
      guard range.length > 0, (range.offset | range.length) & 4095 == 0 else { throw .einval }
      let (sum, overflow) = length.addingReportingOverflow(range.length)
      guard !overflow else { throw .einval }
      length = sum
      ranges.append(DMABuf.Range(offset: range.offset, length: range.length))
    }
    // Linux keeps the highest bit of a length for itself.
    guard length >> 63 == 0 else { throw .einval }
    for range in ranges { try Self.check(range, in: device.bar) }
    return try kernel.descriptors.install(DMABuf(device.bar, ranges: ranges, length: length))
  }

  private static func check(_ range: DMABuf.Range, in bar: EmulatedBAR) throws(Errno) {
    let start = try bar.memory().address
    let (first, wraps) = start.addingReportingOverflow(range.offset)
    let (end, wrapsAfter) = first.addingReportingOverflow(range.length)
    guard !wraps, !wrapsAfter else { throw .eoverflow }
    guard end <= start + bar.bytes else { throw .einval }
  }
}
