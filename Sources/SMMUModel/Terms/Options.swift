// SPDX-License-Identifier: MIT
import SMMUSpec

/// How one SMMU differs from another beside its ID registers.
public struct Options: Sendable {
  /// What one call may cost, in commands. Not looked at where the machine does not listen.
  public var commandBudget = 4096
  public var tlbEntries = 4096
  public var configurationEntries = 256
  public var strictPages = false
  public var commandRules = CommandRules()
  /// GBPA.ABORT after reset.
  public var resetAborts = false
  public var hasWiredInterrupts = true
  /// Whether walks may begin at tables that earlier ones found.
  public var cachesTables = true
  /// Milliseconds after which an access that a wait is for is told of.
  public var accessPatience: UInt32 = 1000
  /// Whether tokens of accesses tell who began them.
  public var checksAccesses = false
  /// Whether C_BAD_STE is recorded when a command shows an illegal STE of an assigned device.
  public var recordsIllegalSTEs = false

  public init() {}
}
