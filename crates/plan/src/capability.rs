//! Capabilities (capabilities(7)): names, numbers, Docker's defaults, and what `--cap-add` and `--cap-drop` make of them.

use crate::Error;

/// Names without `CAP_`; the place in the list is the number.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What a container gets when nothing else is asked for: Docker's 14.
const DEFAULTS: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

const ALL: &str = "ALL";

/// The number of a capability, `CAP_CHOWN` or `CHOWN` in any case.
#[must_use]
pub fn number(name: &str) -> Option<u32> {
    let name = bare(name);
    NAMES.iter().position(|known| *known == name).map(|at| at as u32)
}

/// The name of a capability with `CAP_`.
#[must_use]
pub fn name(number: u32) -> Option<String> {
    NAMES.get(number as usize).map(|name| format!("CAP_{name}"))
}

/// The names of the capabilities in a set (bit n for capability n), in the order of their numbers. Bits of
/// capabilities newer than this table have no name and are left out.
#[must_use]
pub fn names(set: u64) -> Vec<String> {
    (0..64).filter(|number| set >> number & 1 == 1).filter_map(name).collect()
}

/// What a request asks for beyond the defaults.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tweaks<'a> {
    /// `--cap-add`: names, or `ALL`.
    pub add: &'a [String],
    /// `--cap-drop`: names, or `ALL`.
    pub drop: &'a [String],
    /// `--privileged`: everything there is, whatever the lists say.
    pub privileged: bool,
}

/// The capabilities of a container, by name with `CAP_`, as Docker resolves them. `available` is what this process can give away (bit
/// n for capability n).
///
/// # Errors
/// A name that is no capability, or one that this process does not have.
pub fn resolve(tweaks: Tweaks<'_>, available: u64) -> Result<Vec<String>, Error> {
    let add = normalize("CapAdd", tweaks.add, available)?;
    let drop = normalize("CapDrop", tweaks.drop, available)?;
    let has = |list: &[String], name: &str| list.iter().any(|item| item == name);
    let kept = |names: Vec<String>| names.into_iter().filter(|name| !has(&drop, name)).collect::<Vec<_>>();
    if tweaks.privileged {
        return Ok(names(available));
    }
    if has(&add, ALL) {
        return Ok(kept(names(available)));
    }
    let mut resolved = if has(&drop, ALL) {
        Vec::new()
    } else {
        // A default that this process does not have itself was not asked for: it is left out.
        let mut defaults: Vec<String> = DEFAULTS.iter().map(|name| (*name).to_owned()).collect();
        defaults.retain(|name| number(name).is_some_and(|number| available >> number & 1 == 1));
        kept(defaults)
    };
    for name in add {
        if !has(&resolved, &name) {
            resolved.push(name);
        }
    }
    Ok(resolved)
}

/// `ALL`, or names with `CAP_` that are known and available.
fn normalize(field: &str, list: &[String], available: u64) -> Result<Vec<String>, Error> {
    list.iter()
        .map(|text| {
            if bare(text) == ALL {
                return Ok(ALL.to_owned());
            }
            let full = format!("CAP_{}", bare(text));
            let number =
                number(&full).ok_or_else(|| Error::invalid(format!("invalid {field}: unknown capability: {full:?}")))?;
            if available >> number & 1 == 0 {
                return Err(Error::invalid(format!(
                    "capability not supported by your kernel or not available in the current environment: {full:?}"
                )));
            }
            Ok(full)
        })
        .collect()
}

fn bare(name: &str) -> String {
    let name = name.trim().to_ascii_uppercase();
    name.strip_prefix("CAP_").map_or(name.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: u64 = (1 << 41) - 1;

    /// Resolves words separated by blanks; the answer without `CAP_`, or the error's text.
    fn check(add: &str, drop: &str, available: u64) -> Result<String, String> {
        let words = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let (add, drop) = (words(add), words(drop));
        let tweaks = Tweaks { add: &add, drop: &drop, privileged: false };
        let names = resolve(tweaks, available).map_err(|error| error.to_string())?;
        Ok(names.iter().map(|name| bare(name)).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn numbers_are_the_kernels() {
        for (text, wanted) in [("CAP_CHOWN", 0), ("sys_admin", 21), ("Cap_Syslog", 34), ("BPF", 39)] {
            assert_eq!(number(text), Some(wanted), "{text}");
        }
        assert_eq!(number("CAP_MOON"), None);
        assert_eq!(name(40).as_deref(), Some("CAP_CHECKPOINT_RESTORE"));
        assert_eq!(names(1 << 63 | 1 << 21 | 1), ["CAP_CHOWN", "CAP_SYS_ADMIN"]);
    }

    #[test]
    fn lists_are_resolved_as_docker_does() {
        let defaults = "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP \
                        NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE";
        assert_eq!(check("", "", EVERY).as_deref(), Ok(defaults));
        assert_eq!(check("net_admin", "", EVERY), Ok(format!("{defaults} NET_ADMIN")));
        assert_eq!(check("CHOWN", "", EVERY).as_deref(), Ok(defaults));
        assert_eq!(check("cap_bpf KILL", "all", EVERY).as_deref(), Ok("BPF KILL"));
        assert_eq!(check("", "CAP_ALL", EVERY).as_deref(), Ok(""));
        let without = check("ALL", "CAP_SYS_ADMIN", EVERY).unwrap();
        assert_eq!(without.split(' ').count(), 40);
        assert!(!without.contains("SYS_ADMIN"));
        assert!(!check("", "MKNOD", EVERY).unwrap().contains("MKNOD"));
    }

    #[test]
    fn what_cannot_be_given_is_said() {
        assert_eq!(check("MOON", "", EVERY).unwrap_err(), "invalid CapAdd: unknown capability: \"CAP_MOON\"");
        assert!(check("", "moon", EVERY).is_err_and(|e| e.starts_with("invalid CapDrop")));
        let fewer = EVERY & !(1 << 24);
        assert!(check("SYS_RESOURCE", "", fewer).unwrap_err().contains("not available"));
        assert!(!check("ALL", "", fewer).unwrap().contains("SYS_RESOURCE"));
    }

    #[test]
    fn privileged_is_everything_available() {
        let drop = ["ALL".to_owned()];
        let tweaks = Tweaks { add: &[], drop: &drop, privileged: true };
        assert_eq!(resolve(tweaks, 0b11).unwrap(), ["CAP_CHOWN", "CAP_DAC_OVERRIDE"]);
    }
}
