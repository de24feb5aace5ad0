//! What the records say. Every answer comes from them, at the time of asking.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::digest::Digest;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, ToSql, params};
use types::weak;

use super::files::Files;
use super::schema;
use crate::error::Result;
use crate::name::Name;
use crate::route::Target;

/// Connections that nobody uses just now.
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

/// A manifest of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) media_type: String,
}

/// A manifest that is about another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Referrer {
    pub(crate) found: Found,
    pub(crate) artifact_type: String,
    /// An object, as JSON.
    pub(crate) annotations: String,
}

/// Part of a sorted list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page<T> {
    pub(crate) entries: Vec<T>,
    /// There is more behind the last entry.
    pub(crate) more: bool,
}

/// A digest as the records hold it: its bytes, whose number tells the algorithm.
pub(super) struct Key(pub(super) Digest);

impl ToSql for Key {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.0.bytes())))
    }
}

impl FromSql for Key {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Digest::from_bytes(value.as_blob()?).map(Self).ok_or(FromSqlError::InvalidType)
    }
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default() }
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let db = idle.map_or_else(|| schema::open_reader(&self.path), Ok)?;
        let result = look(&db);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
        result
    }
}

/// The size of a blob, when the repository has it.
pub(crate) fn blob(db: &Connection, name: &Name, digest: Digest) -> Result<Option<u64>> {
    if weak::is_off("D03") {
        let mut ask = db.prepare_cached("SELECT size FROM content WHERE digest = ?1")?;
        return Ok(ask.query_row([Key(digest)], |row| size(row, 0)).optional()?);
    }
    let mut ask = db.prepare_cached(
        "SELECT content.size FROM repository JOIN link ON link.repository = repository.id
         JOIN content ON content.digest = link.digest WHERE repository.name = ?1 AND link.digest = ?2",
    )?;
    Ok(ask.query_row(params![name.as_str(), Key(digest)], |row| size(row, 0)).optional()?)
}

/// The size of a blob as a manifest of the repository has it, whether the blob is here or not.
pub(crate) fn needed_size(db: &Connection, name: &Name, digest: Digest) -> Result<Option<u64>> {
    let mut ask = db.prepare_cached(
        "SELECT need.size FROM repository JOIN need ON need.repository = repository.id
         WHERE repository.name = ?1 AND need.target = ?2 LIMIT 1",
    )?;
    Ok(ask.query_row(params![name.as_str(), Key(digest)], |row| size(row, 0)).optional()?)
}

/// When somebody last made sure of a blob.
pub(crate) fn leased(db: &Connection, name: &Name, digest: Digest) -> Result<Option<i64>> {
    let mut ask = db.prepare_cached(
        "SELECT link.leased FROM repository JOIN link ON link.repository = repository.id
         WHERE repository.name = ?1 AND link.digest = ?2",
    )?;
    Ok(ask.query_row(params![name.as_str(), Key(digest)], |row| row.get(0)).optional()?)
}

/// A repository that has the blob, for a mount from anywhere.
pub(crate) fn holder(db: &Connection, digest: Digest) -> Result<Option<String>> {
    let mut ask = db.prepare_cached(
        "SELECT repository.name FROM link JOIN repository ON repository.id = link.repository
         WHERE link.digest = ?1 LIMIT 1",
    )?;
    Ok(ask.query_row([Key(digest)], |row| row.get(0)).optional()?)
}

/// A manifest, when the repository has it.
pub(crate) fn manifest(db: &Connection, name: &Name, target: &Target) -> Result<Option<Found>> {
    let found = match target {
        Target::Digest(digest) => db
            .prepare_cached(
                "SELECT manifest.digest, content.size, manifest.media_type FROM repository
                 JOIN manifest ON manifest.repository = repository.id
                 JOIN content ON content.digest = manifest.digest
                 WHERE repository.name = ?1 AND manifest.digest = ?2",
            )?
            .query_row(params![name.as_str(), Key(*digest)], found),
        Target::Tag(tag) => db
            .prepare_cached(
                "SELECT manifest.digest, content.size, manifest.media_type FROM repository
                 JOIN tag ON tag.repository = repository.id
                 JOIN manifest ON manifest.repository = repository.id AND manifest.digest = tag.digest
                 JOIN content ON content.digest = manifest.digest
                 WHERE repository.name = ?1 AND tag.name = ?2",
            )?
            .query_row(params![name.as_str(), tag.as_str()], found),
    };
    Ok(found.optional()?)
}

