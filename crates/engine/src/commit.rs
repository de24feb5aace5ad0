//! `commit`, `diff` and `export`: what a container wrote into its root.

use std::io::Write;
use std::sync::Arc;

use dockerapi::FilesystemChange;
use plan::spec::commit::{complete, portable};
use store::{Captured, ChangeKind, CommitConfig, Image, Owners};
use types::{Digest, Kind};

use crate::create::prepare::USERS;
use crate::engine::{Engine, apart, blocking};
use crate::images::new_name;
use crate::state::{Entry, Record, Status};
use crate::{Error, Result, detached};

/// A new image of a container.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Of which.
    pub container: String,
    /// The image's name, when it gets one.
    pub reference: Option<String>,
    /// Freeze it meanwhile.
    pub pause: bool,
    /// Who made the image.
    pub author: String,
    /// What its history says.
    pub message: String,
    /// Dockerfile instructions for its configuration.
    pub changes: Vec<String>,
    /// Its configuration, where it is to be other than the container's.
    pub config: Option<dockerapi::Config>,
}

impl Engine {
    /// What a container changed in its root, by path.
    ///
    /// # Errors
    /// When there is no such container, or it is removed meanwhile.
    pub async fn changes(&self, who: &str) -> Result<Vec<FilesystemChange>> {
        let record = self.0.find(who)?.record();
        let engine = self.clone();
        let changed = blocking(move || engine.0.store.changes(&record.id, owners(&record))).await??;
        Ok(changed
            .into_iter()
            .map(|one| FilesystemChange {
                path: String::from_utf8_lossy(&one.path).into_owned(),
                kind: match one.kind {
                    ChangeKind::Modified => 0,
                    ChangeKind::Added => 1,
                    ChangeKind::Deleted => 2,
                },
            })
            .collect())
    }

    /// Writes a container's root as a tar.
    ///
    /// # Errors
    /// When there is no such container, it is dead or being removed, or the output fails.
    pub async fn export(&self, who: &str, mut output: impl Write + Send + 'static) -> Result<()> {
        let record = self.0.find(who)?.record();
        refuse_dying(&record, "export")?;
        let engine = self.clone();
        Ok(apart(move || engine.0.store.export(&record.id, owners(&record), &mut output)).await??)
    }

    /// Makes an image of a container; answers its id.
    ///
    /// # Errors
    /// A name or change that is malformed; a container that is not there, dead or being removed; an image below it that is gone.
    pub async fn commit(&self, commit: Commit) -> Result<String> {
        let refusal = "refusing to create a tag with a digest reference";
        let name = commit.reference.as_deref().map(|text| new_name(text, refusal)).transpose()?;
        let entry = self.0.find(&commit.container)?;
        let engine = self.clone();
        detached(async move {
            let (captured, record, base) = engine.captured(&entry, &commit).await?;
            let dressed = dress(&commit, &record, &base)?;
            let (inner, asked) = (engine.clone(), name.clone());
            let made =
                blocking(move || inner.0.store.commit_container(captured, &base, dressed, asked.as_ref()));
            let image = made.await??;
            engine.0.tell_commit(&record, &image, name.as_ref(), &commit.message);
            Ok(image.id.to_string())
        })
        .await
    }

    /// What it wrote, its record, and the image that it stands on. Nothing else is done to the container meanwhile.
    async fn captured(
        &self,
        entry: &Arc<Entry>,
        commit: &Commit,
    ) -> Result<(Captured, Arc<Record>, Arc<Image>)> {
        let _change = entry.change.lock().await;
        let record = entry.record();
        if entry.phase().borrow().removed {
            return Err(Error::no_container(&commit.container));
        }
        refuse_dying(&record, "commit")?;
        let base = self.base(&record)?;
        dress(commit, &record, &base)?;
        let frozen = commit.pause && record.state.status == Status::Running && self.hold_still(entry).await;
        let (engine, of) = (self.clone(), record.clone());
        let captured = blocking(move || engine.0.store.capture(&of.id, owners(&of))).await;
        if frozen {
            self.thaw(entry).await;
        }
        Ok((captured??, record, base))
    }

    fn base(&self, record: &Record) -> Result<Arc<Image>> {
        let id: Option<Digest> = record.image_id.parse().ok();
        id.and_then(|id| self.0.store.images().get(&id).cloned()).ok_or_else(|| {
            let (container, image) = (&record.name, &record.image_id);
            let what = format!("container {container} cannot be committed: its image {image} was removed");
            Error::new(Kind::NotFound, what)
        })
    }

    /// Freezes a running container. False when it could not be: then it is taken as it is, as Docker does.
    async fn hold_still(&self, entry: &Arc<Entry>) -> bool {
        // Written down before: a daemon that is killed meanwhile leaves it to the next one to thaw it.
        let record = self.0.change(entry, |r| r.state.held_still = true);
        let frozen = self.0.supervisor.pause(&record.id, true).await.is_ok();
        let record = self.0.change(entry, |r| {
            r.state.held_still = frozen;
            if frozen && r.state.is_running() {
                r.state.status = Status::Paused;
            }
        });
        if frozen {
            self.0.tell(&record, "pause", &[]);
        }
        frozen
    }

    /// Thaws it again.
    pub(crate) async fn thaw(&self, entry: &Arc<Entry>) {
        let id = entry.record().id.clone();
        if let Err(error) = self.0.supervisor.pause(&id, false).await
            && entry.record().state.is_running()
        {
            tracing::error!(container = %id, %error, "a container that was committed could not be unpaused");
            return;
        }
        let record = self.0.change(entry, |r| {
            r.state.held_still = false;
            // It may have ended meanwhile.
            if r.state.status == Status::Paused {
                r.state.status = Status::Running;
            }
        });
        self.0.tell(&record, "unpause", &[]);
    }
}

/// Whose ids are on the disk: those of the users that the container has of its own.
fn owners(record: &Record) -> Owners {
    match record.host.userns_mode.as_str() {
        "auto" | "private" => Owners { first: USERS.0, count: USERS.1 },
        _ => Owners::default(),
    }
}

fn refuse_dying(record: &Record, doing: &str) -> Result<()> {
    let (id, what) = (
        &record.id,
        match record.state.status {
            Status::Dead => "Dead",
            Status::Removing => "being removed",
            _ => return Ok(()),
        },
    );
    Err(Error::conflict(format!("You cannot {doing} container {id} which is {what}")))
}

/// How the image is dressed: as asked for, changed, and completed by the container.
fn dress(commit: &Commit, record: &Record, base: &Image) -> Result<CommitConfig> {
    let container = portable(&record.config);
    let mut config = commit.config.as_ref().map_or_else(|| container.clone(), portable);
    store::apply_changes(&mut config, &commit.changes)?;
    complete(&mut config, &container, base.config.config.as_ref());
    Ok(CommitConfig {
        config,
        author: commit.author.clone(),
        message: commit.message.clone(),
        created_by: record.config.cmd.as_deref().unwrap_or_default().join(" "),
    })
}
