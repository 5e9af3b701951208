// SPDX-License-Identifier: MIT

/// A call that is refused: an error number for the caller, and the sentence that explains it.
public struct Refusal: Error {
  public let errno: Errno
  public let sentence: Sentence

  public init(_ errno: Errno, _ sentence: Sentence) {
    self.errno = errno
    self.sentence = sentence
  }

  public init(_ errno: Errno, _ text: StaticString) {
    self.init(errno, Sentence(text))
  }

  /// What the kernel, or who else was asked, answered to an attempt to do something.
  public init(
    _ errno: Errno, by who: StaticString = "the host kernel", trying text: StaticString
  ) {
    self.init(
      errno,
      Sentence(or: text) { sentence in
        sentence.append(who)
        sentence.append(" answered errno ")
        sentence.append(UInt64(errno.code))
        sentence.append(" to: ")
        sentence.append(text)
      })
  }
}
