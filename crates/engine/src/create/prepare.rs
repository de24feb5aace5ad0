//! From a record to a looked-up request: what `start` gives to `plan::spec`.

use dockerapi::HostConfig;
use oci::runtime::{LinuxIdMapping, LinuxSeccomp};
use plan::capability::{self, Tweaks};
use plan::spec::modes::{self, Modes, Network};
use plan::spec::request::{Confinement, Devices, Filesystems, Namespaces, Program, Request, Space};
use plan::spec::user::{self, Accounts, User};
use plan::spec::{defaults, limits, process, security, sysctl};
use types::Rootfs;

use crate::devices;
use crate::engine::Inner;
use crate::foreign;
use crate::host::Host;
use crate::state::Record;
use crate::{Error, Result};

/// The largest passwd or group file that is read.
const ACCOUNTS_MAX: usize = 4 << 20;
/// First id outside of the map of a user namespace, and how many ids it has.
pub(crate) const USERS: (u32, u32) = (0x10_0000, 0x1_0000);

/// The capabilities that a request asks for, as far as this process can give them.
pub(crate) fn capabilities(host: &HostConfig, facts: &Host) -> Result<Vec<String>> {
    let tweaks = Tweaks { add: &host.cap_add, drop: &host.cap_drop, privileged: host.privileged };
    Ok(capability::resolve(tweaks, facts.facts.bounding)?)
}

impl Inner {
    /// The request with everything looked up. Blocks for a few file reads.
    pub(crate) fn look_up(&self, record: &Record, rootfs: &Rootfs) -> Result<Request> {
        let host = &record.host;
        let modes = modes::read(host)?;
        let user = self.user_of(&record.config.user, &host.group_add, rootfs)?;
        let capabilities = capabilities(host, &self.host)?;
        let shared = sysctl::Shared {
            network: modes.network == Network::Host,
            ipc: modes.host_ipc,
            uts: modes.host_uts,
        };
        Ok(Request {
            annotations: record.host.annotations.clone(),
            hostname: record.config.hostname.clone(),
            domainname: record.config.domainname.clone(),
            program: self.program(record, user)?,
            namespaces: self.namespaces(&modes)?,
            filesystems: self.filesystems(record, &modes),
            devices: devices_of(host)?,
            confinement: self.confinement(host, capabilities)?,
            resources: limits::resources(&host.resources, &self.host.facts),
            sysctl: sysctl::plan(&host.sysctls, shared, host.privileged)?,
            cgroup: self.cgroup(&record.id),
        })
    }

    fn user_of(&self, spec: &str, add: &[String], rootfs: &Rootfs) -> Result<User> {
        let read = |path: &str| {
            foreign::read_stopped(rootfs, path, ACCOUNTS_MAX)
                .map(Option::unwrap_or_default)
                .map_err(|e| Error::invalid(format!("cannot resolve the user: {path} of the container: {e}")))
        };
        let (passwd, group) = (read("/etc/passwd")?, read("/etc/group")?);
        Ok(user::resolve(spec, add, Accounts { passwd: &passwd, group: &group })?)
    }

    fn program(&self, record: &Record, user: User) -> Result<Program> {
        let config = &record.config;
        let args = process::args(config.entrypoint.as_deref(), config.cmd.as_deref())
            .ok_or_else(|| Error::invalid("no command specified"))?;
        let rlimits = record
            .host
            .resources
            .ulimits
            .iter()
            .map(limits::rlimit)
            .collect::<std::result::Result<_, _>>()?;
        let init = record.host.init == Some(true);
        Ok(Program {
            args,
            env: process::environment(&config.hostname, config.tty, &config.env, &user.home),
            cwd: config.working_dir.clone(),
            user: Some(user),
            terminal: config.tty,
            rlimits,
            oom_score_adj: i32::try_from(record.host.oom_score_adj).ok().filter(|n| *n != 0),
            init: init.then(|| self.options.runtime.to_string_lossy().into_owned()),
        })
    }

