// SPDX-License-Identifier: MIT
import CVSMMU

extension vsmmu_result {
  fileprivate func isSame(as other: vsmmu_result) -> Bool {
    guard kind == other.kind && event == other.event else { return false }
    guard kind == VSMMU_RESULT_OK else { return true }
    return address == other.address && length == other.length && page_bits == other.page_bits
      && permissions == other.permissions && attributes == other.attributes
  }
}

extension FuzzedDevice {
  /// Asking again gives the same answer: what the caches say is what the walk said.
  func requireSame(_ first: vsmmu_result, _ access: vsmmu_access) {
    require(translate(access).isSame(as: first), "the same access got another answer")
  }

  /// After everything was invalidated, a device with cold caches and this one's saved state answers
  /// alike.
  mutating func compareWithCold(_ input: inout Input) {
    var access = access(&input)
    if input.byte() & 1 == 0 { access.flags = 0 }
    access.flags |= VSMMU_ACCESS_SPECULATIVE
    let streams = 0..<(isStreamGone ? 7 : 8) as Range<UInt32>
    for stream in streams {
      access.stream = stream
      _ = translate(access)
    }
    changePages()
    guard isCanary || invalidateEverything() else { return }
    guard let cold = FuzzedDevice(like: self, save()) else { return }
    defer { cold.destroy() }
    for stream in streams {
      access.stream = stream
      for page in 0..<16 as Range<UInt64> {
        let same = translate(access).isSame(as: cold.translate(access))
        require(same, "caches outlived an invalidation")
        access.address ^= (page ^ (page + 1) & 15) << 12
      }
    }
  }

  /// What stage 1 maps it does not map now, and the reverse.
  func changePages() {
    for page in 0..<16 as Range<UInt64> { World[Self.stage1 + 0x2000 + page * 8] ^= 1 }
  }

  /// False if the guest has a queue that does not work, or is not where we would put a command.
  mutating func invalidateEverything(of endpoints: [UInt64] = []) -> Bool {
    while vsmmu_run(device, 64) == 1 {}
    producer = read(0x98)
    guard read(0x9c) == producer, read(0x90, 8) == Self.commands | commandBits else { return false }
    issue(0x04, 31)
    issue(0x30, 0)
    issue(0x46, 0)
    for stream in endpoints { issue(0x40 | stream << 32, 52) }
    if !endpoints.isEmpty { issue(0x46, 0) }
    while vsmmu_run(device, 64) == 1 {}
    return read(0x20) & 8 != 0 && read(0x60) == read(0x64) && read(0x9c) == producer
  }

  func save() -> [UInt8] {
    var state = [UInt8](repeating: 0, count: 2048)
    let size = vsmmu_save(device, &state, UInt64(state.count))
    require(size > 0 && size <= 2048, "an implausible size")
    state.removeLast(state.count - Int(size))
    return state
  }

  /// A saved state, damaged in places, with or without a checksum that hides it.
  mutating func saveAndRestore(_ input: inout Input) {
    var state = save()
    let damages = input.below(4)
    for _ in 0..<damages {
      let place = Int(input.word(2)) % state.count
      state[place] ^= 1 << (input.byte() & 7)
    }
    if input.byte() & 1 != 0 { state.removeLast(input.below(state.count)) }
    let isMoved = input.byte() & 3 == 3 && Self.moveSections(&state, &input)
    if input.byte() & 3 != 0 && state.count >= 24 { Self.hideDamage(&state) }
    let before = save()
    let valid = vsmmu_validate(device, state, UInt64(state.count))
    require(save() == before, "validate changed something")
    let restored = vsmmu_restore(device, state, UInt64(state.count))
    require(valid == restored, "validate and restore disagree")
    require(restored == 0 || save() == before, "a refused state changed something")
    require(
      damages != 0 || isMoved || valid == 0 || state.count < before.count, "own state refused")
    producer = read(0x98)
  }

