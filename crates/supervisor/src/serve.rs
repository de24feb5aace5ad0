//! One arm per request.

use std::collections::HashMap;
use std::os::fd::AsFd;

use protocol::{
    Ask, Container, Containers, Empty, Pause, Resize, Restart, RestartName, Signal, Target, Tell, Update,
};
use rustix::io::Errno;
use rustix::termios::Winsize;
use types::Kind;

use crate::client::Role;
use crate::error::{Error, runtime_error};
use crate::record::Phase;
use crate::supervisor::Supervisor;

const SIGKILL: i32 = 9;

type Result<T> = std::result::Result<T, Error>;

impl Supervisor {
    /// Does what is asked and answers, now or (a start) later.
    pub(crate) fn serve(&mut self, client: u64, seq: u64, ask: Ask) -> Result<()> {
        if self.adoption.is_some() && !matches!(ask, Ask::Adopt(_)) {
            let message = "the supervisor waits for what the daemon holds of the one before";
            return Err(Error::new(Kind::Unavailable, message));
        }
        match ask {
            Ask::Start(start) => return self.start(client, seq, start),
            Ask::Exec(exec) => return self.exec(client, seq, exec),
            Ask::Attach(attach) => return self.attach(client, seq, attach),
            Ask::List(_) => {
                let last_event = self.ledger.last_event();
                let containers = Containers { containers: self.list(), last_event };
                self.tell(client, seq, Tell::Containers(containers));
                return Ok(());
            }
            Ask::Upgrade(path) => return self.ask_upgrade(client, seq, path),
            Ask::Signal(signal) => self.signal(&signal)?,
            Ask::Resize(resize) => self.resize(&resize)?,
            Ask::Pause(pause) => self.pause(&pause)?,
            Ask::Update(update) => self.update(&update)?,
            Ask::Remove(target) => self.remove(&target)?,
            Ask::HoldRestart(target) => self.hold_restart(&target)?,
            Ask::Subscribe(_) => return self.subscribe(client, seq),
            Ask::Acknowledge(number) => self.acknowledge(number),
            Ask::Duplicate(_) => self.duplicate(client, seq),
            Ask::Adopt(adopt) => self.adopt(client, adopt)?,
            Ask::Shutdown(_) => self.shutdown()?,
            Ask::Hello(_) => {}
        }
        self.tell(client, seq, Tell::Done(Empty {}));
        Ok(())
    }

    fn signal(&mut self, signal: &Signal) -> Result<()> {
        let target = signal.target.clone().unwrap_or_default();
        let slot = self.need(&target)?;
        if !(1..=64).contains(&signal.signal) {
            return Err(Error::invalid(format!("{} is no signal", signal.signal)));
        }
        let Some(entry) = self.entry(slot) else { return Ok(()) };
        let Some(process) = &entry.process else { return Err(Error::not_running(&name(&target))) };
        if signal.all {
            let plan = self.root.plan(&target.container)?;
            runtime::kill_all(&plan, signal.signal).map_err(|error| runtime_error(&error))?;
        } else {
            match sys::pidfd::send_signal(process.pidfd.as_fd(), signal.signal) {
                Ok(()) => {}
                Err(Errno::SRCH) => return Err(Error::not_running(&name(&target))),
                Err(errno) => {
                    let tried = format!("send signal {} to {}", signal.signal, name(&target));
                    return Err(Error::call(tried, errno));
                }
            }
        }
        if signal.signal == SIGKILL {
            self.thaw_to_die(slot);
        }
        Ok(())
    }

    /// A frozen process does not die before it is thawed (cgroup v1).
    fn thaw_to_die(&mut self, slot: usize) {
        let Some(entry) = self.entry(slot).filter(|entry| entry.record.frozen) else { return };
        let container = entry.container().to_owned();
        if self.root.plan(&container).is_ok_and(|plan| runtime::freeze(&plan, false).is_ok())
            && let Some(entry) = self.entry(slot)
        {
            entry.record.frozen = false;
            self.save(slot);
        }
    }

