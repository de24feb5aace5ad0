//! Changes to the records, as pushes and deletions make them.

use crate::digest::Digest;
use rusqlite::params;
use serde_json::json;
use types::weak;

use super::files::Spooled;
use super::index::{self, Key};
use super::ledger::Batch;
use super::now;
use crate::code::{Code, Refusal};
use crate::error::{Error, Result};
use crate::manifest::Checked;
use crate::name::{Name, Tag};
use crate::route::Target;

/// A manifest to be recorded.
pub(crate) struct NewManifest {
    pub(crate) name: Name,
    pub(crate) tags: Vec<Tag>,
    pub(crate) spooled: Spooled,
    pub(crate) checked: Checked,
}

impl Batch<'_> {
    /// A blob arrived: it has its place, and the repository has it.
    pub(crate) fn add_blob(&mut self, name: &Name, spooled: &Spooled) -> Result<(), Refusal> {
        self.add_content(spooled)?;
        let repository = self.repository(name)?;
        self.link(repository, spooled.digest).map_err(Refusal::from)
    }

    /// The repository gets a blob that another one has. False when that one has it no longer.
    pub(crate) fn mount(&mut self, name: &Name, from: &Name, digest: Digest) -> Result<bool, Refusal> {
        if index::blob(self.db(), from, digest)?.is_none() {
            return Ok(false);
        }
        let repository = self.repository(name)?;
        self.link(repository, digest)?;
        Ok(true)
    }

    /// Somebody made sure of a blob and will count on it. False when it has gone.
    pub(crate) fn renew(&mut self, name: &Name, digest: Digest) -> Result<bool, Refusal> {
        let changed = self
            .db()
            .prepare_cached(
                "UPDATE link SET leased = ?3 WHERE digest = ?2
                 AND repository = (SELECT id FROM repository WHERE name = ?1)",
            )
            .and_then(|mut change| change.execute(params![name.as_str(), Key(digest), now()]))
            .map_err(Error::from)?;
        Ok(changed > 0)
    }

    /// A manifest arrived: all that it needs is there, so it is recorded, and its tag moved.
    pub(crate) fn add_manifest(&mut self, new: &NewManifest) -> Result<(), Refusal> {
        if !weak::is_off("D07") {
            self.needs_are_there(new)?;
        }
        self.add_foreign_manifest(new)
    }

    /// A manifest came from upstream: what it needs comes when somebody asks for it.
    pub(crate) fn add_foreign_manifest(&mut self, new: &NewManifest) -> Result<(), Refusal> {
        self.add_content(&new.spooled)?;
        let repository = self.repository(&new.name)?;
        self.record(repository, new).map_err(Refusal::from)
    }

    /// What a target is now: whoever wants to change it may count on that until the change is made.
    pub(crate) fn current(&self, name: &Name, target: &Target) -> Result<Option<Digest>> {
        Ok(index::manifest(self.db(), name, target)?.map(|found| found.digest))
    }

    fn needs_are_there(&self, new: &NewManifest) -> Result<(), Refusal> {
        for (digest, size) in &new.checked.blobs {
            let there = index::blob(self.db(), &new.name, *digest)?;
            is_there("blob", *digest, *size, there)?;
        }
        for (digest, size) in &new.checked.manifests {
            let there = index::manifest(self.db(), &new.name, &Target::Digest(*digest))?;
            is_there("manifest", *digest, *size, there.map(|found| found.size))?;
        }
        Ok(())
    }

    fn record(&mut self, repository: i64, new: &NewManifest) -> Result<()> {
        let (digest, checked) = (Key(new.spooled.digest), &new.checked);
        let db = self.db();
        db.prepare_cached(
            "INSERT INTO manifest (repository, digest, media_type, subject, artifact_type, annotations, leased)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET media_type = excluded.media_type, leased = excluded.leased",
        )?
        .execute(params![
            repository,
            digest,
            checked.media_type,
            checked.subject.map(Key),
            checked.artifact_type,
            json!(checked.annotations).to_string(),
            now()
        ])?;
        let mut need = db.prepare_cached(
            "INSERT OR IGNORE INTO need (repository, manifest, target, size) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for (target, size) in checked.blobs.iter().chain(&checked.manifests) {
            need.execute(params![
                repository,
                digest,
                Key(*target),
                i64::try_from(*size).unwrap_or(i64::MAX)
            ])?;
        }
        for tag in &new.tags {
            db.prepare_cached(
                "INSERT INTO tag (repository, name, digest) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET digest = excluded.digest",
            )?
            .execute(params![repository, tag.as_str(), digest])?;
        }
        Ok(())
    }

    /// Removes a tag. False when there is none.
    pub(crate) fn delete_tag(&mut self, name: &Name, tag: &Tag) -> Result<bool, Refusal> {
        self.delete(
            "DELETE FROM tag WHERE repository = (SELECT id FROM repository WHERE name = ?1) AND name = ?2",
            params![name.as_str(), tag.as_str()],
        )
    }

    /// Removes a manifest and the tags that mean it. False when there is none.
    pub(crate) fn delete_manifest(&mut self, name: &Name, digest: Digest) -> Result<bool, Refusal> {
        const OF: &str = "repository = (SELECT id FROM repository WHERE name = ?1)";
        let values = || (name.as_str(), Key(digest));
        self.delete(&format!("DELETE FROM tag WHERE {OF} AND digest = ?2"), values())?;
        self.delete(&format!("DELETE FROM need WHERE {OF} AND manifest = ?2"), values())?;
        self.delete(&format!("DELETE FROM manifest WHERE {OF} AND digest = ?2"), values())
    }

    /// The repository has a blob no longer. False when it had none.
    pub(crate) fn delete_blob(&mut self, name: &Name, digest: Digest) -> Result<bool, Refusal> {
        self.delete(
            "DELETE FROM link WHERE repository = (SELECT id FROM repository WHERE name = ?1) AND digest = ?2",
            params![name.as_str(), Key(digest)],
        )
    }

    fn delete(&mut self, text: &str, values: impl rusqlite::Params) -> Result<bool, Refusal> {
        let run = || self.db().prepare_cached(text)?.execute(values);
        Ok(run().map_err(Error::from)? > 0)
    }

    fn add_content(&mut self, spooled: &Spooled) -> Result<()> {
        self.place(spooled)?;
        let size = i64::try_from(spooled.size).unwrap_or(i64::MAX);
        self.db()
            .prepare_cached("INSERT INTO content (digest, size) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![Key(spooled.digest), size])?;
        Ok(())
    }

    fn repository(&mut self, name: &Name) -> Result<i64> {
        let db = self.db();
        db.prepare_cached("INSERT OR IGNORE INTO repository (name) VALUES (?1)")?.execute([name.as_str()])?;
        let mut ask = db.prepare_cached("SELECT id FROM repository WHERE name = ?1")?;
        Ok(ask.query_row([name.as_str()], |row| row.get(0))?)
    }

    fn link(&mut self, repository: i64, digest: Digest) -> Result<()> {
        self.db()
            .prepare_cached(
                "INSERT INTO link (repository, digest, leased) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET leased = excluded.leased",
            )?
            .execute(params![repository, Key(digest), now()])?;
        Ok(())
    }
}

fn is_there(what: &str, digest: Digest, size: u64, there: Option<u64>) -> Result<(), Refusal> {
    let detail = json!({ "digest": digest.to_string() });
    match there {
        None => {
            let message =
                format!("the manifest names the {what} {digest}, which the repository does not have");
            Err(Refusal::new(Code::ManifestBlobUnknown, message).detail(detail))
        }
        Some(real) if real != size => {
            let message = format!("the manifest says that {digest} has {size} bytes, but it has {real}");
            Err(Refusal::new(Code::ManifestInvalid, message).detail(detail))
        }
        Some(_) => Ok(()),
    }
}
