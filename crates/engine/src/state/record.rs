//! The record of one container, as it is written down.

use serde::{Deserialize, Serialize};

/// Everything known of a container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    /// Without Docker's slash.
    pub(crate) name: String,
    pub(crate) created_ns: i64,
    pub(crate) state: State,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) status: Status,
    /// Its first process; 0 when none runs.
    pub(crate) pid: i32,
    /// Of the last run; `None` when nobody could tell.
    pub(crate) exit_code: Option<i32>,
    pub(crate) oom_killed: bool,
    /// Why the last start failed.
    pub(crate) error: String,
    pub(crate) started_ns: i64,
    pub(crate) finished_ns: i64,
    /// How often the policy started it again.
    pub(crate) restarts: u32,
    /// A person stopped it: `unless-stopped` leaves it so.
    pub(crate) stopped_by_hand: bool,
    /// The boot of the host in which it was started.
    pub(crate) boot: String,
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
