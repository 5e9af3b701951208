// SPDX-License-Identifier: MIT
// Fields of CMDQ-V's registers (`DirectRegister`).

public enum DirectConfig {
  public static var enable: Field { Field("CMDQV_EN", 0) }
  /// How the SMMU divides its time between queues: without effect where a hypervisor does that.
  public static var batching: Field { Field("BATCH", 19, 1) }
}

public enum DirectParameters {
  public static var version: Field { Field("CMDQV_VER", 3, 0) }
  public static var queueBits: Field { Field("CMDQV_NUM_CMDQ_LOG2", 7, 4) }
  public static var interfaceBits: Field { Field("CMDQV_NUM_VI_LOG2", 11, 8) }
  public static var streamBits: Field { Field("CMDQV_NUM_SID_PER_VI_LOG2", 15, 12) }
}

public enum DirectAllocation {
  public static var allocated: Field { Field("ALLOC", 0) }
  /// The queue's number in its interface.
  public static var queue: Field { Field("LVCMDQ", 7, 1) }
  public static var interface: Field { Field("VIRT_INTF_INDX", 20, 15) }
}

public enum DirectInterfaceConfig {
  public static var enable: Field { Field("ENABLE", 0) }
  public static var vmid: Field { Field("VMID", 16, 1) }
  /// The interface is a hypervisor's: its queues take every command.
  public static var hypervisorOwned: Field { Field("HYP_OWN", 17) }
}

public enum DirectInterfaceStatus {
  public static var enabled: Field { Field("ENABLE_OK", 0) }
  /// 1: a queue of it has an error.
  public static var error: Field { Field("STATUS", 3, 1) }
}

public enum DirectStream {
  public static var matchEnable: Field { Field("ENABLE", 0) }
  public static var match: Field { Field("VIRT_SID", 20, 1) }
  public static var replacement: Field { Field("PHYS_SID", 19, 0) }
}

public enum DirectQueueFields {
  /// Of PROD and CONS.
  public static var index: Field { Field("INDX", 19, 0) }
  /// Of CONS: `CommandError`.
  public static var error: Field { Field("ERR", 30, 24) }
  /// Of CONFIG, and of STATUS.
  public static var enable: Field { Field("CMDQ_EN", 0) }
  /// Of GERROR and GERRORN, each active while the two differ.
  public static var commandError: Field { Field("CMDQ_ERR", 0) }
  public static var initError: Field { Field("CMDQ_INIT_ERR", 2) }
  public static var errors: Field { Field("ERRORS", 2, 0) }
}

/// BASE of a queue: its memory, and log2 of its commands.
public enum DirectQueueBase {
  public static var log2Size: Field { Field("LOG2SIZE", 4, 0) }
  public static var address: Field { Field("ADDR", 47, 5) }
  public static var mostLog2Size: Int { 19 }
}
