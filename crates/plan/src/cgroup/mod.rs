//! From limits of the runtime specification to files of cgroups, for v1, hybrid and v2 hosts alike: the layout of the
//! host decides which files are written, nothing else differs.

mod convert;
mod devices;
mod filter;
mod layout;
#[cfg(test)]
mod tests;
mod v1;
mod v2;

use oci::runtime::{LinuxMemory, LinuxResources};
use protocol::plan::{Act, Cgroup, DeviceProgram, Plan, Step, Write};

pub use convert::{io_weight, weight_of_shares};
pub use devices::Access;
pub(crate) use layout::{Place, layout};

use crate::Error;
use crate::facts::Facts;

/// Steps that limit the container's cgroups, and what could only be told instead of done.
pub(crate) fn limits(
    resources: &LinuxResources,
    cgroup: &Cgroup,
    facts: &Facts,
) -> Result<(Vec<Step>, Vec<String>), Error> {
    let mut warnings = Vec::new();
    let mut steps: Vec<Step> =
        writes(resources, cgroup, facts, &mut warnings)?.into_iter().map(|w| step(Act::Write(w))).collect();
    let access = Access::of(&resources.devices)?;
    // What the caller itself may not open, its containers cannot; and it has no say in who else may.
    if facts.unprivileged() {
        return Ok((steps, warnings));
    }
    if facts.cgroups.v1_of("devices").is_some() {
        let path = layout::v1_path(cgroup, "devices").unwrap_or_default();
        steps.extend(access.list(&path).into_iter().map(|w| step(Act::Write(w))));
    } else if !cgroup.unified.is_empty() && !access.allows_all() {
        steps.push(step(Act::DeviceProgram(DeviceProgram {
            cgroup: cgroup.unified.clone(),
            program: filter::program(&access),
            field: "linux.resources.devices".into(),
        })));
    }
    Ok((steps, warnings))
}

/// The writes that change a running container's limits.
///
/// # Errors
/// When a field cannot be honoured on this host.
pub fn update(resources: &LinuxResources, plan: &Plan, facts: &Facts) -> Result<Vec<Write>, Error> {
    let cgroup = plan.cgroup.as_ref().ok_or_else(|| Error::invalid("the container has no cgroup"))?;
    let mut warnings = Vec::new();
    let writes = writes(resources, cgroup, facts, &mut warnings)?;
    match warnings.pop() {
        Some(warning) => Err(Error::unimplemented(warning)),
        None => Ok(writes),
    }
}

fn writes(
    resources: &LinuxResources,
    cgroup: &Cgroup,
    facts: &Facts,
    warnings: &mut Vec<String>,
) -> Result<Vec<Write>, Error> {
    let mut target = Target { cgroup, facts, writes: Vec::new(), warnings };
    if facts.cgroups.only_v2() {
        v2::write(resources, &mut target)?;
    } else {
        v1::write(resources, &mut target)?;
    }
    Ok(target.writes)
}

/// The limit of memory and swap together. Without one of its own, no limit of memory means none of both: the kernel refuses the
/// one above the other.
fn swap_of(memory: &LinuxMemory, target: &Target<'_>) -> Option<i64> {
    let follows = memory.limit == Some(-1) && target.facts.swap_limit;
    memory.swap.filter(|swap| *swap != 0).or(follows.then_some(-1))
}

/// Collects writes for one container.
struct Target<'a> {
    cgroup: &'a Cgroup,
    facts: &'a Facts,
    writes: Vec<Write>,
    warnings: &'a mut Vec<String>,
}

impl Target<'_> {
    /// A file of a v1 controller.
    fn v1(&mut self, controller: &str, file: &str, field: &str, value: impl ToString) -> Result<(), Error> {
        let directory =
            layout::v1_path(self.cgroup, controller).ok_or_else(|| self.missing(field, controller))?;
        self.push(format!("{directory}/{file}"), field, value.to_string());
        Ok(())
    }

    /// A file of a v2 controller.
    fn v2(&mut self, controller: &str, file: &str, field: &str, value: impl ToString) -> Result<(), Error> {
        if self.cgroup.unified.is_empty() || !self.facts.cgroups.v2_has(controller) {
            return Err(self.missing(field, controller));
        }
        self.push(format!("{}/{file}", self.cgroup.unified), field, value.to_string());
        Ok(())
    }

    fn push(&mut self, path: String, field: &str, value: String) {
        self.writes.push(Write { path, value, field: format!("linux.resources.{field}") });
    }

    /// A limit that this kind of cgroup does not have: said, not dropped.
    fn cannot(&mut self, field: &str, why: &str) {
        self.warnings.push(format!("linux.resources.{field} has no effect: {why}"));
    }

    fn missing(&self, field: &str, controller: &str) -> Error {
        let why = if self.facts.rootless {
            format!("no cgroup with controller {controller:?} was handed down to this user")
        } else {
            format!("this host has no usable cgroup controller {controller:?}")
        };
        Error::unimplemented(format!("linux.resources.{field} cannot be set: {why}"))
    }
}

pub(crate) fn step(act: Act) -> Step {
    Step { act: Some(act) }
}
