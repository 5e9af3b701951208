// SPDX-License-Identifier: MIT
// A program with a Swift runtime of its own in which libvsmmuv3.a, which has an Embedded one, is
// linked: neither may take the other's functions. It uses what an Embedded runtime does otherwise
// or not at all (classes, weak references, casts, existentials, reflection) before, between and
// after calls of the library, on several threads.

import CVSMMU
import Dispatch
import Glibc

/// Wrong answers, told as they come.
func check(_ condition: Bool, _ what: String) {
  if condition { return }
  print("not so: \(what)")
  exit(1)
}

// MARK: - A guest and a DMA, as examples/hello.c has them

final class Guest {
  private static let base: UInt64 = 0x4000_0000
  private static let size = 4 << 20
  private let ram = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 4096)
  private var smmu: OpaquePointer?

  init() {
    ram.initializeMemory(as: UInt8.self, repeating: 0, count: Self.size)
    var config = vsmmu_config()
    config.size = UInt32(MemoryLayout<vsmmu_config>.size)
    var ops = vsmmu_ops()
    ops.size = UInt32(MemoryLayout<vsmmu_ops>.size)
    var message = [CChar](repeating: 0, count: 200)
    check(vsmmu_create(&config, &ops, nil, &smmu, &message, message.count) == 0, "create")
    check(vsmmu_ram_add(smmu, Self.base, UInt64(Self.size), ram) == 0, "ram_add")
    check(vsmmu_stream_add(smmu, 0) == 0, "stream_add")
    poke(0x0000, (Self.base + 0x1000) | 5 << 1 | 1)
    poke(0x1000, 34 | 3 << 30 | 0x6205 << 32)
    poke(0x1008, Self.base + 0x2000)
    poke(0x2018, (Self.base + 0x20_0000) | 1 << 10 | 1 << 6 | 1)
    check(vsmmu_mmio_write(smmu, 0x80, 8, Self.base) == 0, "STRTAB_BASE")
    check(vsmmu_mmio_write(smmu, 0x20, 4, 1) == 0, "CR0")
  }

  deinit {
    vsmmu_destroy(smmu)
    ram.deallocate()
  }

  private func poke(_ offset: Int, _ value: UInt64) {
    ram.storeBytes(of: value, toByteOffset: offset, as: UInt64.self)
  }

  /// Where a DMA goes; nil where it does not.
  func translate(_ address: UInt64) -> UInt64? {
    var access = vsmmu_access()
    access.size = UInt32(MemoryLayout<vsmmu_access>.size)
    access.address = address
    var result = vsmmu_result()
    result.size = UInt32(MemoryLayout<vsmmu_result>.size)
    check(vsmmu_translate(smmu, &access, &result) == 0, "translate")
    return result.kind == VSMMU_RESULT_OK ? result.address : nil
  }

  /// Refusals have sentences, which the library makes of its own strings.
  func refusal() -> String {
    check(vsmmu_ram_remove(smmu, 0x1234_5000) < 0, "ram_remove of no region")
    var text = [CChar](repeating: 0, count: 200)
    _ = vsmmu_error_message(smmu, &text, text.count)
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  func report() -> Int64 { vsmmu_negotiation_report(smmu, UInt32(VSMMU_REPORT_JSON), nil, 0) }
}

// MARK: - What a real runtime can

protocol Shape { var area: Int { get } }
struct Square: Shape {
  var side: Int
  var area: Int { side * side }
}
class Node: Shape, CustomStringConvertible {
  nonisolated(unsafe) static var alive = 0
  var children: [Node] = []
  weak var parent: Node?
  let name: String
  init(_ name: String) {
    self.name = name
    Self.alive += 1
  }
  deinit { Self.alive -= 1 }
  func add(_ child: Node) {
    child.parent = self
    children.append(child)
  }
  var area: Int { children.reduce(1) { $0 + $1.area } }
  var description: String { name + children.map(\.description).joined(separator: ",") }
}
final class Leaf: Node { override var area: Int { 7 } }
struct Mistake: Error { let text: String }

func throwing(_ fail: Bool) throws -> Int {
  if fail { throw Mistake(text: "as asked") }
  return 1
}

func objects() {
  var root: Node? = Node("root")
  for index in 0..<50 { root!.add(index % 2 == 0 ? Leaf("l\(index)") : Node("n\(index)")) }
  let last = root!.children.last!
  check(last.parent === root, "a weak reference holds")
  check(root!.area == 1 + 25 * 7 + 25, "dynamic dispatch")
  root = nil
  check(last.parent == nil, "a weak reference ends")
}

func existentials() {
  let things: [Any] = [1, "two", Square(side: 3), Leaf("four"), [5: "five"], 6.5]
  check(things.compactMap { $0 as? any Shape }.map(\.area) == [9, 7], "casts to a protocol")
  check(things.contains { $0 as? String == "two" }, "a cast to a struct")
  check((things[4] as? [Int: String])?[5] == "five", "a cast of a dictionary")
  check(Mirror(reflecting: Square(side: 8)).children.first?.value as? Int == 8, "reflection")
  check(String(describing: type(of: things[3])) == "Leaf", "a type's name")
  do { _ = try throwing(true) } catch let mistake as Mistake {
    check(mistake.text == "as asked", "an error")
  } catch { check(false, "an error of its type") }
}

func collections() {
  let words = (0..<2000).map { "wörd \($0 % 500)" }
  let counts = Dictionary(grouping: words, by: { $0 }).mapValues(\.count)
  check(counts.count == 500 && counts.values.allSatisfy { $0 == 4 }, "a dictionary of strings")
  check(Set(words).sorted().first == "wörd 0", "a set, sorted")
  check(words.joined().uppercased().hasSuffix("WÖRD 499"), "Unicode")
  var copy = words
  copy.withUnsafeMutableBufferPointer { $0.sort(by: >) }
  check(copy.first == "wörd 99" && words[99] == "wörd 99", "copy on write")
}

func both(_ guest: Guest, _ rounds: Int) {
  for _ in 0..<rounds {
    check(guest.translate(0x60_1234) == 0x4020_1234, "a mapped address")
    objects()
    check(guest.translate(0xa0_0000) == nil, "an unmapped address")
    existentials()
    check(guest.refusal().contains("address"), "a refusal names the argument")
    collections()
    check(guest.report() > 100, "a report")
  }
}

@main struct Runtimes {
  static func main() {
    let guest = Guest()
    both(guest, 3)
    check(Node.alive == 0, "every object was freed")
    DispatchQueue.concurrentPerform(iterations: 4) { _ in
      let other = Guest()
      for _ in 0..<5 {
        existentials()
        collections()
        check(other.translate(0x60_1234) == 0x4020_1234, "a mapped address, on a thread")
        check(other.refusal().contains("address"), "a refusal, on a thread")
      }
    }
    both(guest, 1)
    print("both runtimes work: \(String(cString: vsmmu_library_version()))")
  }
}
