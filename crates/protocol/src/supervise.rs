//! Long because it is a table. What a daemon asks of a supervisor, and what the supervisor tells.
//!
//! One connection carries [`Request`]s one way and [`Message`]s the other. Replies carry the request's
//! `seq`; requests may be answered out of order (a start takes longer than a list). A connection that sent
//! [`Attach`] is answered with [`Attached`] and turns into a stream of that container's stdio until it is closed. File descriptors that
//! belong to a message are sent with its first byte (`SCM_RIGHTS`), in the order the message's `fds` names them.

use prost::{Message as ProstMessage, Oneof};

use crate::plan::{ExecPlan, Plan, Write};

/// First message in both directions.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Hello {
    /// The newest protocol version the sender speaks.
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// The sender's build, for people.
    #[prost(string, tag = "2")]
    pub build: String,
    /// The supervisor's own number: another one answers after it died and was replaced, the same one after an
    /// upgrade in place. A daemon that sees a number for the first time must send [`Adopt`]. 0 from a daemon.
    #[prost(uint64, tag = "3")]
    pub instance: u64,
}

/// From the daemon.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Request {
    /// Chosen by the sender, unique per connection, not 0.
    #[prost(uint64, tag = "1")]
    pub seq: u64,
    /// What is asked.
    #[prost(oneof = "Ask", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18")]
    pub ask: Option<Ask>,
}

/// The requests there are.
#[derive(Clone, PartialEq, Oneof)]
pub enum Ask {
    /// Must come first. Answered with the supervisor's `Hello`.
    #[prost(message, tag = "2")]
    Hello(Hello),
    /// Start a container. Answered after its program was executed, or with the failure.
    #[prost(message, tag = "3")]
    Start(Start),
    /// Run one more process in a container. Answered as `Start`.
    #[prost(message, tag = "4")]
    Exec(Exec),
    /// Send a signal.
    #[prost(message, tag = "5")]
    Signal(Signal),
    /// Set a terminal's size.
    #[prost(message, tag = "6")]
    Resize(Resize),
    /// Turn this connection into a stdio stream.
    #[prost(message, tag = "7")]
    Attach(Attach),
    /// Every container the supervisor holds, as [`Container`]s.
    #[prost(message, tag = "8")]
    List(Empty),
    /// Freeze or thaw.
    #[prost(message, tag = "9")]
    Pause(Pause),
    /// Write cgroup limits and replace the restart policy of a container.
    #[prost(message, tag = "10")]
    Update(Update),
    /// Forget an exited container and release its cgroups, descriptors and run state.
    #[prost(message, tag = "11")]
    Remove(Target),
    /// Send [`Event`]s on this connection from now on, first those not acknowledged yet.
    #[prost(message, tag = "12")]
    Subscribe(Empty),
    /// The daemon has recorded all events up to this number; they may be forgotten.
    #[prost(uint64, tag = "13")]
    Acknowledge(u64),
    /// Answered with descriptors of every live process, so that the daemon can hold duplicates.
    #[prost(message, tag = "14")]
    Duplicate(Empty),
    /// To a fresh supervisor: take over what a dead one held.
    #[prost(message, tag = "15")]
    Adopt(Adopt),
    /// Replace the running program by the one at this path, keeping children and descriptors.
    #[prost(string, tag = "16")]
    Upgrade(String),
    /// End, if nothing runs; refused otherwise.
    #[prost(message, tag = "17")]
    Shutdown(Empty),
    /// Call off a pending restart and any later one (a person stopped the container).
    #[prost(message, tag = "18")]
    HoldRestart(Target),
}

/// Nothing to say.
#[derive(Clone, Copy, PartialEq, ProstMessage)]
pub struct Empty {}

/// A container, or one exec in it.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Target {
    /// The container's id.
    #[prost(string, tag = "1")]
    pub container: String,
    /// The exec's id; empty for the container's first process.
    #[prost(string, tag = "2")]
    pub exec: String,
}

/// How a process's stdio is made.
#[derive(Clone, Copy, PartialEq, ProstMessage)]
pub struct Stdio {
    /// A pseudo-terminal instead of three pipes.
    #[prost(bool, tag = "1")]
    pub terminal: bool,
    /// Keep stdin open. Otherwise it is /dev/null.
    #[prost(bool, tag = "2")]
    pub stdin: bool,
    /// Close stdin when the first attached client leaves (Docker's `StdinOnce`).
    #[prost(bool, tag = "3")]
    pub stdin_once: bool,
    /// First size of the terminal, in characters; 0 leaves the kernel's.
    #[prost(uint32, tag = "4")]
    pub width: u32,
    /// See `width`.
    #[prost(uint32, tag = "5")]
    pub height: u32,
}

