// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// The open files of the emulated host by descriptor. Each descriptor is a duplicate of its file's
/// eventfd, so that poll(2) and epoll see what the file says of itself. With the host's lock held.
final class DescriptorTable: FileTable {
  private struct Descriptor {
    let number: Int32
    let file: File
  }
  /// Sorted by number.
  private var descriptors: [Descriptor] = []

  var count: Int { descriptors.count }

  private func place(of number: Int32) -> Int {
    var low = 0
    var high = descriptors.count
    while low < high {
      let middle = (low + high) / 2
      if descriptors[middle].number < number { low = middle + 1 } else { high = middle }
    }
    return low
  }

  func file(_ number: Int32) throws(Errno) -> File {
    let place = place(of: number)
    guard place < descriptors.count, descriptors[place].number == number else { throw .ebadf }
    return descriptors[place].file
  }

  /// Gives a new file its first descriptor.
  func install(_ file: File) throws(Errno) -> Int32 {
    let eventfd = vsmmu_system_eventfd()
    guard eventfd >= 0 else { throw Errno(code: -eventfd) }
    file.eventfd = eventfd
    do throws(Errno) {
      return try add(file)
    } catch {
      _ = vsmmu_system_close(eventfd)
      file.eventfd = -1
      throw error
    }
  }

  func isVFIODevice(_ file: File) -> Bool { file.isVFIODevice }

  func duplicate(_ number: Int32) throws(Errno) -> Int32 { try add(try file(number)) }

  private func add(_ file: File) throws(Errno) -> Int32 {
    let number = vsmmu_system_dup(file.eventfd)
    guard number >= 0 else { throw Errno(code: -number) }
    descriptors.insert(Descriptor(number: number, file: file), at: place(of: number))
    hold(file)
    return number
  }

  func close(_ number: Int32) throws(Errno) {
    let file = try file(number)
    descriptors.remove(at: place(of: number))
    _ = vsmmu_system_close(number)
    drop(file)
  }

  func closeAll() {
    while let last = descriptors.last {
      descriptors.removeLast()
      _ = vsmmu_system_close(last.number)
      drop(last.file)
    }
  }

  /// The kernel itself holds a file, as a bound device does its iommufd.
  func hold(_ file: File) { file.holders += 1 }

  func drop(_ file: File) {
    file.holders -= 1
    guard file.holders == 0 else { return }
    file.release()
    _ = vsmmu_system_close(file.eventfd)
    file.eventfd = -1
  }
}
