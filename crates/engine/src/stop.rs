//! Ending containers: stop, kill, restart; and freezing them.

use std::sync::Arc;
use std::time::Duration;

use plan::spec::signal;
use protocol::Target;
use types::Kind;

use crate::engine::Engine;
use crate::state::{Entry, Record, Status};
use crate::{Error, Result, detached};

const SIGKILL: i32 = 9;
/// Docker's grace when nobody said anything.
const GRACE_S: i64 = 10;
/// How long a killed process may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

impl Engine {
    /// Ends a container: its stop signal, then after `timeout_s` seconds (-1: never) `SIGKILL`.
    ///
    /// # Errors
    /// `NotModified` when it does not run; when the signal is none; when it does not die.
    pub async fn stop(&self, who: &str, timeout_s: Option<i64>, signal: Option<String>) -> Result<()> {
        let entry = self.0.find(who)?;
        let engine = self.clone();
        detached(async move {
            let _change = entry.change.lock().await;
            let record = entry.record();
            if !record.state.is_live() {
                return Err(Error::new(
                    Kind::NotModified,
                    format!("container {} is already stopped", record.id),
                ));
            }
            engine.bring_down(&entry, timeout_s, signal.as_deref()).await?;
            engine.0.tell(&entry.record(), "stop", &[]);
            Ok(())
        })
        .await
    }

    /// Stops (when it runs) and starts again.
    ///
    /// # Errors
    /// As `stop` and `start`.
    pub async fn restart(&self, who: &str, timeout_s: Option<i64>, signal: Option<String>) -> Result<()> {
        let entry = self.0.find(who)?;
        let engine = self.clone();
        detached(async move {
            let _change = entry.change.lock().await;
            if entry.record().state.is_live() {
                // Without this an ending `--rm` container would go instead of starting again.
                let keep = entry.record().host.auto_remove;
                if keep {
                    entry.modify(|r| r.host.auto_remove = false);
                }
                let down = engine.bring_down(&entry, timeout_s, signal.as_deref()).await;
                if keep {
                    entry.modify(|r| r.host.auto_remove = true);
                }
                down?;
                engine.0.tell(&entry.record(), "stop", &[]);
            }
            engine.launch(&entry).await?;
            engine.0.tell(&entry.record(), "restart", &[]);
            Ok(())
        })
        .await
    }

    /// Sends a signal to the container's first process.
    ///
    /// # Errors
    /// `Conflict` when it does not run; when the signal is none.
    pub async fn kill(&self, who: &str, signal: &str) -> Result<()> {
        let entry = self
            .0
            .find(who)
            .map_err(|e| Error::new(e.kind(), format!("cannot kill container: {who}: {e}")))?;
        let number = if signal.is_empty() { SIGKILL } else { signal::parse(signal)? };
        let record = entry.record();
        if !record.state.is_running() {
            return Err(Error::conflict(format!(
                "cannot kill container: {who}: container {} is not running",
                record.id
            )));
        }
        let engine = self.clone();
        detached(async move {
            if number == SIGKILL || number == stop_signal(&record, None)? {
                engine.hold(&entry).await?;
            }
            engine.signal(&record, number).await?;
            if number == SIGKILL {
                engine.wait_down(&entry, KILL_PATIENCE).await;
            }
            Ok(())
        })
        .await
    }

    /// Freezes every process of a container.
    ///
    /// # Errors
    /// `Conflict` when it does not run or is frozen already.
    pub async fn pause(&self, who: &str) -> Result<()> {
        self.freeze(who, true).await
    }

    /// Thaws a frozen container.
    ///
    /// # Errors
    /// `Conflict` when it is not frozen.
    pub async fn unpause(&self, who: &str) -> Result<()> {
        self.freeze(who, false).await
    }