/// Where output goes besides attached clients (Docker's json-file format).
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Log {
    /// The file; rotated ones get `.1`, `.2` … Empty means no log is kept.
    #[prost(string, tag = "1")]
    pub path: String,
    /// Rotate before a file grows past this many bytes; 0 never rotates.
    #[prost(uint64, tag = "2")]
    pub max_bytes: u64,
    /// How many files are kept, the current one included; at least 1.
    #[prost(uint32, tag = "3")]
    pub max_files: u32,
}

/// When the supervisor starts a container again by itself.
#[derive(Clone, Copy, PartialEq, ProstMessage)]
pub struct Restart {
    /// One of [`RestartName`].
    #[prost(enumeration = "RestartName", tag = "1")]
    pub name: i32,
    /// For `OnFailure`: give up after so many; 0 never gives up.
    #[prost(uint32, tag = "2")]
    pub maximum: u32,
}

/// Docker's restart policies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, prost::Enumeration)]
#[repr(i32)]
pub enum RestartName {
    /// Stay down.
    No = 0,
    /// Whatever happens.
    Always = 1,
    /// As `Always`; the difference shows only when the daemon starts.
    UnlessStopped = 2,
    /// Only after a non-zero exit.
    OnFailure = 3,
}

/// Start a container.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Start {
    /// What to do.
    #[prost(message, optional, tag = "1")]
    pub plan: Option<Plan>,
    /// Its stdio.
    #[prost(message, optional, tag = "2")]
    pub stdio: Option<Stdio>,
    /// Its log.
    #[prost(message, optional, tag = "3")]
    pub log: Option<Log>,
    /// Its restart policy.
    #[prost(message, optional, tag = "4")]
    pub restart: Option<Restart>,
    /// Names of the descriptors sent along; steps of the plan refer to them ("net").
    #[prost(string, repeated, tag = "5")]
    pub fds: Vec<String>,
}

/// Run one more process in a running container.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Exec {
    /// Container and exec id.
    #[prost(message, optional, tag = "1")]
    pub target: Option<Target>,
    /// What to run.
    #[prost(message, optional, tag = "2")]
    pub plan: Option<ExecPlan>,
    /// Its stdio.
    #[prost(message, optional, tag = "3")]
    pub stdio: Option<Stdio>,
}

/// Send a signal.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Signal {
    /// To whom.
    #[prost(message, optional, tag = "1")]
    pub target: Option<Target>,
    /// Signal number.
    #[prost(int32, tag = "2")]
    pub signal: i32,
    /// Every process of the container, not only the target.
    #[prost(bool, tag = "3")]
    pub all: bool,
}

/// Set a terminal's size, in characters.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Resize {
    /// Whose terminal.
    #[prost(message, optional, tag = "1")]
    pub target: Option<Target>,
    /// Columns.
    #[prost(uint32, tag = "2")]
    pub width: u32,
    /// Rows.
    #[prost(uint32, tag = "3")]
    pub height: u32,
}

/// Freeze (or thaw) every process of a container.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Pause {
    /// Which.
    #[prost(string, tag = "1")]
    pub container: String,
    /// True freezes, false thaws.
    #[prost(bool, tag = "2")]
    pub frozen: bool,
}

/// Change a container's limits and policy.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Update {
    /// Which.
    #[prost(string, tag = "1")]
    pub container: String,
    /// Cgroup files to write, in order; on failure the ones done are written back.
    #[prost(message, repeated, tag = "2")]
    pub writes: Vec<Write>,
    /// The new policy, if it changes.
    #[prost(message, optional, tag = "3")]
    pub restart: Option<Restart>,
}

/// Turn this connection into a stdio stream: [`Output`] comes, [`Input`] is taken.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Attach {
    /// Whose stdio. May be sent before the container or exec was started (with the id it will have): then the
    /// stream begins with its first byte.
    #[prost(message, optional, tag = "1")]
    pub target: Option<Target>,
    /// This client feeds stdin.
    #[prost(bool, tag = "2")]
    pub stdin: bool,
    /// This client wants output.
    #[prost(bool, tag = "3")]
    pub output: bool,
    /// Begin the stream with the line that is not in the log yet because its end has not come: a reader of the
    /// log up to [`Attached`]'s place has then every byte once.
    #[prost(bool, tag = "4")]
    pub with_open_line: bool,
    /// This client was attached to a supervisor that died: go on behind these bytes, as far as they are known still.
    #[prost(message, optional, tag = "5")]
    pub behind: Option<Seen>,
}

