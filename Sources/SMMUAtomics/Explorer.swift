// SPDX-License-Identifier: MIT
#if EXPLORE
  /// Who is asked before each step that other threads can see. Values are bit patterns.
  public protocol Explorer: AnyObject {
    /// What a load returns: some value that the memory model allows.
    func load(_ place: Place) -> UInt64
    func store(_ place: Place, _ value: UInt64)
    /// A read-modify-write; nil stores nothing. Returns what was there.
    func modify(_ place: Place, _ change: (UInt64) -> UInt64?) -> UInt64
    func fence(_ site: Site)
    func lock(_ lock: UnsafeMutableRawPointer)
    func unlock(_ lock: UnsafeMutableRawPointer)
    func relax()
    /// Returns when it is woken, or at once if the word has another value.
    func sleep(_ word: UnsafeMutableRawPointer, while value: UInt64)
    func wake(_ word: UnsafeMutableRawPointer)
    /// The number of the thread that runs.
    var threadNumber: UInt32 { get }
  }

  /// nil while one thread alone runs, as before and after an exploration.
  nonisolated(unsafe) public var explorer: (any Explorer)?

  /// Where in the sources a step is, and how it is ordered.
  public struct Site {
    public let file: StaticString
    public let line: UInt
    public let ordering: Ordering

    public init(file: StaticString, line: UInt, ordering: Ordering) {
      (self.file, self.line, self.ordering) = (file, line, ordering)
    }
  }

  /// An atomic word that a step is about.
  public struct Place {
    public let address: UnsafeMutableRawPointer
    /// 1, 4 or 8.
    public let bytes: Int
    public let site: Site

    public init(address: UnsafeMutableRawPointer, bytes: Int, site: Site) {
      (self.address, self.bytes, self.site) = (address, bytes, site)
    }
  }

  public enum Ordering {
    case relaxed, acquiring, releasing, acquiringAndReleasing, sequentiallyConsistent

    public var acquires: Bool { self != .relaxed && self != .releasing }
    public var releases: Bool { self != .relaxed && self != .acquiring }
  }
#endif
