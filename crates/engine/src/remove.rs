//! `rm`: a container's record, layer, files and anonymous volumes go.

use std::sync::Arc;
use std::time::Duration;

use store::Durability;
use types::Kind;

use crate::create::volumes;
use crate::engine::{CONTAINERS, Engine, Inner, blocking};
use crate::state::{Entry, Record, Status};
use crate::{Error, Result, detached};

/// How to remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Anonymous volumes too.
    pub volumes: bool,
    /// Also when it runs.
    pub force: bool,
}

impl Engine {
    /// Removes a container.
    ///
    /// # Errors
    /// `Conflict` when it runs (without force) or is being removed; when something of it cannot be removed.
    pub async fn remove(&self, who: &str, options: RemoveOptions) -> Result<()> {
        let entry = self.0.find(who)?;
        let status = entry.record().state.status;
        if status == Status::Removing {
            return Err(Error::conflict(format!("removal of container {who} is already in progress")));
        }
        let engine = self.clone();
        detached(async move {
            let _change = entry.change.lock().await;
            let record = entry.record();
            if entry.phase().borrow().removed {
                return Err(Error::no_container(&record.id));
            }
            if record.state.is_live() {
                if !options.force {
                    return Err(refused(&record));
                }
                // The end must not remove it a second time.
                entry.modify(|r| r.host.auto_remove = false);
                let down = engine.bring_down(&entry, Some(0), Some("SIGKILL")).await;
                if let Err(error) = down {
                    entry.modify(|r| r.host.auto_remove = record.host.auto_remove);
                    return Err(error);
                }
            }
            engine.take_apart(&entry, options.volumes || record.host.auto_remove).await
        })
        .await
    }

    /// Removes a container that has ended and was started with `--rm`.
    pub(crate) async fn remove_ended(&self, entry: &Arc<Entry>) {
        let _change = entry.change.lock().await;
        let record = entry.record();
        if record.state.is_live() || !record.host.auto_remove || entry.phase().borrow().removed {
            return;
        }
        if let Err(error) = self.take_apart(entry, true).await {
            tracing::error!(container = %record.id, %error, "an ended container could not be removed");
        }
    }

    /// Takes a container that does not run apart; the caller holds its `change`.
    pub(crate) async fn take_apart(&self, entry: &Arc<Entry>, with_volumes: bool) -> Result<()> {
        let inner = &self.0;
        let record = entry.modify(|r| r.state.status = Status::Removing);
        let (engine, parts) = (self.clone(), record.clone());
        let gone = blocking(move || engine.0.remove_parts(&parts, with_volumes));
        let (gone, ()) = tokio::join!(gone, self.forget_process(&record.id));
        if let Err(error) = gone.and_then(|gone| gone) {
            inner.change(entry, |r| {
                r.state.status = Status::Dead;
                r.state.error = error.to_string();
            });
            return Err(error);
        }
        inner.execs.forget_container(&record.id);
        inner.table.remove(&record.id);
        inner.tell(&record, "destroy", &[]);
        entry.set_removed();
        Ok(())
    }
}

fn refused(record: &Record) -> Error {
    let advice = match record.state.status {
        Status::Paused => "container is paused and must be unpaused first",
        Status::Restarting => "container is restarting: stop the container before removing or force remove",
        _ => "container is running: stop the container before removing or force remove",
    };
    Error::conflict(format!("cannot remove container \"/{}\": {advice}", record.name))
}

impl Inner {
    /// Everything on disk that is a container's. What is gone already is fine, so that a failed removal can be repeated. Blocks.
    pub(crate) fn remove_parts(&self, record: &Record, with_volumes: bool) -> Result<()> {
        if let Some(network) = &record.network {
            self.release(&record.id, network);
        }
        let _ = std::fs::remove_file(self.plan_path(&record.id));
        self.discard_snapshot(&record.id)?;
        match std::fs::remove_dir_all(self.directory(&record.id)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("cannot remove the container's directory", e));
            }
            _ => {}
        }
        if with_volumes {
            for volume in volumes::discard(&self.store, &record.mounts) {
                self.tell_volume("destroy", &volume);
            }
        }
        Ok(self.store.records().delete(CONTAINERS, &record.id, Durability::Relaxed)?)
    }

    /// Discards the writable layer. Right after an end the kernel may still hold its mount for a moment.
    fn discard_snapshot(&self, id: &str) -> Result<()> {
        let mut tries = 0;
        loop {
            match self.store.discard(id) {
                Err(e) if e.kind() == Kind::NotFound => return Ok(()),
                Err(_) if tries < 20 => {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(5));
                }
                done => return Ok(done?),
            }
        }
    }
}
