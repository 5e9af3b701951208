// SPDX-License-Identifier: MIT
import SMMUModel
import Testing

@testable import SMMUHost

@Suite struct DeviceStateTests {
  static let stage1 = AssignedStream.stage1(11, 22)
  static let all: [DeviceState] = [
    .absent, .abort, .bypass, .stage1(hwpt: 5, made: stage1), .failed(has: .nothing),
    .failed(has: .abort), .failed(has: .bypass),
    .failed(has: .stage1(hwpt: 5, made: stage1, stays: false)),
    .failed(has: .stage1(hwpt: 6, made: stage1, stays: true)),
  ]

  @Test("A state gives what was asked for and nothing else; a failed one gives nothing")
  func gives() {
    let asked: [AssignedStream] = [.abort, .bypass, Self.stage1, .stage1(11, 23)]
    let given = Self.all.map { state in asked.map { state.gives($0) } }
    let none = [false, false, false, false]
    #expect(
      given == [
        none, [true, false, false, false], [false, true, false, false],
        [false, false, true, false], none, none, none, none, none,
      ])
  }

  @Test("What a device had is what it has after a failure")
  func failures() {
    for stays in [false, true] {
      #expect(
        Self.all.map { $0.failed(stays: stays) } == [
          .failed(has: .nothing), .failed(has: .abort), .failed(has: .bypass),
          .failed(has: .stage1(hwpt: 5, made: Self.stage1, stays: stays)),
          .failed(has: .nothing), .failed(has: .abort), .failed(has: .bypass),
          .failed(has: .stage1(hwpt: 5, made: Self.stage1, stays: stays)),
          .failed(has: .stage1(hwpt: 6, made: Self.stage1, stays: stays)),
        ])
    }
    #expect(Self.all.map(\.hwpt) == [nil, nil, nil, 5, nil, nil, nil, 5, 6])
    #expect(Self.all.map(\.isFailed) == [false, false, false, false, true, true, true, true, true])
    let open = DeviceState.failed(has: .stage1(hwpt: 5, made: Self.stage1, stays: false))
    #expect(Self.all.filter(\.isOpen) == [open])
  }

  @Test("What a device's DMA goes through is what it is attached to, asked for or not")
  func attached() {
    #expect(
      Self.all.map(\.attached) == [
        .abort, .abort, .bypass, Self.stage1, .abort, .abort, .bypass, Self.stage1, Self.stage1,
      ])
  }

  @Test("A device that was let to keep translations may have some, also after a failure")
  func ats() {
    let ats = AssignedStream.stage1(11, 1 << 28)
    let state = DeviceState.stage1(hwpt: 5, made: ats)
    #expect(state.enablesATS && state.failed().enablesATS)
    #expect(Self.all.allSatisfy { !$0.enablesATS })
  }
}
