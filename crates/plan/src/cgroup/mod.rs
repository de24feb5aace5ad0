//! From limits of the runtime specification to files of cgroups, for v1, hybrid and v2 hosts alike: the layout of the
//! host decides which files are written, nothing else differs.

mod convert;
mod devices;
mod either;
mod filter;
mod layout;
mod owner;
#[cfg(test)]
mod tables;
mod target;
#[cfg(test)]
mod tests;
mod v1;
mod v2;

use oci::runtime::LinuxResources;
use protocol::plan::{Act, Cgroup, DeviceProgram, Plan, Step, Write};

pub use convert::{io_weight, weight_of_shares};
pub use devices::Access;
pub(crate) use layout::{Place, Site, layout};
pub(crate) use owner::owner;
use target::Target;

use crate::Error;
use crate::facts::Facts;

/// What is in force before a change of a v2 cgroup, as far as the new values depend on it: v1 counts memory and swap together, and
/// quota and period are one file of v2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// Memory in use.
    pub memory_usage: Option<u64>,
    /// The limit of memory; -1 for none.
    pub memory_limit: Option<i64>,
    /// The limit of memory and swap together; -1 for none.
    pub memory_and_swap: Option<i64>,
    /// Microseconds of CPU time per period; -1 for no limit.
    pub cpu_quota: Option<i64>,
}

/// A change of a running container's limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// What to write.
    pub writes: Vec<Write>,
    /// What was asked for and has no effect, one sentence each.
    pub warnings: Vec<String>,
}

/// Steps that limit the container's cgroups, and what could only be told instead of done.
pub(crate) fn limits(
    resources: &LinuxResources,
    cgroup: &Cgroup,
    place: &Place,
    facts: &Facts,
) -> Result<(Vec<Step>, Vec<String>), Error> {
    let present = Present::default();
    let Change { writes, mut warnings } = writes(resources, cgroup, facts, &present)?;
    let mut steps: Vec<Step> = writes.into_iter().map(|w| step(Act::Write(w))).collect();
    let access = Access::of(&resources.devices)?;
    warnings.extend(devices::odd(&resources.devices));
    // What the caller itself may not open, its containers cannot; and it has no say in who else may.
    if facts.unprivileged() {
        return Ok((steps, warnings));
    }
    if facts.cgroups.v1_of("devices").is_some() {
        let path = layout::v1_path(cgroup, "devices").unwrap_or_default();
        steps.extend(access.list(&path, place.keep).into_iter().map(|w| step(Act::Write(w))));
    } else if !cgroup.unified.is_empty() && (place.keep || !access.allows_all()) {
        steps.push(step(Act::DeviceProgram(DeviceProgram {
            cgroup: cgroup.unified.clone(),
            program: filter::program(&access),
            field: "linux.resources.devices".into(),
        })));
    }
    Ok((steps, warnings))
}

/// The writes that change a running container's limits. What is not named stays as it is.
///
/// # Errors
/// When a field cannot be honoured on this host, or not together with what is in force.
pub fn update(
    resources: &LinuxResources,
    plan: &Plan,
    facts: &Facts,
    present: &Present,
) -> Result<Change, Error> {
    let cgroup = plan.cgroup.as_ref().ok_or_else(|| Error::invalid("the container has no cgroup"))?;
    let mut change = writes(resources, cgroup, facts, present)?;
    if !resources.devices.is_empty() {
        change.warnings.push("linux.resources.devices has no effect: an update leaves the devices".into());
    }
    Ok(change)
}

fn writes(
    resources: &LinuxResources,
    cgroup: &Cgroup,
    facts: &Facts,
    present: &Present,
) -> Result<Change, Error> {
    let mut warnings = Vec::new();
    let mut target = Target { cgroup, facts, present, writes: Vec::new(), warnings: &mut warnings };
    either::write(resources, &mut target)?;
    if facts.cgroups.only_v2() {
        v2::write(resources, &mut target)?;
    } else {
        v1::write(resources, &mut target)?;
    }
    let writes = target.writes;
    Ok(Change { writes, warnings })
}

pub(crate) fn step(act: Act) -> Step {
    Step { act: Some(act) }
}
