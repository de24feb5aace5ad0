//! `update`, `rename` and `resize`: changes of a container that exists.

use dockerapi::{Resources, UpdateBody, UpdateResult};
use plan::spec::limits;
use prost::Message as _;
use protocol::{Plan, Target, Update};
use types::{ContainerName, Kind};

use crate::engine::Engine;
use crate::{Error, Result, detached};

impl Engine {
    /// Changes limits and restart policy; of a running container at once.
    ///
    /// # Errors
    /// Limits out of range or that the kernel refuses; then nothing is changed.
    pub async fn update(&self, who: &str, mut body: UpdateBody) -> Result<UpdateResult> {
        let entry = self.0.find(who)?;
        let engine = self.clone();
        detached(async move {
            let inner = &engine.0;
            let _change = entry.change.lock().await;
            let record = entry.record();
            let mut wanted = record.as_ref().clone();
            let discarded = inner.host.discard_weight(&mut body.resources);
            let cannot =
                |e: Error| Error::new(e.kind(), format!("Cannot update container {}: {e}", record.id));
            overlay(&mut wanted.host.resources, &body.resources).map_err(cannot)?;
            let facts = inner.host.for_limits();
            let mut warnings = limits::check(&wanted.host.resources, &facts)?;
            warnings.extend(discarded);
            if !body.restart_policy.name.is_empty() {
                crate::create::check_restart(&body.restart_policy)?;
                if wanted.host.auto_remove && body.restart_policy.name != "no" {
                    return Err(cannot(Error::conflict(
                        "Restart policy cannot be updated because AutoRemove is enabled for the container",
                    )));
                }
                wanted.host.restart_policy = body.restart_policy.clone();
            }
            if record.state.is_live() {
                let plan = inner.running_plan(&record.id)?;
                let mut asked = body.resources.clone();
                asked.pids_limit = asked.pids_limit.map(|n| if n <= 0 { -1 } else { n });
                let resources = limits::resources(&asked, &inner.host.facts);
                let present = present(&record.host.resources);
                let change = plan::cgroup::update(&resources, &plan, &inner.host.facts, &present)?;
                if let Some(warning) = change.warnings.into_iter().next() {
                    return Err(Error::unimplemented(warning));
                }
                let writes = change.writes;
                let restart = Some(crate::start::restart(&wanted));
                let update = Update { container: record.id.clone(), writes, restart };
                inner.supervisor.update(update).await?;
            }
            let record = inner.change(&entry, |r| {
                r.host.resources = wanted.host.resources;
                r.host.restart_policy = wanted.host.restart_policy;
            });
            inner.tell(&record, "update", &[]);
            Ok(UpdateResult { warnings })
        })
        .await
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// A name that is none, or is in use.
    pub async fn rename(&self, who: &str, name: &str) -> Result<()> {
        let entry = self.0.find(who)?;
        if name.is_empty() {
            return Err(Error::invalid("Neither old nor new names may be empty"));
        }
        let name: ContainerName = name
            .parse()
            .map_err(|_| Error::invalid(format!(
                "Error when allocating new name: Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )))?;
        let _change = entry.change.lock().await;
        let old = entry.record().name.clone();
        if old == name.as_str() {
            return Err(Error::invalid("Renaming a container with the same name as its current name"));
        }
        let id = entry.record().id.clone();
        self.0
            .table
            .reserve(name.as_str(), &id)
            .map_err(|e| Error::conflict(format!("Error when allocating new name: {e}")))?;
        let record = self.0.change(&entry, |r| name.as_str().clone_into(&mut r.name));
        self.0.table.release(&old);
        self.0.tell(&record, "rename", &[("oldName", format!("/{old}"))]);
        Ok(())
    }

    /// Sets the size of a container's terminal, in characters.
    ///
    /// # Errors
    /// `Conflict` when it does not run or has no terminal.
    pub async fn resize(&self, who: &str, height: u16, width: u16) -> Result<()> {
        let record = self.0.find(who)?.record();
        if !record.state.is_running() {
            return Err(Error::conflict(format!("container {} is not running", record.id)));
        }
        let target = Target { container: record.id.clone(), exec: String::new() };
        self.0.supervisor.resize(target, width.into(), height.into()).await?;
        self.0.tell(&record, "resize", &[("height", height.to_string()), ("width", width.to_string())]);
        Ok(())
    }
}

impl crate::engine::Inner {
    /// The plan that a running container was started by.
    pub(crate) fn running_plan(&self, id: &str) -> Result<Plan> {
        let bytes = std::fs::read(self.plan_path(id))
            .map_err(|e| Error::io("cannot read the container's plan", e))?;
        Plan::decode(bytes.as_slice())
            .map_err(|e| Error::doing("cannot read the container's plan", Kind::Corrupt, e))
    }
}

/// The limits in force, as far as new ones depend on them.
fn present(limits: &Resources) -> plan::cgroup::Present {
    let given = |n: i64| Some(n).filter(|n| *n != 0);
    plan::cgroup::Present {
        memory_usage: None,
        memory_limit: given(limits.memory),
        memory_and_swap: given(limits.memory_swap),
        cpu_quota: given(limits.cpu_quota),
    }
}

/// Puts what an update asks for over what is; zero means "as it is".
fn overlay(limits: &mut Resources, asked: &Resources) -> Result<()> {
    let conflict = |what: &str| {
        Error::conflict(format!(
            "Conflicting options: {what} cannot be updated as NanoCPUs has already been set"
        ))
    };
    if limits.nano_cpus > 0 && asked.cpu_period > 0 {
        return Err(conflict("CPU Period"));
    }
    if limits.nano_cpus > 0 && asked.cpu_quota > 0 {
        return Err(conflict("CPU Quota"));
    }
    if asked.nano_cpus > 0 && (limits.cpu_quota != 0 || limits.cpu_period != 0) {
        return Err(Error::conflict(
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota or Period has already been set",
        ));
    }
    if limits.memory_swap > 0 && asked.memory > limits.memory_swap && asked.memory_swap == 0 {
        return Err(Error::conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        ));
    }
    for (now, new) in [
        (&mut limits.cpu_shares, asked.cpu_shares),
        (&mut limits.memory, asked.memory),
        (&mut limits.nano_cpus, asked.nano_cpus),
        (&mut limits.cpu_period, asked.cpu_period),
        (&mut limits.cpu_quota, asked.cpu_quota),
        (&mut limits.memory_reservation, asked.memory_reservation),
        (&mut limits.memory_swap, asked.memory_swap),
    ] {
        if new != 0 {
            *now = new;
        }
    }
    if asked.blkio_weight != 0 {
        limits.blkio_weight = asked.blkio_weight;
    }
    for (now, new) in
        [(&mut limits.cpuset_cpus, &asked.cpuset_cpus), (&mut limits.cpuset_mems, &asked.cpuset_mems)]
    {
        if !new.is_empty() {
            now.clone_from(new);
        }
    }
    if let Some(asked) = asked.pids_limit {
        limits.pids_limit = Some(asked.max(0));
    }
    unchangeable(asked)
}

/// What an update cannot change is refused; Docker's client sends the empty forms.
fn unchangeable(asked: &Resources) -> Result<()> {
    let fixed = [
        ("Devices", !asked.devices.is_empty()),
        ("DeviceCgroupRules", !asked.device_cgroup_rules.is_empty()),
        ("Ulimits", !asked.ulimits.is_empty()),
        ("OomKillDisable", asked.oom_kill_disable == Some(true)),
        ("MemorySwappiness", asked.memory_swappiness.is_some_and(|s| s != -1 && s != 0)),
    ];
    match fixed.iter().find(|(_, asked)| *asked) {
        Some((field, _)) => Err(Error::unimplemented(format!("{field} cannot be changed by an update"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_keeps_what_is() {
        let mut limits = Resources { memory: 10, memory_swap: 20, cpu_shares: 5, ..Resources::default() };
        overlay(&mut limits, &Resources { memory: 15, ..Resources::default() }).expect("fits");
        assert_eq!((limits.memory, limits.memory_swap, limits.cpu_shares), (15, 20, 5));
        assert!(overlay(&mut limits, &Resources { memory: 25, ..Resources::default() }).is_err());
        overlay(&mut limits, &Resources { pids_limit: Some(-1), ..Resources::default() }).expect("fits");
        assert_eq!(limits.pids_limit, Some(0), "no limit");
        let mut limits = Resources { nano_cpus: 1, ..Resources::default() };
        assert!(overlay(&mut limits, &Resources { cpu_quota: 5000, ..Resources::default() }).is_err());
        assert!(
            overlay(
                &mut limits,
                &Resources { ulimits: vec![dockerapi::Ulimit::default()], ..Resources::default() }
            )
            .is_err()
        );
    }
}
