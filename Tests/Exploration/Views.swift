// SPDX-License-Identifier: MIT

/// What a thread has seen: by place, the youngest store that it knows of (a time in that place's
/// own order).
struct View {
  private(set) var times: [Int32] = []

  subscript(_ place: Int) -> Int32 { place < times.count ? times[place] : 0 }

  mutating func raise(_ place: Int, _ time: Int32) {
    while times.count <= place { times.append(0) }
    if times[place] < time { times[place] = time }
  }

  mutating func join(_ other: View) {
    if times.count < other.times.count {
      times += repeatElement(0, count: other.times.count - times.count)
    }
    for i in other.times.indices where times[i] < other.times[i] { times[i] = other.times[i] }
  }
}
