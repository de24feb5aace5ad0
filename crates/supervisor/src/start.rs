//! Starts: of a container, of one more process in it, and again by the policy.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::plan::{ExecPlan, OF_CONTAINER};
use protocol::{Exec, Failure, Happening, Plan, Start, Started, Target, Tell};
use runtime::{Entrance, Launch, MemoryWatch, Starting, StdioFds};
use types::Kind;

use crate::clock;
use crate::entry::{Entry, Origin, Ours, Pending, Process};
use crate::error::{Error, start_failure};
use crate::log::ContainerLog;
use crate::poll::{Ready, Token};
use crate::record::{Phase, Record};
use crate::root::is_id;
use crate::serve::{name, of_container};
use crate::stdio::{self, Theirs, nonblocking, park};
use crate::supervisor::{Supervisor, key};

type Result<T> = std::result::Result<T, Error>;

impl Supervisor {
    /// Starts a container. The answer comes when its program was executed, or was not.
    pub(crate) fn start(&mut self, client: u64, seq: u64, start: Start) -> Result<()> {
        self.clean_ended();
        let fds = self.named_fds(client, &start.fds)?;
        let plan = start.plan.ok_or_else(|| Error::invalid("the start has no plan"))?;
        if !is_id(&plan.id) {
            return Err(Error::invalid(format!("{:?} is no container id", plan.id)));
        }
        let target = of_container(&plan.id);
        let record = Record {
            target: Some(target.clone()),
            policy: start.restart,
            stdio: start.stdio,
            log: start.log.filter(|log| !log.path.is_empty()),
            fds: start.fds,
            ..Record::default()
        };
        let slot = self.place(&target, record)?;
        let kept = self.root.put_plan(&plan.id, &plan);
        kept.map_err(|errno| Error::call(format!("keep the plan of container {}", plan.id), errno))?;
        if let Some(entry) = self.entry(slot) {
            entry.fds = fds;
        }
        self.launch(slot, &plan, Origin::Client(client, seq));
        Ok(())
    }

    /// Starts one more process in a container.
    pub(crate) fn exec(&mut self, client: u64, seq: u64, exec: Exec) -> Result<()> {
        let target = exec.target.unwrap_or_default();
        let plan = exec.plan.ok_or_else(|| Error::invalid("the exec has no plan"))?;
        if !is_id(&target.exec) {
            return Err(Error::invalid(format!("{:?} is no exec id", target.exec)));
        }
        let host = self.need(&of_container(&target.container))?;
        if self.entry(host).is_none_or(|entry| entry.process.is_none()) {
            return Err(Error::not_running(&format!("container {}", target.container)));
        }
        let record = Record { target: Some(target.clone()), stdio: exec.stdio, ..Record::default() };
        let slot = self.place(&target, record)?;
        let launched = self.spawn_exec(slot, host, &plan);
        self.launched(slot, Origin::Client(client, seq), None, launched);
        Ok(())
    }

    /// The slot for a new life of a target; a life that has ended gives way.
    fn place(&mut self, target: &Target, mut record: Record) -> Result<usize> {
        let slot = match self.find(target) {
            None => self
                .ledger
                .take_slot()
                .map_err(|errno| Error::call(format!("take a slot for {}", name(target)), errno))?,
            Some(slot) => {
                let phase = self.entry(slot).map(|entry| entry.phase());
                if matches!(phase, Some(Phase::Starting | Phase::Running)) {
                    return Err(Error::new(Kind::Conflict, format!("{} already runs", name(target))));
                }
                self.set_due(slot, None);
                slot
            }
        };
        let before = self.entries.get_mut(slot).and_then(Option::take);
        let mut clients = self.early.remove(&key(target)).unwrap_or_default();
        if let Some(before) = before {
            record.events = before.record.events;
            clients.extend(before.clients);
        }
        let mut entry = Entry::new(slot, record);
        entry.clients = clients;
        self.insert(entry);
        Ok(slot)
    }

    /// Begins a life: stdio, log, clone.
    pub(crate) fn launch(&mut self, slot: usize, plan: &Plan, origin: Origin) {
        let launched = self.spawn(slot, plan);
        let memory = runtime::watch_memory(plan).ok().flatten().filter(|_| launched.is_ok());
        let memory = memory.map(|watch| watch.map(park));
        self.launched(slot, origin, memory, launched);
    }

