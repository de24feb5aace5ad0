//! Execs, in memory only: they end with their container, and nobody asks for one after a restart of the daemon.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dockerapi::ExecCreate;
use protocol::Exit;
use tokio::sync::watch;

use crate::clock::now_ns;
use crate::{Error, Result};

/// An ended exec is kept for this long.
const KEPT_NS: i64 = 300 * 1_000_000_000;
/// Of a process that was killed with its container.
const KILLED: i64 = 137;

/// One exec.
#[derive(Debug, Clone)]
pub(crate) struct Exec {
    pub(crate) id: String,
    pub(crate) container: String,
    pub(crate) create: ExecCreate,
    pub(crate) started: bool,
    pub(crate) pid: i32,
    pub(crate) exit_code: Option<i64>,
    ended_ns: i64,
    ended: watch::Sender<bool>,
}

impl Exec {
    /// It was started and has not ended.
    pub(crate) fn is_running(&self) -> bool {
        self.started && self.exit_code.is_none()
    }

    fn end(&mut self, code: i64) {
        if self.exit_code.is_none() {
            self.exit_code = Some(code);
            self.pid = 0;
            self.ended_ns = now_ns();
            self.ended.send_replace(true);
        }
    }
}

/// All execs.
#[derive(Debug, Default)]
pub(crate) struct Execs(Mutex<HashMap<String, Exec>>);

impl Execs {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Exec>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one; ones that ended long ago go.
    pub(crate) fn add(&self, id: &str, container: &str, create: ExecCreate) {
        let mut all = self.lock();
        let now = now_ns();
        all.retain(|_, e| e.ended_ns == 0 || now - e.ended_ns < KEPT_NS);
        let exec = Exec {
            id: id.to_owned(),
            container: container.to_owned(),
            create,
            started: false,
            pid: 0,
            exit_code: None,
            ended_ns: 0,
            ended: watch::channel(false).0,
        };
        all.insert(id.to_owned(), exec);
    }

    /// The exec with this id, or the only one whose id begins so.
    pub(crate) fn get(&self, id: &str) -> Result<Exec> {
        let all = self.lock();
        let mut matches = all.values().filter(|e| !id.is_empty() && e.id.starts_with(id));
        match (all.get(id), matches.next(), matches.next()) {
            (Some(exec), _, _) | (None, Some(exec), None) => Ok(exec.clone()),
            _ => Err(Error::new(types::Kind::NotFound, format!("No such exec instance: {id}"))),
        }
    }

    /// Marks it as started, once.
    pub(crate) fn begin(&self, id: &str) -> Result<watch::Receiver<bool>> {
        let mut all = self.lock();
        let exec = all
            .get_mut(id)
            .ok_or_else(|| Error::new(types::Kind::NotFound, format!("No such exec instance: {id}")))?;
        if exec.exit_code.is_some() {
            return Err(Error::conflict(format!("Error: Exec command {id} has already run")));
        }
        if exec.started {
            return Err(Error::conflict(format!("Error: Exec command {id} is already running")));
        }
        exec.started = true;
        Ok(exec.ended.subscribe())
    }

    pub(crate) fn running(&self, id: &str, pid: i32) {
        if let Some(exec) = self.lock().get_mut(id).filter(|e| e.exit_code.is_none()) {
            exec.pid = pid;
        }
    }

    pub(crate) fn ended(&self, id: &str, exit: Option<&Exit>) {
        let code = exit.and_then(|e| e.code).map_or(i64::from(crate::exits::UNKNOWN), i64::from);
        self.failed(id, code);
    }

    /// It ended, or could not be started, with this code.
    pub(crate) fn failed(&self, id: &str, code: i64) {
        if let Some(exec) = self.lock().get_mut(id) {
            exec.end(code);
        }
    }

    /// Nothing outlives the container's first process.
    pub(crate) fn container_ended(&self, container: &str) {
        for exec in self.lock().values_mut().filter(|e| e.container == container && e.is_running()) {
            exec.end(KILLED);
        }
    }

    pub(crate) fn forget_container(&self, container: &str) {
        self.lock().retain(|_, e| e.container != container);
    }

    /// Ids of the execs that run in a container.
    pub(crate) fn running_of(&self, container: &str) -> Vec<String> {
        let all = self.lock();
        let mut ids: Vec<_> = all
            .values()
            .filter(|e| e.container == container && e.is_running())
            .map(|e| e.id.clone())
            .collect();
        ids.sort();
        ids
    }
}
