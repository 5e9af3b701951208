// SPDX-License-Identifier: MIT
import CExploration

/// The atomic words and locks of a scene, by names that hold from run to run, and who uses them:
/// only where two threads meet, and one of them writes, a decision can make a difference.
final class Places {
  private struct Use {
    var readers: UInt8 = 0
    var writers: UInt8 = 0

    var isShared: Bool {
      let all = readers | writers
      return writers != 0 && all & (all - 1) != 0
    }
  }

  private var names: [UInt64: Int] = [:]
  private var uses: [Use] = []
  /// By address, for one run.
  private var places: [UInt: Int] = [:]
  /// A place became shared in this run: decisions were missing before.
  private(set) var hasGrown = false
  /// In a replay each place counts, so that nothing must be found first.
  private let all: Bool

  init(all: Bool = false) { self.all = all }

  func beginRun() {
    places.removeAll(keepingCapacity: true)
    hasGrown = false
  }

  /// Notes an access. nil where no other thread can tell when it happens.
  func shared(_ address: UnsafeMutableRawPointer, thread: Int, writes: Bool) -> Int? {
    let key = UInt(bitPattern: address)
    let place: Int
    if let known = places[key] {
      place = known
    } else {
      place = name(address)
      places[key] = place
    }
    let before = uses[place].isShared
    if writes {
      uses[place].writers |= 1 << UInt8(thread)
    } else {
      uses[place].readers |= 1 << UInt8(thread)
    }
    if uses[place].isShared && !before { hasGrown = true }
    return before || all ? place : nil
  }

  private func name(_ address: UnsafeMutableRawPointer) -> Int {
    var offset: UInt64 = 0
    let allocation = allocation_of(address, &offset)
    // What is allocated in the run itself has no name that lasts.
    let name = UInt64(bitPattern: allocation) << 40 | offset
    if let known = names[name] { return known }
    uses.append(Use())
    names[name] = uses.count - 1
    return uses.count - 1
  }
}
