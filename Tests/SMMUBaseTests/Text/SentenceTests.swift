// SPDX-License-Identifier: MIT
import SMMUBase
import Testing

@Suite("Sentences")
struct SentenceTests {
  private func text(_ sentence: Sentence) -> String {
    var result = ""
    sentence.withCString { result = String(cString: $0) }
    return result
  }

  @Test("numbers, decimal and hexadecimal")
  func numbers() {
    var sentence = Sentence("a ")
    sentence.append(0)
    sentence.append(" ")
    sentence.append(UInt64.max)
    sentence.append(" ")
    sentence.append(hex: 0x12_3abc)
    #expect(text(sentence) == "a 0 18446744073709551615 0x123abc")
    #expect(sentence.count == text(sentence).utf8.count)
  }

  @Test("one on the stack is as any other, and is cut where the others are")
  func onStack() {
    var told = 0
    Sentence.onStack { sentence in
      #expect(sentence.count == 0 && text(sentence) == "")
      sentence.append("slot ")
      sentence.append(hex: 0xff)
      #expect(text(sentence) == "slot 0xff")
      #expect(sentence.count == 9)
      for _ in 0..<300 { sentence.append(byte: 0x61) }
      #expect(sentence.count == 255)
      #expect(text(sentence).utf8.count == 255)
      told += 1
    }
    #expect(told == 1)
  }

  @Test("what does not fit is cut", arguments: [0, 1, 2, 254, 255, 256, 300])
  func cut(size: Int) {
    var sentence = Sentence()
    for _ in 0..<300 { sentence.append(byte: 0x61) }
    #expect(sentence.count == 255)
    var buffer = [CChar](repeating: 0x7a, count: 310)
    sentence.copy(to: &buffer, size)
    let length = min(size - 1, 255)
    if length >= 0 {
      #expect(buffer[0..<length].allSatisfy { $0 == 0x61 })
      #expect(buffer[length] == 0)
    }
    #expect(buffer[max(size, 0)] == 0x7a)
  }
}
