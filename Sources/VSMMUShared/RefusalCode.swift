// SPDX-License-Identifier: MIT
import SMMUBase

/// What the C surfaces refuse. Codes are negative, as callers get them.
extension Refusal {
  /// What the caller gets.
  public var code: Int32 { -errno.code }

  public init(_ code: Int32, _ sentence: Sentence) {
    self.init(Errno(code: -code), sentence)
  }

  public static func invalid(_ text: StaticString) -> Refusal { Refusal(.einval, text) }

  public static var noMemory: Refusal {
    Refusal(.enomem, "there is no memory for what this call needs")
  }

  /// A refusal whose sentence is put together; without memory for that, a refusal for that.
  public static func saying(_ code: Int32, _ write: (inout Sentence) -> Void) -> Refusal {
    var isWritten = false
    let sentence = Sentence(or: "") {
      write(&$0)
      isWritten = true
    }
    return isWritten ? Refusal(code, sentence) : noMemory
  }
}

public func refusal(_ code: Int32, of name: StaticString, saying text: StaticString) -> Refusal {
  Refusal.saying(code) { sentence in
    sentence.append(name)
    sentence.append(text)
  }
}