    fn namespaces(&self, modes: &Modes) -> Result<Namespaces> {
        let host_or_new = |is_host: bool| if is_host { Space::Host } else { Space::New };
        let has = |name: &str| self.host.facts.namespaces.iter().any(|n| n == name);
        Ok(Namespaces {
            network: match &modes.network {
                Network::Bridge => Space::Join("fd:net".to_owned()),
                Network::None => Space::New,
                Network::Host => Space::Host,
                Network::Container(who) => Space::Join(self.namespace_of(who, "network")?),
            },
            ipc: host_or_new(modes.host_ipc),
            pid: match &modes.pid_of {
                Some(who) => Space::Join(self.namespace_of(who, "PID")?),
                None => host_or_new(modes.host_pid),
            },
            uts: host_or_new(modes.host_uts),
            cgroup: host_or_new(modes.host_cgroup || !has("cgroup")),
            time: host_or_new(!has("time") || modes.pid_of.is_some()),
            users: modes.own_users.then_some(LinuxIdMapping {
                container_id: 0,
                host_id: USERS.0,
                size: USERS.1,
            }),
        })
    }

    /// A namespace of another container, which must run. The supervisor finds it by that one's pidfd, at every start anew: its pid may be
    /// another's by then.
    fn namespace_of(&self, who: &str, kind: &str) -> Result<String> {
        let other = self.find(who)?.record();
        if !other.state.is_running() {
            return Err(Error::conflict(format!(
                "cannot join {} of a non running container: {}",
                if kind == "net" { "network" } else { kind },
                other.id
            )));
        }
        Ok(format!("fd:{}{}", protocol::plan::OF_CONTAINER, other.id))
    }

    fn filesystems(&self, record: &Record, modes: &Modes) -> Filesystems {
        let directory = self.directory(&record.id);
        let file = |name: &str| directory.join(name).to_string_lossy().into_owned();
        let mapped = modes.own_users;
        let mounts = record
            .mounts
            .iter()
            .map(|m| {
                let mut options = m.options.clone();
                if mapped && m.kind == "volume" {
                    options.push("ridmap".to_owned());
                }
                let kind = if m.kind == "tmpfs" { "tmpfs" } else { "bind" };
                let source = if m.kind == "tmpfs" { "tmpfs" } else { &m.source };
                let options: Vec<&str> = options.iter().map(String::as_str).collect();
                defaults::mount(&m.destination, kind, source, &options)
            })
            .collect();
        Filesystems {
            readonly: record.host.readonly_rootfs,
            host_mqueue: std::path::Path::new("/dev/mqueue").is_dir(),
            shm_bytes: (!modes.no_shm).then_some(record.host.shm_size),
            mounts,
            files: vec![
                (file("resolv.conf"), "/etc/resolv.conf".to_owned()),
                (file("hostname"), "/etc/hostname".to_owned()),
                (file("hosts"), "/etc/hosts".to_owned()),
            ],
        }
    }

    fn confinement(&self, host: &HostConfig, capabilities: Vec<String>) -> Result<Confinement> {
        let options = security::parse(&host.security_opt)?;
        let bare = host.privileged || options.bare_system_paths;
        let list = |asked: &Option<Vec<String>>, default: &[&str]| match asked {
            _ if bare => Vec::new(),
            Some(list) => list.clone(),
            None => default.iter().map(|&p| p.to_owned()).collect(),
        };
        Ok(Confinement {
            privileged: host.privileged,
            seccomp: self.filter(&options, host.privileged, &capabilities)?,
            no_new_privileges: options.no_new_privileges,
            masked: list(&host.masked_paths, &defaults::MASKED),
            readonly: list(&host.readonly_paths, &defaults::READONLY),
            capabilities,
        })
    }

    fn filter(
        &self,
        options: &security::Security,
        privileged: bool,
        capabilities: &[String],
    ) -> Result<Option<LinuxSeccomp>> {
        match &options.seccomp {
            security::Seccomp::Unconfined => Ok(None),
            security::Seccomp::Profile(text) => {
                let arch = plan::seccomp::Arch::native();
                Ok(plan::seccomp::read_profile(text, capabilities, self.host.facts.kernel, arch)?)
            }
            security::Seccomp::Default if privileged => Ok(None),
            security::Seccomp::Default => Ok(Some(LinuxSeccomp::clone(&self.default_filter(capabilities)))),
        }
    }
}

fn devices_of(host: &HostConfig) -> Result<Devices> {
    let mut all = if host.privileged { devices::all_of_host() } else { Devices::default() };
    for mapping in &host.resources.devices {
        devices::add(mapping, &mut all)?;
    }
    for rule in &host.resources.device_cgroup_rules {
        all.rules.push(devices::rule(rule)?);
    }
    Ok(all)
}
