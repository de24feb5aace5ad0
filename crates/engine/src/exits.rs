//! What the supervisor tells: processes end, are started again by their policy, run out of memory. Handled one after the other
//! and acknowledged when written down, so that none is lost when the daemon dies in between.

use std::sync::Arc;

use protocol::{Event, Exit, Exited, Failure, Happening, Started, Target};
use types::Kind;

use crate::engine::{Engine, blocking};
use crate::state::{Entry, Record, Status};

/// Of a process whose end nobody could tell.
pub(crate) const UNKNOWN: i32 = 255;

impl Engine {
    /// Handles one event.
    pub(crate) async fn handle(&self, event: Event) {
        let Some(target) = event.target else { return };
        let Some(entry) = self.0.table.by_id(&target.container) else { return };
        if !target.exec.is_empty() {
            if let Some(Happening::Exited(exited)) = event.what {
                self.0.execs.ended(&target.exec, exited.exit.as_ref());
                self.0.tell_exec_end(&entry.record(), &target.exec, exited.exit.as_ref());
            }
            return;
        }
        // A start that has not been written down yet comes before its end.
        let starting = entry.starting.lock().await;
        drop(starting);
        // It was on its way here when the container was started anew: what it says is no longer so.
        if event.number <= entry.record().state.last_event {
            return;
        }
        match event.what {
            Some(Happening::Exited(exited)) => self.ended(&entry, exited).await,
            Some(Happening::Restarted(started)) => self.restarted(&entry, &started).await,
            Some(Happening::RestartFailed(failure)) => {
                self.restart_failed(&entry, failure, event.at_ns).await
            }
            Some(Happening::OutOfMemory(_)) => self.out_of_memory(&entry),
            None => {}
        }
    }

    /// A container's first process has ended.
    pub(crate) async fn ended(&self, entry: &Arc<Entry>, exited: Exited) {
        let inner = &self.0;
        let before = entry.record();
        if !before.state.is_running() {
            return;
        }
        let exit = exited.exit.unwrap_or_default();
        // Whoever stops it has the restart called off, which may cross with this news of one.
        let restarting = exited.restarting && !before.state.stopped_by_hand;
        if exit.oom && !before.state.oom_killed {
            inner.tell(&before, "oom", &[]);
        }
        if !restarting {
            self.let_go(&before).await;
        }
        let record = inner.change(entry, |r| {
            apply_exit(r, &exit);
            r.state.status = if restarting { Status::Restarting } else { Status::Exited };
            if !restarting {
                r.network = None;
            }
        });
        inner.execs.container_ended(&record.id);
        self.tell_die(&record, exit.at_ns);
        if !restarting {
            inner.tell_left(&record);
            self.after_end(entry);
        }
    }

    async fn restarted(&self, entry: &Arc<Entry>, started: &Started) {
        let id = entry.record().id.clone();
        if !entry.record().state.is_live() {
            // It was stopped meanwhile, and its place on the network is gone.
            tracing::warn!(container = %id, "a stopped container was started again by its policy; it is ended");
            let target = Target { container: id, exec: String::new() };
            let _ = self.0.supervisor.signal(target, 9, false).await;
            return;
        }
        let record = self.0.change(entry, |r| {
            r.state.status = Status::Running;
            r.state.pid = started.pid;
            r.state.started_ns = started.at_ns;
            r.state.restarts += 1;
            r.state.oom_killed = false;
        });
        self.0.tell(&record, "start", &[]);
    }

    async fn restart_failed(&self, entry: &Arc<Entry>, failure: Failure, at_ns: i64) {
        if !entry.record().state.is_live() {
            return;
        }
        self.let_go(&entry.record()).await;
        let code = if failure.exit_code == 0 { 128 } else { failure.exit_code };
        let record = self.0.change(entry, |r| {
            apply_exit(r, &Exit { code: Some(code), oom: false, at_ns });
            r.state.status = Status::Exited;
            r.state.error = failure.message;
            r.network = None;
        });
        self.tell_die(&record, at_ns);
        self.0.tell_left(&record);
        self.after_end(entry);
    }

    fn out_of_memory(&self, entry: &Arc<Entry>) {
        if entry.record().state.oom_killed {
            return;
        }
        let record = self.0.change(entry, |r| r.state.oom_killed = true);
        self.0.tell(&record, "oom", &[]);
    }

    /// A restart that was pending is called off: the container is down for good.
    pub(crate) async fn settle_down(&self, entry: &Arc<Entry>) {
        if entry.record().state.status != Status::Restarting {
            return;
        }
        self.let_go(&entry.record()).await;
        let record = self.0.change(entry, |r| {
            r.state.status = Status::Exited;
            r.network = None;
        });
        self.0.tell_left(&record);
        self.after_end(entry);
    }

    fn tell_die(&self, record: &Record, at_ns: i64) {
        let code = record.state.exit_code.unwrap_or(UNKNOWN);
        let lived_s = (at_ns - record.state.started_ns).max(0) / 1_000_000_000;
        self.0.tell(record, "die", &[("exitCode", code.to_string()), ("execDuration", lived_s.to_string())]);
    }

    /// Gives back what only a running container needs. Done before anybody is told that it ended, so that its ports can be
    /// taken again at once.
    async fn let_go(&self, record: &Record) {
        let (engine, id, network) = (self.clone(), record.id.clone(), record.network.clone());
        let released = blocking(move || {
            let _ = std::fs::remove_file(engine.0.plan_path(&id));
            if let Some(network) = network {
                engine.0.release(&id, &network);
            }
        });
        if let Err(error) = released.await {
            tracing::error!(%error, "an ended container could not be let go");
        }
    }

    /// The supervisor forgets an ended container; one with `--rm` goes.
    fn after_end(&self, entry: &Arc<Entry>) {
        let (engine, entry) = (self.clone(), entry.clone());
        tokio::spawn(async move {
            let record = entry.record();
            if record.host.auto_remove {
                engine.remove_ended(&entry).await;
            } else {
                engine.forget_process(&record.id).await;
            }
        });
    }

    /// Has the supervisor release what an ended container still holds.
    pub(crate) async fn forget_process(&self, id: &str) {
        let target = Target { container: id.to_owned(), exec: String::new() };
        if let Err(error) = self.0.supervisor.remove(target).await
            && !matches!(error.kind(), Kind::NotFound | Kind::Conflict)
        {
            tracing::warn!(container = %id, %error, "the supervisor could not let an ended container go");
        }
    }
}

fn apply_exit(record: &mut Record, exit: &Exit) {
    record.state.pid = 0;
    record.state.exit_code = Some(exit.code.unwrap_or(UNKNOWN));
    record.state.oom_killed |= exit.oom;
    record.state.finished_ns = exit.at_ns;
    if exit.code.is_none() {
        "the exit code is unknown: nobody could see how the process ended"
            .clone_into(&mut record.state.error);
    }
}