    fn spawn(&mut self, slot: usize, plan: &Plan) -> std::result::Result<(Starting, Ours), Failure> {
        let fail = |error: Error| Failure { exit_code: 125, ..error.to_failure() };
        self.open_log(slot).map_err(fail)?;
        if let Some(entry) = self.entry(slot) {
            entry.record.set_phase(Phase::Starting);
            entry.record.unclean = true;
        }
        let Some(Some(entry)) = self.entries.get(slot) else {
            return Err(fail(Error::not_found("such container")));
        };
        let saved = self.ledger.put_record(slot, &entry.record);
        saved.map_err(|errno| fail(Error::call("write the record", errno)))?;
        let made = stdio::make(entry.stdio()).and_then(|(ours, mut theirs)| {
            theirs.hold_open(entry.stdio())?;
            Ok((ours, theirs))
        });
        let (ours, theirs) =
            made.map_err(|errno| fail(Error::call("make the pipes of the container", errno)))?;
        let mut fds = self.pidfds_of_others(plan).map_err(fail)?;
        fds.extend(entry.fds.iter().map(|(name, fd)| (name.clone(), fd.as_fd())));
        let stdio = stdio_fds(entry, &theirs, self.null.as_fd());
        let launch = Launch { plan, stdio, fds: &fds, state: "" };
        let starting = runtime::spawn(&launch).map_err(|error| start_failure(&error))?;
        Ok((starting, ours))
    }

    /// The pidfds of the containers whose namespaces the plan joins. A pid could be another process's by now, and at a restart the
    /// other container may have been started again.
    fn pidfds_of_others(&self, plan: &Plan) -> Result<Vec<(String, BorrowedFd<'_>)>> {
        let names = plan.namespaces.iter().filter_map(|namespace| namespace.path.strip_prefix("fd:"));
        let others = names.filter_map(|name| Some((name, name.strip_prefix(OF_CONTAINER)?)));
        let pidfd = |(name, id): (&str, &str)| {
            let entry = self.find(&of_container(id)).and_then(|slot| self.entries.get(slot)?.as_ref());
            let process = entry.and_then(|entry| entry.process.as_ref());
            let process = process.ok_or_else(|| {
                Error::not_running(&format!("container {id}, whose namespace is to be joined,"))
            })?;
            Ok((name.to_owned(), process.pidfd.as_fd()))
        };
        others.map(pidfd).collect()
    }