    fn resize(&mut self, resize: &Resize) -> Result<()> {
        let target = resize.target.clone().unwrap_or_default();
        let slot = self.need(&target)?;
        let size = Winsize {
            ws_row: resize.height.min(0xffff) as u16,
            ws_col: resize.width.min(0xffff) as u16,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let Some(entry) = self.entry(slot) else { return Ok(()) };
        let Some(process) = &entry.process else { return Err(Error::not_running(&name(&target))) };
        let Some(terminal) = &process.stdio.terminal else {
            return Err(Error::new(Kind::Conflict, format!("{} has no terminal", name(&target))));
        };
        rustix::termios::tcsetwinsize(terminal, size)
            .map_err(|errno| Error::call(format!("resize the terminal of {}", name(&target)), errno))?;
        // The next life of the container begins with this size.
        if let Some(stdio) = &mut entry.record.stdio {
            (stdio.width, stdio.height) = (resize.width, resize.height);
        }
        self.save(slot);
        Ok(())
    }

    fn pause(&mut self, pause: &Pause) -> Result<()> {
        let slot = self.need(&of_container(&pause.container))?;
        let running = self.entry(slot).is_some_and(|entry| entry.process.is_some());
        if !running {
            return Err(Error::not_running(&format!("container {}", pause.container)));
        }
        let plan = self.root.plan(&pause.container)?;
        runtime::freeze(&plan, pause.frozen).map_err(|error| runtime_error(&error))?;
        if let Some(entry) = self.entry(slot) {
            entry.record.frozen = pause.frozen;
        }
        self.save(slot);
        Ok(())
    }

    fn update(&mut self, update: &Update) -> Result<()> {
        let slot = self.need(&of_container(&update.container))?;
        runtime::apply_writes(&update.writes).map_err(|error| runtime_error(&error))?;
        // A restart that is pending already still happens, as Docker's does: nobody was told otherwise.
        if let (Some(policy), Some(entry)) = (update.restart, self.entry(slot)) {
            entry.record.policy = Some(policy);
        }
        self.save(slot);
        Ok(())
    }

    fn remove(&mut self, target: &Target) -> Result<()> {
        self.clean_ended();
        let slot = self.need(target)?;
        let Some(entry) = self.entry(slot) else { return Ok(()) };
        match entry.phase() {
            Phase::Running | Phase::Starting => {
                let message = format!("{} runs and cannot be removed", name(target));
                return Err(Error::new(Kind::Conflict, message));
            }
            Phase::Waiting | Phase::Exited => {}
        }
        self.release(slot, &[]);
        self.forget(slot);
        Ok(())
    }

    fn hold_restart(&mut self, target: &Target) -> Result<()> {
        let slot = self.need(target)?;
        let Some(entry) = self.entry(slot) else { return Ok(()) };
        entry.record.held = true;
        if entry.phase() == Phase::Waiting {
            entry.record.set_phase(Phase::Exited);
            self.set_due(slot, None);
        }
        self.save(slot);
        Ok(())
    }

    fn shutdown(&mut self) -> Result<()> {
        if !self.is_idle() {
            return Err(Error::new(Kind::Conflict, "containers run; the supervisor stays"));
        }
        self.quit = true;
        Ok(())
    }

    fn subscribe(&mut self, client: u64, seq: u64) -> Result<()> {
        if let Some(client) = self.clients.get_mut(&client) {
            client.role = Role::Control { subscribed: true };
        }
        self.tell(client, seq, Tell::Done(Empty {}));
        self.tell_unacknowledged(client);
        Ok(())
    }

    fn list(&self) -> Vec<Container> {
        let mut execs: HashMap<&str, Vec<String>> = HashMap::new();
        for entry in self.entries.iter().flatten() {
            if entry.record.is_exec() && entry.process.is_some() {
                execs.entry(entry.container()).or_default().push(entry.target().exec);
            }
        }
        let containers = self.entries.iter().flatten().filter(|entry| !entry.record.is_exec());
        containers
            .map(|entry| {
                let record = &entry.record;
                Container {
                    id: entry.container().to_owned(),
                    pid: record.pid,
                    started_at_ns: record.started_at_ns,
                    frozen: record.frozen,
                    restarting: entry.phase() == Phase::Waiting,
                    restarts: record.restarts,
                    exit: record.exit.filter(|_| record.pid == 0),
                    execs: execs.remove(entry.container()).unwrap_or_default(),
                }
            })
            .collect()
    }
}

/// For messages.
pub(crate) fn name(target: &Target) -> String {
    if target.exec.is_empty() {
        format!("container {}", target.container)
    } else {
        format!("exec {}", target.exec)
    }
}

/// The target that is a container's first process.
pub(crate) fn of_container(container: &str) -> Target {
    Target { container: container.to_owned(), exec: String::new() }
}

/// The policy of a record without one.
pub(crate) const NO_RESTART: Restart = Restart { name: RestartName::No as i32, maximum: 0 };