  /// Where the sections begin, by what their headers say, as far as they are whole.
  private static func sections(_ state: [UInt8]) -> [Range<Int>] {
    var found: [Range<Int>] = [], place = 24
    while state.count - place >= 16 {
      let length = (0..<4).reduce(0) { $0 | Int(state[place + 12 + $1]) << (8 * $1) }
      guard length <= state.count - place - 16 else { break }
      found.append(place..<place + 16 + length)
      place += 16 + length
    }
    return found
  }

  /// One section goes, comes twice, changes its place or becomes one of version 1's streams.
  private static func moveSections(_ state: inout [UInt8], _ input: inout Input) -> Bool {
    let all = sections(state)
    guard !all.isEmpty else { return false }
    let one = all[input.below(all.count)], other = all[input.below(all.count)]
    let bytes = Array(state[one])
    switch input.below(4) {
    case 0: state.removeSubrange(one)
    case 1: state.insert(contentsOf: bytes, at: other.lowerBound)
    case 2:
      state.removeSubrange(one)
      state.insert(contentsOf: bytes, at: min(other.lowerBound, state.count))
    default:
      for section in all.reversed() {
        state.removeSubrange(section.lowerBound..<section.lowerBound + 16)
      }
      (state[8], state[12]) = (1, 1)
    }
    return true
  }

  /// The count and CRC-32 of a saved state.
  private static func hideDamage(_ state: inout [UInt8]) {
    if state[12] < 2 {
      state.removeLast((state.count - 24) % 16)
      put(UInt32((state.count - 24) / 16), &state, at: 16)
    } else {
      let all = sections(state)
      state.removeLast(state.count - (all.last?.upperBound ?? 24))
      put(UInt32(all.count), &state, at: 16)
    }
    var crc: UInt32 = .max
    for byte in state[..<20] + state[24...] {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 != 0 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
    }
    put(~crc, &state, at: 20)
  }

  private static func put(_ value: UInt32, _ state: inout [UInt8], at place: Int) {
    for i in 0..<4 { state[place + i] = UInt8(truncatingIfNeeded: value >> UInt32(8 * i)) }
  }
}

extension FuzzedHost {
  /// After everything was invalidated, hardware answers as a look does that finds nothing in a
  /// cache.
  mutating func compareWithHardware(_ input: inout Input) {
    drain()
    let loud = names.indices.filter { $0 != Self.silent && stream(of: $0) != nil }
    let hasATS = guest.read(0) & 1 << 10 != 0
    let endpoints = hasATS ? loud.map { UInt64(stream(of: $0)!) } : []
    let offset = UInt64(input.byte() & 0x1f) << 3
    for device in loud { _ = read(device, 0x3000 | offset) }
    guest.changePages()
    guard isCanary || guest.invalidateEverything(of: endpoints) else { return }
    for device in loud {
      for page in 0..<16 as Range<UInt64> {
        guard let stream = stream(of: device) else { break }
        compare(device, stream, at: page << 12 | offset)
      }
    }
  }

  private func compare(_ device: Int, _ stream: UInt32, at address: UInt64) {
    var access = vsmmu_access()
    access.size = UInt32(MemoryLayout<vsmmu_access>.size)
    access.flags = UInt32(VSMMU_ACCESS_INSPECT)
    (access.stream, access.address) = (stream, address)
    // The runtime's own are made once.
    let looked = guest.translate(access), bytes = allocatedBytes()
    require(guest.translate(access).isSame(as: looked), "the same look sees something else")
    require(allocatedBytes() == bytes, "a look allocates")
    let (kind, value) = read(device, address)
    guard looked.kind == VSMMU_RESULT_OK else {
      return require(kind == looked.kind, "a device reads where there is nothing")
    }
    guard World.isRAM(looked.address) else { return }
    require(kind == VSMMU_RESULT_OK, "a device does not read what is mapped")
    require(value == World[looked.address], "a device reads something else")
  }
}
