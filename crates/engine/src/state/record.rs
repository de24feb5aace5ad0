//! The record of one container, as it is written down.

use dockerapi::{Config, HostConfig};
use net::{EndpointRecord, PortRequest, Published};
use serde::{Deserialize, Serialize};

/// Everything known of a container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    pub(crate) id: String,
    /// Without Docker's slash.
    pub(crate) name: String,
    pub(crate) created_ns: i64,
    /// The image's digest, and the name by which it was asked for.
    pub(crate) image_id: String,
    pub(crate) image_name: String,
    /// What was asked for, merged with the image.
    pub(crate) config: Config,
    pub(crate) host: HostConfig,
    /// Every mount of the request and of the image, looked up.
    pub(crate) mounts: Vec<MountRecord>,
    /// What is published whenever it runs.
    pub(crate) ports: Vec<PortRequest>,
    /// The address that was asked for.
    pub(crate) ip: Option<std::net::Ipv4Addr>,
    /// Names it is known by on its network.
    pub(crate) aliases: Vec<String>,
    /// The writable layer may be mounted once only.
    pub(crate) volatile: bool,
    pub(crate) log: LogRecord,
    /// Its place on the network, while it has one.
    pub(crate) network: Option<NetworkRecord>,
    pub(crate) state: State,
}

/// One mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MountRecord {
    /// `bind`, `volume`, `tmpfs`.
    pub(crate) kind: String,
    /// A volume's name.
    pub(crate) name: String,
    /// On the host.
    pub(crate) source: String,
    pub(crate) destination: String,
    /// As the request wrote its options.
    pub(crate) mode: String,
    pub(crate) readonly: bool,
    pub(crate) propagation: String,
    /// The volume was made for this container, and goes with it.
    pub(crate) anonymous: bool,
    /// Mount options for the plan.
    pub(crate) options: Vec<String>,
}

/// Where output is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LogRecord {
    /// None is kept.
    pub(crate) off: bool,
    pub(crate) max_bytes: u64,
    pub(crate) max_files: u32,
}

/// A place on the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetworkRecord {
    pub(crate) endpoint: EndpointRecord,
    pub(crate) published: Vec<Published>,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) status: Status,
    /// Its first process; 0 when none runs.
    pub(crate) pid: i32,
    /// Of the last run; `None` when nobody could tell, or it never ran.
    pub(crate) exit_code: Option<i32>,
    pub(crate) oom_killed: bool,
    /// Why the last start failed.
    pub(crate) error: String,
    pub(crate) started_ns: i64,
    pub(crate) finished_ns: i64,
    /// How often the policy started it again.
    pub(crate) restarts: u32,
    /// Frozen for the moment of a commit: a daemon that finds it so thaws it.
    pub(crate) held_still: bool,
    /// A person stopped it: `unless-stopped` leaves it so.
    pub(crate) stopped_by_hand: bool,
    /// The boot of the host in which it was started.
    pub(crate) boot: String,
    /// The supervisor's number of the last event before that start: all up to it are of earlier lives.
    pub(crate) last_event: u64,
}

/// Docker's states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    #[default]
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

impl Status {
    /// Docker's word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }
}

impl State {
    /// A process runs, or will run again by itself.
    pub(crate) const fn is_live(&self) -> bool {
        matches!(self.status, Status::Running | Status::Paused | Status::Restarting)
    }

    /// A process runs.
    pub(crate) const fn is_running(&self) -> bool {
        matches!(self.status, Status::Running | Status::Paused)
    }
}

/// What waits and followers watch of a container's life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Phase {
    /// Runs, or will run again by itself.
    pub(crate) live: bool,
    /// How often it ended since the daemon started.
    pub(crate) exits: u64,
    /// Of the last run.
    pub(crate) exit_code: Option<i32>,
    /// It is gone.
    pub(crate) removed: bool,
}

impl Phase {
    pub(crate) const fn of(state: &State) -> Self {
        Self { live: state.is_live(), exits: 0, exit_code: state.exit_code, removed: false }
    }
}
