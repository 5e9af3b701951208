// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// Steps 5 and 6 of most accesses that miss the TLB: the stream and its configuration are known,
/// the access is plain, and tables are usual. The same steps as in `Tables.swift`, of the same
/// parts; what they go by stays in registers.
extension Translator {
  @inline(__always)
  func walkKnown(_ access: Access, _ row: ConfigurationRow) -> Translation {
    switch row.plan.policy {
    case .stage1: walkStage1(access, row)
    case .nested: walkNested(access, row)
    default: runKnown(access, row)
    }
  }

  @inline(never)
  private func walkStage1(_ access: Access, _ row: ConfigurationRow) -> Translation {
    walk(access, row: row, isNested: false)
  }

  @inline(never)
  private func walkNested(_ access: Access, _ row: ConfigurationRow) -> Translation {
    walk(access, row: row, isNested: true)
  }

  @inline(__always)
  private func walk(
    _ access: Access, row: ConfigurationRow, isNested: Bool
  ) -> Translation {
    let (plan, owner) = (row.plan, row.owner)
    let half = row.stage1(upper: InputAddress(access.address).isUpper)
    let stage2 = isNested ? row.stage2 : .none
    guard half.table.geometry.isUsual, !isNested || stage2.table.geometry.isUsual,
      let key = plan.key(access.address)
    else { return runKnown(access, row) }
    // An invalidation that follows is complete only when this has ended.
    let token = accesses.begin()
    let start = TranslationStart(self)
    let (era, epoch) = (start.era, start.walkEpoch)
    var answer = Translation.unknown
    if era.isEnabled && configurations.isAlive(row) {
      counters.add(.tlbMisses)
      do throws(Fault) {
        guard key.isWithin(half.table) else { throw WalkPurpose.stage1.fault(.translation) }
        var region = bus.memory.firstRegion
        let leaf =
          isNested
          ? try walker.usualNestedStage1(
            half.table, stage2: stage2, input: key, epoch: epoch, near: &region)
          : try walker.usualStage1(
            half.table, input: key, vmid: owner.tag.vmid, epoch: epoch, near: &region)
        var found = try judge(leaf, half: half, key: key, access: access, plan: plan, isPlain: true)
        if isNested {
          let ipa = found.intermediate(access)
          let below = try walker.usualOutput(ipa, stage2: stage2, epoch: epoch, near: &region)
          found = found.joined(
            try judge(below, stage2: stage2, ipa: ipa, access: access, plan: plan, isPlain: true),
            at: ipa)
        }
        if _fastPath(control.era == era) {
          keep(
            found, key: key, owner: owner, isGlobal: !leaf.descriptor.notGlobal, time: start.time)
          answer = found.answer(access, found.permissions)
          answer.generation = start.generation
          if isNested && found.isPiece { forbidCopies(&answer) }
        }
      } catch {
        if control.era == era { answer = conclude(error, of: access, plan: plan, era: era) }
      }
    }
    accesses.end(token)
    return answer
  }
}
