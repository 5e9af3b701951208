// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUEmulated
import TestSupport
import Testing

@Suite struct FailureInjectorTests {
  let kernel = ScriptedKernel()
  let injector: FailureInjector

  init() { injector = FailureInjector.make(before: kernel)! }

  /// What an ioctl comes to: nil, or its error.
  func control(_ request: UInt32, _ argument: UnsafeMutableRawPointer? = nil) -> Errno? {
    do {
      _ = try injector.control(5, request: request, argument: argument)
      return nil
    } catch {
      return error
    }
  }

  @Test("The nth call with a request fails once, and others do not count")
  func nth() {
    #expect(injector.add(FailureRule(.control, request: 0x3b81, nth: 3, effect: .error(.enospc))))
    let results = [0x3b81, 0x3b80, 0x3b81, 0x3b81, 0x3b81].map { control($0) }
    #expect(results == [nil, nil, nil, .enospc, nil])
    #expect(injector.pending == 0)
  }

  @Test("Request 0 is any ioctl; a rule may last")
  func lasting() {
    #expect(injector.add(FailureRule(.control, nth: 2, times: 2, effect: .error(.ebusy))))
    #expect([1, 2, 3, 4].map { control($0) } == [nil, .ebusy, .ebusy, nil])
  }

  @Test("A call that fails is not made")
  func notMade() {
    var made = 0
    kernel.onControl = { _, _ in
      made += 1
      return .success(7)
    }
    #expect(injector.add(FailureRule(.control, effect: .error(.eio))))
    #expect(control(1) == .eio)
    #expect(made == 0)
    #expect(control(1) == nil)
    #expect(made == 1)
  }

  @Test("Every call can fail")
  func everyCall() {
    var word: UInt64 = 0
    let injector = injector
    let calls: [(SystemCall, () throws -> Void)] = [
      (.open, { _ = try injector.open("/dev/iommu") }), (.close, { try injector.close(3) }),
      (.control, { _ = try injector.control(3, request: 1, argument: nil) }),
      (.read, { _ = try injector.read(3, into: &word, count: 8) }),
      (.write, { _ = try injector.write(3, from: &word, count: 8) }),
      (.poll, { _ = try injector.poll(3) }), (.duplicate, { _ = try injector.duplicate(3) }),
      (.same, { _ = try injector.same(3, 3) }),
      (.map, { _ = try injector.map(3, offset: 0, length: 8) }),
    ]
    for (call, make) in calls {
      #expect(injector.add(FailureRule(call, effect: .error(.enomem))))
      for (other, makeOther) in calls where other != call {
        #expect((try? makeOther()) != nil, "\(other)")
      }
      var error: Errno?
      do { try make() } catch let thrown as Errno { error = thrown } catch {}
      #expect(error == .enomem, "\(call)")
    }
    #expect(injector.pending == 0)
  }

  @Test("Rules are bounded; one that never acts is none")
  func bounded() {
    for _ in 0..<FailureInjector.capacity {
      #expect(injector.add(FailureRule(.open, nth: 9, effect: .error(.eio))))
    }
    #expect(!injector.add(FailureRule(.open, effect: .error(.eio))))
    injector.removeAll()
    #expect(injector.add(FailureRule(.open, times: 0, effect: .error(.eio))))
    #expect(injector.pending == 0)
  }

