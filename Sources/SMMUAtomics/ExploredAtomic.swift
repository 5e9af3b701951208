// SPDX-License-Identifier: MIT
#if EXPLORE
  import Synchronization

  /// A value that an explored atomic can hold.
  public protocol Explorable: Synchronization.AtomicRepresentable {
    var bits: UInt64 { get }
    init(bits: UInt64)
    static func load(_ atomic: borrowing Synchronization.Atomic<Self>) -> Self
    static func store(_ atomic: borrowing Synchronization.Atomic<Self>, _ value: Self)
  }

  /// `Synchronization.Atomic` with the same layout, each of whose accesses is a step of the
  /// explorer's.
  @frozen public struct Atomic<Value: Explorable>: ~Copyable {
    @usableFromInline let word: Synchronization.Atomic<Value>

    @inlinable public init(_ value: consuming Value) { word = Synchronization.Atomic(value) }

    @inlinable borrowing func place(
      _ ordering: Ordering, file: StaticString, line: UInt, _ body: (Place) -> UInt64
    ) -> UInt64 {
      withUnsafePointer(to: word) { pointer in
        body(
          Place(
            address: UnsafeMutableRawPointer(mutating: pointer), bytes: MemoryLayout<Value>.size,
            site: Site(file: file, line: line, ordering: ordering)))
      }
    }

    @inlinable public borrowing func load(
      ordering: Ordering, file: StaticString = #fileID, line: UInt = #line
    ) -> Value {
      guard let explorer else { return Value.load(word) }
      return Value(bits: place(ordering, file: file, line: line) { explorer.load($0) })
    }

    @inlinable public borrowing func store(
      _ value: Value, ordering: Ordering, file: StaticString = #fileID, line: UInt = #line
    ) {
      guard let explorer else { return Value.store(word, value) }
      _ = place(ordering, file: file, line: line) {
        explorer.store($0, value.bits)
        return 0
      }
    }

    @inlinable borrowing func modify(
      _ ordering: Ordering, file: StaticString, line: UInt, _ change: (UInt64) -> UInt64?
    ) -> UInt64 {
      if let explorer {
        return place(ordering, file: file, line: line) { explorer.modify($0, change) }
      }
      let old = Value.load(word).bits
      if let new = change(old) { Value.store(word, Value(bits: new)) }
      return old
    }

    @inlinable @discardableResult
    public borrowing func exchange(
      _ value: Value, ordering: Ordering, file: StaticString = #fileID, line: UInt = #line
    ) -> Value {
      Value(bits: modify(ordering, file: file, line: line) { _ in value.bits })
    }

    @inlinable public borrowing func compareExchange(
      expected: Value, desired: Value, ordering: Ordering, file: StaticString = #fileID,
      line: UInt = #line
    ) -> (exchanged: Bool, original: Value) {
      let old = modify(ordering, file: file, line: line) {
        $0 == expected.bits ? desired.bits : nil
      }
      return (old == expected.bits, Value(bits: old))
    }
  }

  extension Atomic where Value: FixedWidthInteger {
    @inlinable @discardableResult
    public borrowing func wrappingAdd(
      _ value: Value, ordering: Ordering, file: StaticString = #fileID, line: UInt = #line
    ) -> (oldValue: Value, newValue: Value) {
      let old = Value(
        bits: modify(ordering, file: file, line: line) { (Value(bits: $0) &+ value).bits })
      return (old, old &+ value)
    }

    @inlinable @discardableResult
    public borrowing func wrappingSubtract(
      _ value: Value, ordering: Ordering, file: StaticString = #fileID, line: UInt = #line
    ) -> (oldValue: Value, newValue: Value) {
      let old = Value(
        bits: modify(ordering, file: file, line: line) { (Value(bits: $0) &- value).bits })
      return (old, old &- value)
    }

    @inlinable @discardableResult
    public borrowing func bitwiseOr(
      _ value: Value, ordering: Ordering, file: StaticString = #fileID, line: UInt = #line
    ) -> (oldValue: Value, newValue: Value) {
      let old = Value(
        bits: modify(ordering, file: file, line: line) { (Value(bits: $0) | value).bits })
      return (old, old | value)
    }
  }

  @inlinable public func atomicMemoryFence(
    ordering: Ordering, file: StaticString = #fileID, line: UInt = #line
  ) {
    explorer?.fence(Site(file: file, line: line, ordering: ordering))
  }

  extension UInt64: Explorable {
    @inlinable public var bits: UInt64 { self }
    @inlinable public init(bits: UInt64) { self = bits }
    @inlinable public static func load(
      _ atomic: borrowing Synchronization.Atomic<UInt64>
    ) -> UInt64 {
      atomic.load(ordering: .relaxed)
    }
    @inlinable public static func store(
      _ atomic: borrowing Synchronization.Atomic<UInt64>, _ value: UInt64
    ) {
      atomic.store(value, ordering: .relaxed)
    }
  }

  extension UInt32: Explorable {
    @inlinable public var bits: UInt64 { UInt64(self) }
    @inlinable public init(bits: UInt64) { self = UInt32(truncatingIfNeeded: bits) }
    @inlinable public static func load(
      _ atomic: borrowing Synchronization.Atomic<UInt32>
    ) -> UInt32 {
      atomic.load(ordering: .relaxed)
    }
    @inlinable public static func store(
      _ atomic: borrowing Synchronization.Atomic<UInt32>, _ value: UInt32
    ) {
      atomic.store(value, ordering: .relaxed)
    }
  }

  extension Bool: Explorable {
    @inlinable public var bits: UInt64 { self ? 1 : 0 }
    @inlinable public init(bits: UInt64) { self = bits != 0 }
    @inlinable public static func load(
      _ atomic: borrowing Synchronization.Atomic<Bool>
    ) -> Bool {
      atomic.load(ordering: .relaxed)
    }
    @inlinable public static func store(
      _ atomic: borrowing Synchronization.Atomic<Bool>, _ value: Bool
    ) {
      atomic.store(value, ordering: .relaxed)
    }
  }

  extension UnsafeMutablePointer: Explorable {
    @inlinable public var bits: UInt64 { UInt64(UInt(bitPattern: self)) }
    // An atomic of a pointer that is not nil never holds 0.
    @inlinable public init(bits: UInt64) { self = UnsafeMutablePointer(bitPattern: UInt(bits))! }
    @inlinable public static func load(
      _ atomic: borrowing Synchronization.Atomic<Self>
    ) -> Self {
      atomic.load(ordering: .relaxed)
    }
    @inlinable public static func store(
      _ atomic: borrowing Synchronization.Atomic<Self>, _ value: Self
    ) {
      atomic.store(value, ordering: .relaxed)
    }
  }
#endif
