//! The records: one SQLite file. A commit is on the disk when it returns (`synchronous=FULL`).

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use types::Kind;

use crate::error::{Error, Result};

/// The form that the tables have now.
const VERSION: i64 = 1;

/// `content` says that a file is whole and durable. `link` says that a repository has a blob, `manifest` that it has a manifest;
/// nothing else makes either readable. `leased` is when a client last made sure of it, in seconds of the epoch. `need` says what
/// keeps what.
const TABLES: &str = "
CREATE TABLE content (digest BLOB PRIMARY KEY, size INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE repository (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE link (
    repository INTEGER NOT NULL, digest BLOB NOT NULL, leased INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_digest ON link (digest);
CREATE TABLE manifest (
    repository INTEGER NOT NULL, digest BLOB NOT NULL, media_type TEXT NOT NULL, subject BLOB,
    artifact_type TEXT NOT NULL, annotations TEXT NOT NULL, leased INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX manifest_digest ON manifest (digest);
CREATE INDEX manifest_subject ON manifest (repository, subject, digest) WHERE subject IS NOT NULL;
CREATE TABLE need (
    repository INTEGER NOT NULL, manifest BLOB NOT NULL, target BLOB NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (repository, manifest, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX need_target ON need (repository, target);
CREATE TABLE tag (
    repository INTEGER NOT NULL, name TEXT NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (repository, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_digest ON tag (repository, digest);
";

/// Opens the records for writing, making them when they are not there.
pub(crate) fn open(path: &Path) -> Result<Connection> {
    let failed = |e| Error::database(format!("cannot open the records {}", path.display()), e);
    let mut db = connect(path).map_err(failed)?;
    db.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    db.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    match version {
        0 => {
            let tx = db.transaction().map_err(failed)?;
            tx.execute_batch(TABLES).map_err(failed)?;
            tx.pragma_update(None, "user_version", VERSION).map_err(failed)?;
            tx.commit().map_err(failed)?;
        }
        VERSION => {}
        newer => {
            let message = format!(
                "the records {} have version {newer}, this program knows {VERSION}: use the program that wrote them",
                path.display()
            );
            return Err(Error::new(Kind::Unimplemented, message));
        }
    }
    Ok(db)
}

/// A connection for looking things up.
pub(crate) fn open_reader(path: &Path) -> Result<Connection> {
    let failed = |e| Error::database(format!("cannot open the records {}", path.display()), e);
    let db = connect(path).map_err(failed)?;
    db.pragma_update(None, "query_only", true).map_err(failed)?;
    Ok(db)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(10))?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}
