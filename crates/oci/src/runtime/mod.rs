//! Documents of the runtime specification. Type names are the specification's own (its Go package `specs-go`).

mod filter_text;
mod linux;
mod process;
mod resources;
mod seccomp;
mod spec;
mod state;
#[cfg(test)]
mod tests;

pub use filter_text::filter_text;
pub use linux::{
    Linux, LinuxDevice, LinuxIntelRdt, LinuxMemoryPolicy, LinuxNamespace, LinuxNamespaceType, LinuxNetDevice,
    LinuxPersonality, LinuxTimeOffset,
};
pub use process::{
    ConsoleSize, CpuAffinity, LinuxCapabilities, LinuxIoPriority, PosixRlimit, Process, Scheduler, User,
};
pub use resources::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxHugepageLimit, LinuxInterfacePriority, LinuxMemory,
    LinuxNetwork, LinuxPids, LinuxRdma, LinuxResources, LinuxThrottleDevice, LinuxWeightDevice,
};
pub use seccomp::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall};
pub use spec::{Hook, Hooks, LinuxIdMapping, Mount, Root, Spec};
pub use state::{ContainerState, State};

/// The version of the runtime specification that these structs follow.
pub const VERSION: &str = "1.3.0";
