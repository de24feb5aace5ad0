//! The architectures whose system calls Berth knows.

use oci::runtime::LinuxSeccomp;

use super::syscalls::{NO, Row};
use crate::Error;

/// What a call of an architecture that the filter does not know gets: `SECCOMP_RET_KILL_THREAD`.
pub(super) const WRONG_ARCHITECTURE: u32 = 0;
/// `__X32_SYSCALL_BIT`: x32 shares x86_64's architecture number and sets this bit in the call's number.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// An architecture, or a second one that the same kernel also runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86.
    X86,
    /// 64-bit x86 with 32-bit pointers.
    X32,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM.
    Arm,
}

impl Arch {
    /// The architecture that this program was built for.
    #[must_use]
    pub const fn native() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 }
    }

    /// Its name in OCI documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::X86 => "SCMP_ARCH_X86",
            Self::X32 => "SCMP_ARCH_X32",
            Self::Aarch64 => "SCMP_ARCH_AARCH64",
            Self::Arm => "SCMP_ARCH_ARM",
        }
    }

    /// Go's name, which Docker's profiles use in conditions.
    pub(super) const fn go_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::X86 => "x86",
            Self::X32 => "x32",
            Self::Aarch64 => "arm64",
            Self::Arm => "arm",
        }
    }

    /// `AUDIT_ARCH_…`, as the kernel reports it in `struct seccomp_data`.
    pub(super) const fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// The number of its first system call.
    pub(super) const fn first(self) -> u32 {
        if matches!(self, Self::X32) { X32_BIT } else { 0 }
    }

    /// The number that the kernel sees for the call of this row.
    pub(super) fn number_in(self, row: &Row) -> Option<u32> {
        let number = row[self as usize];
        (number != NO).then(|| self.first() | number)
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::X86_64, Self::X86, Self::X32, Self::Aarch64, Self::Arm]
            .into_iter()
            .find(|arch| arch.name() == name)
    }
}

/// The host's architecture and those that the document adds. Architectures of other machines are left out: their
/// calls cannot come.
pub(super) fn listed(document: &LinuxSeccomp, native: Arch) -> Result<Vec<Arch>, Error> {
    let mut arches = vec![native];
    for name in &document.architectures {
        match Arch::from_name(name) {
            Some(arch) => arches.push(arch),
            None if name == "SCMP_ARCH_NATIVE" || is_foreign(name) => {}
            None => {
                return Err(Error::invalid(format!("unknown seccomp architecture {name:?}")));
            }
        }
    }
    arches.sort_unstable();
    arches.dedup();
    Ok(arches)
}

fn is_foreign(name: &str) -> bool {
    const FAMILIES: [&str; 9] =
        ["MIPS", "MIPSEL", "PPC", "PPC64", "S390", "PARISC", "RISCV64", "LOONGARCH64", "M68K"];
    let Some(name) = name.strip_prefix("SCMP_ARCH_") else {
        return false;
    };
    name == "SHEB" || name == "SH" || FAMILIES.iter().any(|family| name.starts_with(family))
}
