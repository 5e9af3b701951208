// SPDX-License-Identifier: MIT
import CSupport
import SMMUBase

/// A call that is refused: what the caller gets, and the sentence that explains it.
public struct Refusal: Error {
  public let code: Int32
  public let sentence: Sentence

  public init(_ code: Int32, _ sentence: Sentence) {
    self.code = code
    self.sentence = sentence
  }

  public static func invalid(_ text: StaticString) -> Refusal {
    Refusal(vsmmu_support_einval, Sentence(text))
  }

  public static var noMemory: Refusal {
    Refusal(vsmmu_support_enomem, Sentence("there is no memory for what this call needs"))
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

public func refusal(_ code: Int32, _ name: StaticString, _ text: StaticString) -> Refusal {
  Refusal.saying(code) { sentence in
    sentence.append(name)
    sentence.append(text)
  }
}
