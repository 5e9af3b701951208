// SPDX-License-Identifier: MIT
import SMMUBase

/// Objects that the kernel would not destroy. That should not be: it happens where the kernel and
/// we disagree on who uses one. They are tried again, and they are few.
extension Nesting {
  /// Before more could be kept, the guest's STEs make no more: a stream whose STE asks for a new
  /// HWPT aborts, and the command that told of it is CERROR_ABT, until the kernel lets some go. Its
  /// old HWPT may then be kept too, one for each device.
  static var mostKept: Int { 64 }
  /// How many are tried again at a time.
  static var keptPerCall: Int { 4 }

  public var keptCount: Int { kept.count }

  /// Destroys an object, or keeps it in mind.
  func give(back id: UInt32, _ name: StaticString) {
    do throws(Errno) { try iommufd.destroy(id) } catch {
      counters.failures &+= 1
      say { sentence in
        sentence.append("the host kernel keeps a ")
        sentence.append(name)
        sentence.append(": errno ")
        sentence.append(UInt64(error.code))
      }
      // What is not there cannot be destroyed later either.
      if error != .enoent { kept.append(id) }
    }
  }

  /// Tries some of the kept again, in their order: what stands on others was given back first.
  func retryKept(_ most: Int = Nesting.keptPerCall) {
    guard !kept.isEmpty else { return }
    var tries = min(most, kept.count)
    var place = 0
    while tries > 0 {
      tries -= 1
      do throws(Errno) {
        try iommufd.destroy(kept[place])
        kept.remove(at: place)
      } catch {
        if error == .enoent { kept.remove(at: place) } else { place += 1 }
      }
    }
    // The others' turn is next.
    if place > 0 && place < kept.count {
      for _ in 0..<place { kept.append(kept.removeFirst()) }
    }
    unpinIfUnused()
  }

  /// For who would make more: an attachment may leave two, a new HWPT and the one that it would
  /// replace.
  func requireRoomToKeep() throws(Errno) {
    guard kept.count + 2 > Self.mostKept else { return }
    say { sentence in
      sentence.append("the host kernel keeps ")
      sentence.append(UInt64(kept.count))
      sentence.append(" objects that it would not destroy: none is made until it lets some go")
    }
    throw .ebusy
  }
}
