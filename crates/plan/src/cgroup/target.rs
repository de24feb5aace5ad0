//! Collecting the writes of one container's limits.

use oci::runtime::LinuxMemory;
use protocol::plan::{Cgroup, Write};

use super::{Present, layout};
use crate::Error;
use crate::facts::Facts;

/// Collects writes for one container.
pub(super) struct Target<'a> {
    pub(super) cgroup: &'a Cgroup,
    pub(super) facts: &'a Facts,
    pub(super) present: &'a Present,
    pub(super) writes: Vec<Write>,
    pub(super) warnings: &'a mut Vec<String>,
}

impl Target<'_> {
    /// A file of a v1 controller.
    pub(super) fn v1(
        &mut self,
        controller: &str,
        file: &str,
        field: &str,
        value: impl ToString,
    ) -> Result<(), Error> {
        let directory =
            layout::v1_path(self.cgroup, controller).ok_or_else(|| self.missing(field, controller))?;
        self.push(format!("{directory}/{file}"), field, value.to_string());
        Ok(())
    }

    /// A file of a v2 controller.
    pub(super) fn v2(
        &mut self,
        controller: &str,
        file: &str,
        field: &str,
        value: impl ToString,
    ) -> Result<(), Error> {
        let there = self.facts.cgroups.only_v2() && self.facts.cgroups.v2_has(controller);
        if self.cgroup.unified.is_empty() || !there {
            return Err(self.missing(field, controller));
        }
        self.push(format!("{}/{file}", self.cgroup.unified), field, value.to_string());
        Ok(())
    }

    /// A controller with the same file in both versions.
    pub(super) fn either(
        &mut self,
        controller: &str,
        files: (&str, &str),
        field: &str,
        value: impl ToString,
    ) -> Result<(), Error> {
        if self.facts.cgroups.v1_of(controller).is_some() {
            self.v1(controller, files.0, field, value)
        } else {
            self.v2(controller, files.1, field, value)
        }
    }

    /// The write before this one was for a file that may be missing; then this is done.
    pub(super) fn or_else(&mut self, file: &str, value: impl ToString) {
        let Some(last) = self.writes.last_mut() else { return };
        let directory = last.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        last.otherwise = Some(Box::new(Write {
            path: format!("{directory}/{file}"),
            value: value.to_string(),
            field: last.field.clone(),
            otherwise: None,
        }));
    }

    pub(super) fn push(&mut self, path: String, field: &str, value: String) {
        let field = format!("linux.resources.{field}");
        self.writes.push(Write { path, value, field, otherwise: None });
    }

    /// A limit that this kind of cgroup does not have: said, not dropped.
    pub(super) fn cannot(&mut self, field: &str, why: &str) {
        self.warnings.push(format!("linux.resources.{field} has no effect: {why}"));
    }

    /// The limit of memory and swap together. Without one of its own, no limit of memory means none of both: the kernel refuses
    /// the one above the other.
    pub(super) fn swap_of(&self, memory: &LinuxMemory) -> Option<i64> {
        let follows = memory.limit == Some(-1) && self.facts.swap_limit;
        memory.swap.filter(|swap| *swap != 0).or(follows.then_some(-1))
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