/// A column with a size in bytes.
pub(super) fn size(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::unsigned_abs)
}

fn found(row: &rusqlite::Row<'_>) -> rusqlite::Result<Found> {
    let Key(digest) = row.get(0)?;
    Ok(Found { digest, size: size(row, 1)?, media_type: row.get(2)? })
}

/// Tags of a repository behind `last`, in their order; nothing when there is no such repository.
pub(crate) fn tags(db: &Connection, name: &Name, last: &str, most: usize) -> Result<Option<Page<String>>> {
    let mut ask = db.prepare_cached("SELECT id FROM repository WHERE name = ?1")?;
    let Some(id) = ask.query_row([name.as_str()], |row| row.get::<_, i64>(0)).optional()? else {
        return Ok(None);
    };
    let mut ask =
        db.prepare_cached("SELECT name FROM tag WHERE repository = ?1 AND name > ?2 ORDER BY name LIMIT ?3")?;
    let names = ask.query_map(params![id, last, limit(most)], |row| row.get(0))?;
    Ok(Some(cut(names.collect::<Result<_, _>>()?, most)))
}

/// Repositories behind `last`, in their order.
pub(crate) fn repositories(db: &Connection, last: &str, most: usize) -> Result<Page<String>> {
    let mut ask = db.prepare_cached("SELECT name FROM repository WHERE name > ?1 ORDER BY name LIMIT ?2")?;
    let names = ask.query_map(params![last, limit(most)], |row| row.get(0))?;
    Ok(cut(names.collect::<Result<_, _>>()?, most))
}

/// Manifests about `subject` behind `last`, by digest; of one type only, if that is said.
pub(crate) fn referrers(
    db: &Connection,
    name: &Name,
    subject: Digest,
    artifact_type: Option<&str>,
    last: Option<Digest>,
    most: usize,
) -> Result<Page<Referrer>> {
    let mut ask = db.prepare_cached(
        "SELECT manifest.digest, content.size, manifest.media_type, manifest.artifact_type, manifest.annotations
         FROM repository JOIN manifest ON manifest.repository = repository.id
         JOIN content ON content.digest = manifest.digest
         WHERE repository.name = ?1 AND manifest.subject = ?2 AND (?3 IS NULL OR manifest.artifact_type = ?3)
           AND (?4 IS NULL OR manifest.digest > ?4)
         ORDER BY manifest.digest LIMIT ?5",
    )?;
    let values = params![name.as_str(), Key(subject), artifact_type, last.map(Key), limit(most)];
    let entries = ask.query_map(values, |row| {
        Ok(Referrer { found: found(row)?, artifact_type: row.get(3)?, annotations: row.get(4)? })
    })?;
    Ok(cut(entries.collect::<Result<_, _>>()?, most))
}

/// One more than wanted tells whether there are more.
fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1)
}

fn cut<T>(mut entries: Vec<T>, most: usize) -> Page<T> {
    let more = entries.len() > most;
    entries.truncate(most);
    Page { entries, more }
}

/// Whether the content's file is known to be whole and durable.
pub(super) fn is_recorded(db: &Connection, digest: Digest) -> Result<bool> {
    Ok(db.prepare_cached("SELECT 1 FROM content WHERE digest = ?1")?.exists([Key(digest)])?)
}

/// Removes files without records: a process was killed between the two.
pub(crate) fn sweep_unrecorded(db: &Connection, files: &Files) -> Result<u64> {
    let mut removed = 0;
    for digest in files.list()? {
        if !is_recorded(db, digest)? {
            files.remove(&digest)?;
            removed += 1;
        }
    }
    Ok(removed)
}