/// Take over containers of a dead supervisor. The first message a daemon sends after `Hello`, also when it holds
/// nothing. The descriptors come with the frame in the order of `fds` over all records; at most 240 per frame.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Adopt {
    /// What the daemon held, as it came with [`Duplicates`].
    #[prost(message, repeated, tag = "1")]
    pub held: Vec<Held>,
    /// More of these follow; the takeover begins after the last.
    #[prost(bool, tag = "2")]
    pub more: bool,
}

/// Descriptors of one live process, named; or, with an empty target, of the supervisor itself.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Held {
    /// Whose.
    #[prost(message, optional, tag = "1")]
    pub target: Option<Target>,
    /// What each descriptor is: "pidfd", "stdin", "stdout", "stderr", "terminal", "net", ….
    #[prost(string, repeated, tag = "2")]
    pub fds: Vec<String>,
    /// Which life of the process they are of; meaning is the supervisor's alone.
    #[prost(bytes = "vec", tag = "3")]
    pub record: Vec<u8>,
}

/// From the supervisor.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Message {
    /// The request this answers; 0 for events and stdio.
    #[prost(uint64, tag = "1")]
    pub seq: u64,
    /// What is told.
    #[prost(oneof = "Tell", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11")]
    pub tell: Option<Tell>,
}

/// What a supervisor tells.
#[derive(Clone, PartialEq, Oneof)]
pub enum Tell {
    /// Done; nothing more to say.
    #[prost(message, tag = "2")]
    Done(Empty),
    /// Not done.
    #[prost(message, tag = "3")]
    Failed(Failure),
    /// Answer to `Hello`.
    #[prost(message, tag = "4")]
    Hello(Hello),
    /// Answer to `Start` and `Exec`.
    #[prost(message, tag = "5")]
    Started(Started),
    /// Answer to `List`.
    #[prost(message, tag = "6")]
    Containers(Containers),
    /// After `Subscribe`.
    #[prost(message, tag = "7")]
    Event(Event),
    /// On an attached connection.
    #[prost(message, tag = "8")]
    Output(Output),
    /// Answer to `Duplicate`, and sent unasked to subscribers after each start; descriptors come along, one message per process.
    #[prost(message, tag = "9")]
    Held(Held),
    /// Close the duplicates named (no descriptors come along). With no names: all of that process.
    #[prost(message, tag = "10")]
    Release(Held),
    /// Answer to `Attach`: everything printed from here on comes over this connection. Told once more when a process
    /// begins that was attached to before.
    #[prost(message, tag = "11")]
    Attached(Attached),
}

/// Where the log was when a client was attached.
#[derive(Clone, Copy, PartialEq, ProstMessage)]
pub struct Attached {
    /// The process runs; otherwise the stream begins with its next start.
    #[prost(bool, tag = "1")]
    pub running: bool,
    /// Inode of the current log file; 0 when there is no log.
    #[prost(uint64, tag = "2")]
    pub log_inode: u64,
    /// Bytes in it.
    #[prost(uint64, tag = "3")]
    pub log_bytes: u64,
    /// What came before the stream begins.
    #[prost(message, optional, tag = "4")]
    pub seen: Option<Seen>,
}

/// On an attached connection, from the daemon.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Input {
    /// Bytes for stdin.
    #[prost(bytes = "vec", tag = "1")]
    pub bytes: Vec<u8>,
    /// No more will come. Closes the stdin of an exec, and of a container with `stdin_once`; otherwise, and for
    /// a terminal, stdin stays open for the next client.
    #[prost(bool, tag = "2")]
    pub end: bool,
}

/// A piece of output.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Output {
    /// 1 stdout (or the terminal), 2 stderr, as Docker's stream headers number them.
    #[prost(uint32, tag = "1")]
    pub stream: u32,
    /// The bytes; empty together with `end`.
    #[prost(bytes = "vec", tag = "2")]
    pub bytes: Vec<u8>,
    /// The process has exited and every byte was sent.
    #[prost(bool, tag = "3")]
    pub end: bool,
    /// How many bytes of this stream came before these; see [`Seen`].
    #[prost(uint64, tag = "4")]
    pub position: u64,
}

