//! Docker's profile format: the OCI document with rules that depend on capabilities, kernel and architecture.

use oci::runtime::{LinuxSeccomp, LinuxSyscall};
use serde::Deserialize;

use super::Arch;
use crate::Error;

/// The additions to the OCI document. Its own fields are read by [`LinuxSeccomp`].
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Profile {
    arch_map: Option<Vec<ArchMap>>,
    syscalls: Option<Vec<Rule>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ArchMap {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Rule {
    #[serde(flatten)]
    syscall: LinuxSyscall,
    name: String,
    includes: Option<Condition>,
    excludes: Option<Condition>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Condition {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// What conditions are judged by.
struct Host<'a, C> {
    capabilities: &'a [C],
    kernel: (u32, u32),
    arch: Arch,
}

/// Reads a profile given by the user (`--security-opt seccomp=<file>`): Docker's format, of which a plain OCI `seccomp`
/// section is a part. `None`: the profile says nothing at all, so there is no filter.
///
/// # Errors
/// Text that is not such a profile, or one that says the same thing in two ways.
pub fn read_profile(
    text: &str,
    capabilities: &[impl AsRef<str>],
    kernel: (u32, u32),
    arch: Arch,
) -> Result<Option<LinuxSeccomp>, Error> {
    let fail =
        |cause: &dyn std::fmt::Display| Error::invalid(format!("Decoding seccomp profile failed: {cause}"));
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| fail(&error))?;
    if !value.is_object() {
        return Err(fail(&"it is not a JSON object"));
    }
    let profile: Profile = serde_json::from_value(value.clone()).map_err(|error| fail(&error))?;
    let rules = profile.syscalls.unwrap_or_default();
    if value.get("defaultAction").is_none_or(|action| action == "") && rules.is_empty() {
        return Ok(None);
    }
    let mut document: LinuxSeccomp = serde_json::from_value(value).map_err(|error| fail(&error))?;
    let arch_map = profile.arch_map.unwrap_or_default();
    if !document.architectures.is_empty() && !arch_map.is_empty() {
        return Err(fail(&"use either 'architectures' or 'archMap', not both"));
    }
    if let Some(entry) = arch_map.into_iter().find(|entry| entry.architecture == arch.name()) {
        document.architectures = vec![entry.architecture];
        document.architectures.extend(entry.sub_architectures.unwrap_or_default());
    }
    let host = Host { capabilities, kernel, arch };
    document.syscalls.clear();
    for mut rule in rules {
        if !rule.name.is_empty() {
            if !rule.syscall.names.is_empty() {
                return Err(fail(&"use either 'name' or 'names' in a rule, not both"));
            }
            rule.syscall.names.push(std::mem::take(&mut rule.name));
        }
        if host.takes(&rule)? {
            document.syscalls.push(rule.syscall);
        }
    }
    Ok(Some(document))
}

impl<C: AsRef<str>> Host<'_, C> {
    /// Whether the rule holds here: every `includes` is met, no `excludes` is.
    fn takes(&self, rule: &Rule) -> Result<bool, Error> {
        if let Some(excludes) = &rule.excludes {
            let arches = excludes.arches.iter().flatten().any(|arch| self.is_arch(arch));
            let caps = excludes.caps.iter().flatten().any(|cap| self.has(cap));
            if arches || caps || self.is_at_least(excludes.min_kernel.as_ref())?.unwrap_or(false) {
                return Ok(false);
            }
        }
        let Some(includes) = &rule.includes else {
            return Ok(true);
        };
        let arches = includes.arches.as_deref().unwrap_or_default();
        let arch = arches.is_empty() || arches.iter().any(|arch| self.is_arch(arch));
        let caps = includes.caps.iter().flatten().all(|cap| self.has(cap));
        Ok(arch && caps && self.is_at_least(includes.min_kernel.as_ref())?.unwrap_or(true))
    }

    fn has(&self, wanted: &str) -> bool {
        self.capabilities.iter().any(|capability| capability.as_ref() == wanted)
    }

    fn is_arch(&self, name: &str) -> bool {
        self.arch.go_name() == name
    }

    /// Whether the kernel is this one or newer; `None` when nothing is asked.
    fn is_at_least(&self, version: Option<&String>) -> Result<Option<bool>, Error> {
        let Some(version) = version.filter(|version| !version.is_empty()) else {
            return Ok(None);
        };
        let parsed = version
            .split_once('.')
            .and_then(|(major, minor)| Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?)));
        match parsed {
            Some(wanted) => Ok(Some(self.kernel >= wanted)),
            None => Err(Error::invalid(format!(
                "seccomp profile names kernel {version:?}, want <number>.<number>"
            ))),
        }
    }
}
