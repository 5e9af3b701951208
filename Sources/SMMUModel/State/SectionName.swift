// SPDX-License-Identifier: MIT

/// What a section of a saved state is called: up to 8 ASCII characters, NULs behind them.
public struct SectionName: Equatable, Sendable {
  /// In the order of the bytes, the first one lowest.
  public let characters: UInt64

  init(characters: UInt64) { self.characters = characters }

  init(_ name: StaticString) {
    var characters: UInt64 = 0
    for i in 0..<min(name.utf8CodeUnitCount, 8) {
      characters |= UInt64(name.utf8Start[i]) << UInt64(8 * i)
    }
    self.characters = characters
  }

  /// Calls `body` with each character; what is none to be shown is a question mark.
  public func forEach(_ body: (UInt8) -> Void) {
    var rest = characters
    while rest != 0 {
      let character = UInt8(truncatingIfNeeded: rest)
      body(character > 0x20 && character < 0x7f ? character : 0x3f)
      rest >>= 8
    }
  }
}
