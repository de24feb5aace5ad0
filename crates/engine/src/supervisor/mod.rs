//! The daemon's side of the supervisor: asks, hears events, holds duplicates, and replaces a supervisor that died. Callers just see a
//! delay then.

mod attach;
mod hands;
mod link;
mod process;
mod wire;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use protocol::{
    Ask, Attach, Containers, Empty, Event, Exec, Pause, Resize, Signal, Start, Started, Target, Tell, Update,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{mpsc, oneshot};
use types::Kind;

pub use attach::{AttachReader, AttachWriter};

use crate::{Error, Result};
use link::{Link, Wish};

/// The supervisor of one exec root.
#[derive(Debug)]
pub struct Supervisor {
    root: PathBuf,
    wishes: mpsc::UnboundedSender<Wish>,
    events: Mutex<Option<mpsc::UnboundedReceiver<Event>>>,
}

/// Events in the order of their numbers, each once, also over the death of a supervisor. To be acknowledged when written down.
#[derive(Debug)]
pub struct SupervisorEvents {
    told: mpsc::UnboundedReceiver<Event>,
    /// Taken from `told` too early.
    kept: Option<Event>,
}

impl SupervisorEvents {
    /// The next event. May be given up and called again.
    pub async fn next(&mut self) -> Option<Event> {
        match self.kept.take() {
            Some(event) => Some(event),
            None => self.told.recv().await,
        }
    }

    /// The next event up to this number, of those that have come.
    pub(crate) fn past(&mut self, last: u64) -> Option<Event> {
        let event = self.kept.take().or_else(|| self.told.try_recv().ok())?;
        if event.number <= last {
            return Some(event);
        }
        self.kept = Some(event);
        None
    }
}

impl Supervisor {
    /// Connects to the supervisor of this root, or starts `runtime supervisor --root <exec_root>` when nobody answers.
    ///
    /// # Errors
    /// `Unavailable` when none answers and none can be started.
    pub async fn connect_or_start(exec_root: &Path, runtime: &Path) -> Result<Self> {
        raise_descriptor_limit();
        let (wishes, wished) = mpsc::unbounded_channel();
        let (told, events) = mpsc::unbounded_channel();
        let (ready, is_ready) = oneshot::channel();
        let link = Link::new(exec_root.to_owned(), runtime.to_owned(), wished, told);
        tokio::spawn(link.run(ready));
        is_ready.await.map_err(|_| gone())??;
        Ok(Self { root: exec_root.to_owned(), wishes, events: Mutex::new(Some(events)) })
    }

    /// Starts a container; `fds` are named by `start.fds`. Answers when its program was executed.
    ///
    /// # Errors
    /// What kept it from starting, with the exit code Docker gives that.
    pub async fn start(&self, start: Start, fds: Vec<OwnedFd>) -> Result<Started> {
        let id = start.plan.as_ref().map(|plan| plan.id.clone()).unwrap_or_default();
        match self.ask_with(Ask::Start(start), fds).await {
            Ok((tell, _)) => started(tell),
            // The supervisor died after the start and before its answer.
            Err((error, true)) if error.kind() == Kind::Conflict => {
                self.started_before(&id).await.ok_or(error)
            }
            Err((error, _)) => Err(error),
        }
    }

    async fn started_before(&self, id: &str) -> Option<Started> {
        let Containers { containers, last_event } = self.list().await.ok()?;
        let running = containers.into_iter().find(|container| container.id == id && container.pid != 0)?;
        Some(Started { pid: running.pid, at_ns: running.started_at_ns, warnings: Vec::new(), last_event })
    }

    /// Runs one more process in a container.
    ///
    /// # Errors
    /// As [`Supervisor::start`]; `Unavailable` when the supervisor died meanwhile: it may run or not.
    pub async fn exec(&self, exec: Exec) -> Result<Started> {
        started(self.ask(Ask::Exec(exec)).await?)
    }

    /// Sends a signal to a process, or to every process of its container.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when it does not run.
    pub async fn signal(&self, target: Target, signal: i32, all: bool) -> Result<()> {
        self.done(Ask::Signal(Signal { target: Some(target), signal, all })).await
    }

    /// Sets a terminal's size, in characters.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when it does not run or has no terminal.
    pub async fn resize(&self, target: Target, width: u32, height: u32) -> Result<()> {
        self.done(Ask::Resize(Resize { target: Some(target), width, height })).await
    }