    async fn freeze(&self, who: &str, frozen: bool) -> Result<()> {
        let entry = self.0.find(who)?;
        let engine = self.clone();
        detached(async move {
            let _change = entry.change.lock().await;
            let record = entry.record();
            let id = &record.id;
            match (record.state.status, frozen) {
                (Status::Running, true) | (Status::Paused, false) => {}
                (Status::Paused, true) => {
                    return Err(Error::conflict(format!("Container {id} is already paused")));
                }
                (_, false) => return Err(Error::conflict(format!("Container {id} is not paused"))),
                (Status::Restarting, true) => {
                    return Err(Error::conflict(format!(
                        "Container {id} is restarting, wait until the container is running"
                    )));
                }
                (_, true) => return Err(Error::conflict(format!("Container {id} is not running"))),
            }
            engine.0.supervisor.pause(id, frozen).await?;
            let status = if frozen { Status::Paused } else { Status::Running };
            // It may have ended meanwhile: an ended container is neither.
            let record = engine.0.change(&entry, |r| {
                if r.state.is_running() {
                    r.state.status = status;
                }
            });
            engine.0.tell(&record, if frozen { "pause" } else { "unpause" }, &[]);
            Ok(())
        })
        .await
    }

    /// Brings a live container down for good; the caller holds its `change`.
    pub(crate) async fn bring_down(
        &self,
        entry: &Arc<Entry>,
        timeout_s: Option<i64>,
        signal: Option<&str>,
    ) -> Result<()> {
        let record = entry.record();
        let number = stop_signal(&record, signal)?;
        let timeout_s = timeout_s.or(record.config.stop_timeout).unwrap_or(GRACE_S);
        self.hold(entry).await?;
        self.settle_down(entry).await;
        self.signal_unless_ended(entry, number).await?;
        if record.state.status == Status::Paused {
            // A frozen process gets its signal when it thaws.
            let _ = self.0.supervisor.pause(&record.id, false).await;
        }
        let grace =
            u64::try_from(timeout_s).map_or(Duration::from_secs(u64::from(u32::MAX)), Duration::from_secs);
        if number == SIGKILL || !self.wait_down(entry, grace).await {
            if number != SIGKILL {
                self.signal_unless_ended(entry, SIGKILL).await?;
            }
            if !self.wait_down(entry, KILL_PATIENCE).await {
                return Err(Error::new(
                    Kind::Internal,
                    format!("container {} did not end within {KILL_PATIENCE:?} of SIGKILL", record.id),
                ));
            }
        }
        if has_policy(&record) {
            // The policy may have begun to start it again before it was called off.
            self.end_for_good(&record.id).await;
        }
        Ok(())
    }

    /// Notes that a person wants it down, and calls off restarts.
    async fn hold(&self, entry: &Arc<Entry>) -> Result<()> {
        let record = self.0.change(entry, |r| r.state.stopped_by_hand = true);
        if !has_policy(&record) {
            return Ok(());
        }
        let target = Target { container: record.id.clone(), exec: String::new() };
        match self.0.supervisor.hold_restart(target).await {
            Err(error) if error.kind() != Kind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    async fn signal_unless_ended(&self, entry: &Arc<Entry>, number: i32) -> Result<()> {
        let record = entry.record();
        if !record.state.is_running() {
            return Ok(());
        }
        match self.signal(&record, number).await {
            // It ended by itself; its end is on the way here.
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Conflict) => Ok(()),
            sent => sent,
        }
    }

    async fn signal(&self, record: &Record, number: i32) -> Result<()> {
        let target = Target { container: record.id.clone(), exec: String::new() };
        self.0.supervisor.signal(target, number, false).await?;
        self.0.tell(record, "kill", &[("signal", number.to_string())]);
        Ok(())
    }

    /// Waits until it does not run; false when it still does after that time.
    pub(crate) async fn wait_down(&self, entry: &Arc<Entry>, patience: Duration) -> bool {
        let mut phase = entry.phase();
        tokio::time::timeout(patience, phase.wait_for(|p| !p.live)).await.is_ok()
    }
}

fn has_policy(record: &Record) -> bool {
    !matches!(record.host.restart_policy.name.as_str(), "" | "no")
}

fn stop_signal(record: &Record, asked: Option<&str>) -> Result<i32> {
    match asked.filter(|s| !s.is_empty()).unwrap_or(&record.config.stop_signal) {
        "" => Ok(15),
        text => Ok(signal::parse(text)?),
    }
}