    fn spawn_exec(
        &mut self,
        slot: usize,
        host: usize,
        plan: &ExecPlan,
    ) -> std::result::Result<(Starting, Ours), Failure> {
        let fail = |error: Error| Failure { exit_code: 125, ..error.to_failure() };
        let null = self.null.as_fd();
        if let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) {
            entry.record.set_phase(Phase::Starting);
        }
        let both = (self.entries.get(slot), self.entries.get(host));
        let (Some(Some(entry)), Some(Some(init))) = both else {
            return Err(fail(Error::not_found("such container")));
        };
        let Some(process) = &init.process else {
            return Err(fail(Error::not_running(&format!("container {}", init.container()))));
        };
        let (ours, theirs) = stdio::make(entry.stdio())
            .map_err(|errno| fail(Error::call("make the pipes of the exec", errno)))?;
        let fds = stdio_fds(entry, &theirs, null);
        let (pidfd, pid) = (process.pidfd.as_fd(), init.record.pid);
        let entrance = Entrance { plan, init: pidfd, init_pid: pid, stdio: fds, state: "" };
        let starting = runtime::spawn_exec(&entrance).map_err(|error| start_failure(&error))?;
        Ok((starting, ours))
    }

    fn launched(
        &mut self,
        slot: usize,
        origin: Origin,
        memory: Option<MemoryWatch>,
        launched: std::result::Result<(Starting, Ours), Failure>,
    ) {
        let (starting, stdio) = match launched {
            Ok(launched) => launched,
            Err(failure) => return self.start_failed(slot, origin, failure),
        };
        let watched = self.poll.add(starting.fd(), Token::Starting(slot), Ready::IN);
        if let Some(entry) = self.entry(slot) {
            entry.starting = Some(Pending { starting, stdio, memory, origin });
        }
        if let Err(errno) = watched
            && self.entry(slot).is_some_and(|entry| entry.starting.take().is_some())
        {
            self.start_failed(slot, origin, Error::call("wait for the start", errno).to_failure());
        }
    }

    /// A start has come further, or has succeeded or failed.
    pub(crate) fn finish_start(&mut self, slot: usize) {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        let Some(mut pending) = entry.starting.take() else { return };
        let over = pending.starting.is_over();
        if matches!(over, Ok(false)) {
            entry.starting = Some(pending);
            return;
        }
        let Pending { starting, mut stdio, memory, origin } = pending;
        self.poll.remove(starting.fd());
        let started = match over.and_then(|_| starting.finish()) {
            Ok(started) => started,
            Err(error) => return self.start_failed(slot, origin, start_failure(&error)),
        };
        if let Some(master) = started.terminal {
            // Without it a read could stop the whole supervisor.
            if nonblocking(&master).is_ok() {
                stdio.terminal = Some(park(master));
            }
        }
        let last_event = self.ledger.last_event();
        let told =
            Started { pid: started.pid, at_ns: clock::wall_ns(), warnings: started.warnings, last_event };
        entry.record.pid = told.pid;
        entry.record.ticks = crate::stat::birth_ticks(told.pid);
        entry.record.started_at_ns = told.at_ns;
        entry.record.pipes = stdio.pipes();
        entry.record.exit = None;
        entry.record.oom_kills = 0;
        entry.record.set_phase(Phase::Running);
        entry.process = Some(Process { pidfd: park(started.pidfd), stdio, memory });
        self.tell_held(slot);
        self.save(slot);
        self.watch_process(slot);
        match origin {
            Origin::Client(client, seq) => self.tell(client, seq, Tell::Started(told)),
            // The warnings were told at the first start; an event is kept, and so has no room for them.
            Origin::Policy => self.emit(slot, Happening::Restarted(Started { warnings: Vec::new(), ..told })),
        }
        self.tell_begin(slot);
        self.wake_clients(slot);
    }

    /// Nothing runs; the runtime has undone what it did.
    pub(crate) fn start_failed(&mut self, slot: usize, origin: Origin, failure: Failure) {
        let Some(entry) = self.entry(slot) else { return };
        entry.record.set_phase(Phase::Exited);
        entry.record.unclean = false;
        match origin {
            Origin::Client(client, seq) => {
                self.release(slot, &[]);
                let unseen = self.entry(slot).is_some_and(|entry| !entry.record.events.is_empty());
                if unseen {
                    self.save(slot);
                } else {
                    self.forget(slot);
                }
                self.tell(client, seq, Tell::Failed(failure));
            }
            Origin::Policy => {
                self.save(slot);
                self.end_clients(slot);
                let message = failure.message.chars().take(300).collect();
                self.emit(slot, Happening::RestartFailed(Failure { message, ..failure }));
            }
        }
    }

    /// Opens the log, unless it is open.
    pub(crate) fn open_log(&mut self, slot: usize) -> Result<()> {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return Ok(()) };
        if let (None, Some(rules)) = (&entry.log, &entry.record.log) {
            let log = ContainerLog::open(&self.ledger, slot, rules)
                .map_err(|errno| Error::call(format!("open the log {}", rules.path), errno))?;
            entry.log = Some(log);
        }
        Ok(())
    }

    /// The descriptors that came with a request, with their names.
    fn named_fds(&mut self, client: u64, names: &[String]) -> Result<Vec<(String, OwnedFd)>> {
        let fds = self.clients.get_mut(&client).and_then(|client| client.take_fds(names.len()));
        let fds =
            fds.ok_or_else(|| Error::invalid("the request names descriptors that did not come along"))?;
        Ok(names.iter().cloned().zip(fds.into_iter().map(park)).collect())
    }
}

fn stdio_fds<'a>(entry: &Entry, theirs: &'a Theirs, null: BorrowedFd<'a>) -> StdioFds<'a> {
    let stdio = entry.stdio();
    if stdio.terminal {
        let size = |cells: u32| cells.min(0xffff) as u16;
        StdioFds::Terminal { width: size(stdio.width), height: size(stdio.height), plain: false }
    } else {
        StdioFds::Pipes(theirs.fds(null))
    }
}
