// SPDX-License-Identifier: MIT

/// Failures of system calls that were ordered, in order of their making.
struct FaultOrders {
  struct Order {
    /// 0 = any.
    let request: UInt32
    var wait: UInt32
    let error: Errno
    /// Entries of an invalidation that are carried out before it fails.
    let done: UInt32
  }
  private var orders: [Order] = []

  mutating func add(_ order: Order) { orders.append(order) }

  /// Counts an ioctl; the failure that is its due.
  mutating func count(_ request: UInt32) -> Order? {
    var due: Int?
    for i in orders.indices where orders[i].request == 0 || orders[i].request == request {
      // One call fails once, for the oldest order that is due.
      guard orders[i].wait > 1 else {
        if due == nil { due = i }
        continue
      }
      orders[i].wait -= 1
    }
    guard let due else { return nil }
    return orders.remove(at: due)
  }
}