    /// Freezes or thaws a container.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` when it does not run, or the kernel's.
    pub async fn pause(&self, container: &str, frozen: bool) -> Result<()> {
        self.done(Ask::Pause(Pause { container: container.to_owned(), frozen })).await
    }

    /// Changes limits and restart policy.
    ///
    /// # Errors
    /// `NotFound`, or the kernel's; then nothing is changed.
    pub async fn update(&self, update: Update) -> Result<()> {
        self.done(Ask::Update(update)).await
    }

    /// Has an ended container (or exec) forgotten.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when it runs.
    pub async fn remove(&self, target: Target) -> Result<()> {
        self.done(Ask::Remove(target)).await
    }

    /// Calls off a pending restart and any later one.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn hold_restart(&self, target: Target) -> Result<()> {
        self.done(Ask::HoldRestart(target)).await
    }

    /// Every container the supervisor holds.
    ///
    /// # Errors
    /// When no supervisor can be had.
    pub async fn list(&self) -> Result<Containers> {
        match self.ask(Ask::List(Empty {})).await? {
            Tell::Containers(containers) => Ok(containers),
            _ => Err(odd_answer()),
        }
    }

    /// Attaches to a process, also before it is started: then the stream begins with its first byte.
    ///
    /// # Errors
    /// When no supervisor can be had.
    pub async fn attach(
        &self,
        target: Target,
        stdin: bool,
        output: bool,
    ) -> Result<(AttachWriter, AttachReader)> {
        let attach = Attach { target: Some(target), stdin, output, with_open_line: false, behind: None };
        attach::attach(self.root.clone(), attach).await
    }

    /// As [`Supervisor::attach`], for one who reads the log first: everything up to [`AttachReader::place`] is in the log,
    /// everything else in the stream.
    ///
    /// # Errors
    /// When no supervisor can be had.
    pub async fn attach_behind_log(
        &self,
        target: Target,
        stdin: bool,
    ) -> Result<(AttachWriter, AttachReader)> {
        let attach = Attach { target: Some(target), stdin, output: true, with_open_line: true, behind: None };
        attach::attach(self.root.clone(), attach).await
    }

    /// The events, for one listener: a second call is answered with `None`.
    pub fn events(&self) -> Option<SupervisorEvents> {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .map(|told| SupervisorEvents { told, kept: None })
    }

    /// All events up to this number are written down.
    pub fn acknowledge(&self, number: u64) {
        let ask = Ask::Acknowledge(number);
        let _ = self.wishes.send(Wish { ask, fds: Vec::new(), answer: None, again: false });
    }

    /// Has the supervisor become the program at this path, with everything it holds.
    ///
    /// # Errors
    /// When it cannot be executed; then the present one goes on.
    pub async fn upgrade(&self, program: &Path) -> Result<()> {
        self.done(Ask::Upgrade(program.to_string_lossy().into_owned())).await
    }

    /// Ends a supervisor that holds nothing alive.
    ///
    /// # Errors
    /// `Conflict` when something runs.
    pub async fn shutdown(&self) -> Result<()> {
        self.done(Ask::Shutdown(Empty {})).await
    }

    async fn done(&self, ask: Ask) -> Result<()> {
        match self.ask(ask).await? {
            Tell::Done(_) => Ok(()),
            _ => Err(odd_answer()),
        }
    }

    async fn ask(&self, ask: Ask) -> Result<Tell> {
        self.ask_with(ask, Vec::new()).await.map(|(tell, _)| tell).map_err(|(error, _)| error)
    }

    /// The answer, and whether it was asked more than once.
    async fn ask_with(
        &self,
        ask: Ask,
        fds: Vec<OwnedFd>,
    ) -> std::result::Result<(Tell, bool), (Error, bool)> {
        let (answer, answered) = oneshot::channel();
        let wish = Wish { ask, fds, answer: Some(answer), again: false };
        self.wishes.send(wish).map_err(|_| (gone(), false))?;
        let (result, again) = answered.await.map_err(|_| (gone(), false))?;
        match result {
            Ok(tell) => Ok((tell, again)),
            Err(error) => Err((error, again)),
        }
    }
}

fn started(tell: Tell) -> Result<Started> {
    match tell {
        Tell::Started(started) => Ok(started),
        _ => Err(odd_answer()),
    }
}

fn odd_answer() -> Error {
    Error::new(Kind::Internal, "the supervisor gave an answer to another question")
}

fn gone() -> Error {
    Error::new(Kind::Unavailable, "the link to the supervisor has ended")
}

/// The daemon holds a few descriptors of every container.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

#[cfg(test)]
mod tests;