  @Test("Invalidations: done, reported, what the kernel got, what the caller sees")
  func partial() {
    let cases: [(UInt32, UInt32, [UInt32], UInt32)] = [
      (2, 2, [2], 2), (0, 0, [], 0), (0, 3, [], 3), (9, 9, [5], 5), (1, .max, [1], 5),
    ]
    for (done, reported, got, seen) in cases {
      var entries: [UInt32] = []
      kernel.onControl = { _, argument in
        let invalidate = argument!.assumingMemoryBound(to: iommufd_hwpt_invalidate.self)
        entries.append(invalidate.pointee.entry_num)
        return .success(0)
      }
      var argument = iommufd_hwpt_invalidate()
      argument.size = 32
      argument.entry_num = 5
      #expect(
        injector.add(
          FailureRule(
            .control, request: IOMMUFD_HWPT_INVALIDATE.rawValue,
            effect: .partial(done: done, reported: reported, error: .etimedout))))
      let error = control(IOMMUFD_HWPT_INVALIDATE.rawValue, &argument)
      #expect(error == .etimedout)
      #expect(entries == got && argument.entry_num == seen)
    }
  }

  @Test("Another request fails without being made, and so does a struct that is too short")
  func partialElsewhere() {
    kernel.onControl = { _, _ in
      Issue.record("made")
      return .success(0)
    }
    for request in [0x3b80, IOMMUFD_HWPT_INVALIDATE.rawValue] {
      #expect(
        injector.add(FailureRule(.control, effect: .partial(done: 1, reported: 1, error: .eio))))
      var argument = iommufd_hwpt_invalidate()
      argument.size = 8
      argument.entry_num = 5
      #expect(control(request, &argument) == .eio)
      #expect(argument.entry_num == 5)
    }
  }

  @Test("A short read asks the kernel for less")
  func shortRead() throws {
    kernel.onRead = { _, count in .success(count) }
    #expect(injector.add(FailureRule(.read, nth: 2, effect: .shortRead(40))))
    var block = [UInt64](repeating: 0, count: 64)
    #expect(try injector.read(3, into: &block, count: 512) == 512)
    #expect(try injector.read(3, into: &block, count: 512) == 40)
    #expect(try injector.read(3, into: &block, count: 512) == 512)
  }
}

@Suite struct LostEventTests {
  let kernel = ScriptedKernel()
  let injector: FailureInjector

  init() { injector = FailureInjector.make(before: kernel)! }

  /// A read of a queue that holds events with these sequence numbers; negative: a LOST header.
  func read(_ sequences: [Int]) throws -> [Int] {
    var bytes: [UInt32] = []
    for sequence in sequences {
      bytes += [sequence < 0 ? 1 : 0, UInt32(sequence.magnitude)]
      if sequence >= 0 { bytes += [UInt32](repeating: UInt32(sequence) &* 3, count: 8) }
    }
    kernel.onRead = { data, _ in
      bytes.withUnsafeBytes { data.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
      return .success(bytes.count * 4)
    }
    if bytes.isEmpty { kernel.onRead = { _, _ in .success(0) } }
    var words = [UInt32](repeating: 0, count: 1024)
    let length = try injector.read(7, into: &words, count: 4096) / 4
    var result: [Int] = []
    var place = 0
    while place < length {
      let isLost = words[place] == 1
      result.append(Int(words[place + 1]) * (isLost ? -1 : 1))
      if !isLost { #expect(words[place + 2] == words[place + 1] &* 3) }
      place += isLost ? 2 : 10
    }
    return result
  }

  @Test("Events after the lost ones leave a gap, none leaves a LOST header")
  func gapOrHeader() throws {
    #expect(injector.add(FailureRule(.read, effect: .loseEvents(2))))
    #expect(try read([]) == [])
    #expect(try read([1, 2, 3, 4]) == [3, 4])
    #expect(try read([5]) == [5])
    #expect(injector.add(FailureRule(.read, nth: 2, effect: .loseEvents(1))))
    #expect(try read([6]) == [6])
    #expect(try read([7]) == [-7])
    #expect(injector.pending == 0)
  }

  @Test("A loss lasts over reads until it is complete")
  func overReads() throws {
    #expect(injector.add(FailureRule(.read, effect: .loseEvents(3))))
    #expect(try read([1, 2]) == [-2])
    #expect(injector.pending == 1)
    #expect(try read([3, 4]) == [4])
    #expect(try read([5]) == [5])
  }

  @Test("The kernel's own LOST header stays")
  func ownHeader() throws {
    #expect(injector.add(FailureRule(.read, effect: .loseEvents(1))))
    #expect(try read([1, -4]) == [-4])
  }
}