/// Bytes of each stream, counted by the supervisor over all lives of a container.
#[derive(Clone, Copy, PartialEq, ProstMessage)]
pub struct Seen {
    /// Of stdout (or the terminal).
    #[prost(uint64, tag = "1")]
    pub stdout: u64,
    /// Of stderr.
    #[prost(uint64, tag = "2")]
    pub stderr: u64,
}

/// Why a request was not done. `kind` is the name of a `types::Kind`.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Failure {
    /// Name of the `types::Kind` variant, for example `NotFound`.
    #[prost(string, tag = "1")]
    pub kind: String,
    /// One sentence with the cause.
    #[prost(string, tag = "2")]
    pub message: String,
    /// The exit code Docker gives this: 126 (cannot be executed), 127 (not found), 125 (anything else); 0 when it is no start.
    #[prost(int32, tag = "3")]
    pub exit_code: i32,
}

/// A process runs.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Started {
    /// Its pid in the supervisor's pid namespace.
    #[prost(int32, tag = "1")]
    pub pid: i32,
    /// Start of the process: nanoseconds since the epoch.
    #[prost(int64, tag = "2")]
    pub at_ns: i64,
    /// Refusals of the kernel that do not stop the start (invariant 10), one sentence each.
    #[prost(string, repeated, tag = "3")]
    pub warnings: Vec<String>,
    /// The number of the last event before: all up to it are of earlier lives.
    #[prost(uint64, tag = "4")]
    pub last_event: u64,
}

/// Answer to `List`.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Containers {
    /// One each.
    #[prost(message, repeated, tag = "1")]
    pub containers: Vec<Container>,
    /// The number of the last event that is in this already.
    #[prost(uint64, tag = "2")]
    pub last_event: u64,
}

/// A container as the supervisor sees it.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Container {
    /// Its id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Its first process; 0 when none runs.
    #[prost(int32, tag = "2")]
    pub pid: i32,
    /// When that was started: nanoseconds since the epoch.
    #[prost(int64, tag = "3")]
    pub started_at_ns: i64,
    /// Frozen by `Pause`.
    #[prost(bool, tag = "4")]
    pub frozen: bool,
    /// Waiting to be started again.
    #[prost(bool, tag = "5")]
    pub restarting: bool,
    /// How often the policy has started it again.
    #[prost(uint32, tag = "6")]
    pub restarts: u32,
    /// How it ended, when no process runs.
    #[prost(message, optional, tag = "7")]
    pub exit: Option<Exit>,
    /// Ids of the execs that run in it.
    #[prost(string, repeated, tag = "8")]
    pub execs: Vec<String>,
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, ProstMessage)]
pub struct Exit {
    /// The exit code, 128 + n after signal n. Absent when nobody could tell (killed supervisor on a kernel before 6.15).
    #[prost(int32, optional, tag = "1")]
    pub code: Option<i32>,
    /// The kernel killed a process of this container for memory.
    #[prost(bool, tag = "2")]
    pub oom: bool,
    /// Nanoseconds since the epoch.
    #[prost(int64, tag = "3")]
    pub at_ns: i64,
}

/// Something happened. Numbers grow by one; the supervisor keeps events until they are acknowledged.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Event {
    /// Its number.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// To whom.
    #[prost(message, optional, tag = "2")]
    pub target: Option<Target>,
    /// When: nanoseconds since the epoch.
    #[prost(int64, tag = "3")]
    pub at_ns: i64,
    /// What.
    #[prost(oneof = "Happening", tags = "4, 5, 6, 7")]
    pub what: Option<Happening>,
}

/// What can happen to a container without being asked for.
#[derive(Clone, PartialEq, Oneof)]
pub enum Happening {
    /// The process ended (the container's, or the exec's the target names).
    #[prost(message, tag = "4")]
    Exited(Exited),
    /// The policy started the container again.
    #[prost(message, tag = "5")]
    Restarted(Started),
    /// The policy tried to start it again and failed for good.
    #[prost(message, tag = "6")]
    RestartFailed(Failure),
    /// The kernel killed a process for memory; the container may go on.
    #[prost(message, tag = "7")]
    OutOfMemory(Empty),
}

/// A process ended.
#[derive(Clone, PartialEq, ProstMessage)]
pub struct Exited {
    /// How.
    #[prost(message, optional, tag = "1")]
    pub exit: Option<Exit>,
    /// The policy will start the container again after a back-off.
    #[prost(bool, tag = "2")]
    pub restarting: bool,
}
