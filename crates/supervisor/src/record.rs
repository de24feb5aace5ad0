//! What the supervisor knows of one container or exec, as it lies in its slot. Fields are only ever added: an upgraded
//! supervisor reads what the one before wrote.

use prost::Message;
use protocol::{Event, Exit, Log, Restart, Stdio, Target};

/// One container or exec.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Record {
    /// Whose.
    #[prost(message, optional, tag = "1")]
    pub(crate) target: Option<Target>,
    /// Where it is in its life.
    #[prost(enumeration = "Phase", tag = "2")]
    pub(crate) phase: i32,
    /// The process, while it runs.
    #[prost(int32, tag = "3")]
    pub(crate) pid: i32,
    /// When the kernel says it began: clock ticks since boot, which tells it from a later process with its pid.
    #[prost(uint64, tag = "4")]
    pub(crate) ticks: u64,
    /// Nanoseconds since the epoch.
    #[prost(int64, tag = "5")]
    pub(crate) started_at_ns: i64,
    /// Frozen by a person.
    #[prost(bool, tag = "6")]
    pub(crate) frozen: bool,
    /// How often the policy started it.
    #[prost(uint32, tag = "7")]
    pub(crate) restarts: u32,
    /// The policy.
    #[prost(message, optional, tag = "8")]
    pub(crate) policy: Option<Restart>,
    /// The last back-off, in milliseconds.
    #[prost(uint64, tag = "9")]
    pub(crate) delay_ms: u64,
    /// A person stopped it: no restarts.
    #[prost(bool, tag = "10")]
    pub(crate) held: bool,
    /// How it ended last.
    #[prost(message, optional, tag = "11")]
    pub(crate) exit: Option<Exit>,
    /// When it is to be started again: nanoseconds since the epoch.
    #[prost(int64, tag = "12")]
    pub(crate) again_at_ns: i64,
    /// How its stdio is made.
    #[prost(message, optional, tag = "13")]
    pub(crate) stdio: Option<Stdio>,
    /// Its log.
    #[prost(message, optional, tag = "14")]
    pub(crate) log: Option<Log>,
    /// Events nobody has acknowledged, oldest first.
    #[prost(message, repeated, tag = "15")]
    pub(crate) events: Vec<Event>,
    /// Memory kills counted so far in this life.
    #[prost(uint64, tag = "16")]
    pub(crate) oom_kills: u64,
    /// Its cgroups are still there.
    #[prost(bool, tag = "17")]
    pub(crate) unclean: bool,
    /// Names of the descriptors that came with its start.
    #[prost(string, repeated, tag = "18")]
    pub(crate) fds: Vec<String>,
    /// Somebody is attached to its output.
    #[prost(bool, tag = "19")]
    pub(crate) watched: bool,
    /// Which pipes are its stdin, stdout and stderr; 0 for none.
    #[prost(uint64, repeated, tag = "20")]
    pub(crate) pipes: Vec<u64>,
}

/// Where in its life a container is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Phase {
    /// No process, and none will come by itself.
    Exited = 0,
    /// Between the clone and the program.
    Starting = 1,
    /// The program runs.
    Running = 2,
    /// The policy will start it again.
    Waiting = 3,
}

/// The most unacknowledged events one record keeps; of a container that fails again and again while no daemon looks,
/// the oldest are forgotten.
const MOST_EVENTS: usize = 12;
/// The most bytes of a record with its events, well below the page it lies in: its other fields still grow.
const MOST_BYTES: usize = 3 << 10;

impl Record {
    /// Adds an event. What does not fit any more goes, the oldest first.
    pub(crate) fn push_event(&mut self, event: Event) {
        self.events.push(event);
        while self.events.len() > MOST_EVENTS || self.events.len() > 1 && self.encoded_len() > MOST_BYTES {
            self.events.remove(0);
        }
    }

    /// Tells this life's process from those of other lives.
    pub(crate) fn life(&self) -> Vec<u8> {
        if self.pid == 0 {
            return Vec::new();
        }
        [&u64::from(self.pid.unsigned_abs()).to_le_bytes()[..], &self.ticks.to_le_bytes()].concat()
    }

    /// Whether this is an exec's.
    pub(crate) fn is_exec(&self) -> bool {
        self.target.as_ref().is_some_and(|target| !target.exec.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_never_outgrow_the_page() {
        let mut record = Record::default();
        for number in 1..=40 {
            let failure = protocol::Failure { message: "é".repeat(150), ..Default::default() };
            let what = Some(protocol::Happening::RestartFailed(failure));
            record.push_event(Event { number, what, ..Event::default() });
            assert!(record.encoded_len() < 4000, "{}", record.encoded_len());
        }
        assert_eq!(record.events.last().map(|event| event.number), Some(40));
        assert!(record.events.len() > 5);
        let mut record = Record::default();
        for number in 1..=40 {
            record.push_event(Event { number, ..Event::default() });
        }
        assert_eq!(
            record.events.iter().map(|event| event.number).collect::<Vec<_>>(),
            (29..=40).collect::<Vec<_>>()
        );
    }
}
