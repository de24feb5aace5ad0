//! Records: JSON documents by kind and id in one SQLite file (WAL). A damaged file is moved aside, what can still be
//! read of it is kept, and the store opens.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};

use crate::ballast::Ballast;
use crate::checkpoint::Checkpoints;
use crate::error::{Error, Result};

/// SQLITE_IOERR_SHORT_READ.
const SHORT_READ: i32 = 522;

/// What a change survives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// The death of every process. A power cut may take back the last moments (no sync).
    Relaxed,
    /// Also a power cut, once the call returned.
    Full,
}

/// One record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its id within its kind.
    pub id: String,
    /// The document.
    pub json: String,
}

/// The records of the data root, in `berth.db`.
pub struct Records {
    connection: Mutex<Connection>,
    checkpoints: Option<Checkpoints>,
    ballast: Ballast,
    quarantine: Option<PathBuf>,
}

impl Records {
    pub(crate) fn open(path: &Path, ballast: Ballast) -> Result<Self> {
        let fail = |e| Error::database(format!("cannot open {}", path.display()), e);
        let opened = ballast.relieve(|| match connect(path).and_then(checked) {
            Ok(connection) => Ok(Some(connection)),
            Err(e) if is_damage(&e) => Ok(None),
            // A full disk or a missing permission is no reason to put a good database aside.
            Err(e) => Err(fail(e)),
        })?;
        let (connection, quarantine) = match opened {
            Some(connection) => (connection, None),
            None => {
                let aside = set_aside(path)?;
                let fresh = connect(path).map_err(fail)?;
                salvage(&aside, &fresh);
                (fresh, Some(aside))
            }
        };
        let checkpoints = Checkpoints::start(path, &connection);
        Ok(Self { connection: Mutex::new(connection), checkpoints, ballast, quarantine })
    }

    /// Where the damaged database went, when there was one at open.
    #[must_use]
    pub fn quarantine(&self) -> Option<&Path> {
        self.quarantine.as_deref()
    }

    /// Adds or replaces a record.
    ///
    /// # Errors
    /// When the database cannot be written (`Kind::Exhausted` when the disk is full).
    pub fn put(&self, kind: &str, id: &str, json: &str, durability: Durability) -> Result<()> {
        let sql = "INSERT INTO records (kind, id, json) VALUES (?1, ?2, ?3)
                   ON CONFLICT (kind, id) DO UPDATE SET json = excluded.json";
        self.write(durability, sql, &[kind, id, json], &format!("cannot store the record of {kind} {id}"))
    }

    /// Removes a record. Not being there is fine.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete(&self, kind: &str, id: &str, durability: Durability) -> Result<()> {
        let sql = "DELETE FROM records WHERE kind = ?1 AND id = ?2";
        self.write(durability, sql, &[kind, id], &format!("cannot remove the record of {kind} {id}"))
    }

    /// The document of one record.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn get(&self, kind: &str, id: &str) -> Result<Option<String>> {
        self.lock()
            .prepare_cached("SELECT json FROM records WHERE kind = ?1 AND id = ?2")
            .and_then(|mut query| query.query_row(params![kind, id], |row| row.get(0)).optional())
            .map_err(|e| Error::database(format!("cannot read the record of {kind} {id}"), e))
    }

    /// All records of a kind, by id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn all(&self, kind: &str) -> Result<Vec<Record>> {
        let connection = self.lock();
        let read = || -> rusqlite::Result<Vec<Record>> {
            let mut query =
                connection.prepare_cached("SELECT id, json FROM records WHERE kind = ?1 ORDER BY id")?;
            let rows =
                query.query_map(params![kind], |row| Ok(Record { id: row.get(0)?, json: row.get(1)? }))?;
            rows.collect()
        };
        read().map_err(|e| Error::database(format!("cannot read the records of kind {kind}"), e))
    }

    /// Reads the whole database against its own rules.
    ///
    /// # Errors
    /// `Corrupt` when a page, an index or a row is not what it should be.
    pub(crate) fn verify(&self) -> Result<()> {
        let fail = |e| Error::database("the database cannot be checked", e);
        let answer: String =
            self.lock().query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(fail)?;
        if answer == "ok" {
            Ok(())
        } else {
            Err(Error::corrupt(format!("the database is damaged: {answer}")))
        }
    }

    fn write(&self, durability: Durability, sql: &str, values: &[&str], what: &str) -> Result<()> {
        let connection = self.lock();
        let once = || match durability {
            Durability::Relaxed => execute(&connection, sql, values),
            Durability::Full => {
                connection.pragma_update(None, "synchronous", "FULL")?;
                let done = execute_synced(&connection, sql, values);
                connection.pragma_update(None, "synchronous", "NORMAL")?;
                done
            }
        };
        self.ballast.relieve(|| once().map_err(|e| Error::database(what, e)))?;
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.changed();
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn execute(connection: &Connection, sql: &str, values: &[&str]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    statement.execute(rusqlite::params_from_iter(values)).map(|_| ())
}

/// SQLite syncs only what it writes, and writes nothing for a record that is the same already, though it may not be on the
/// disk yet. The turn changes every time.
fn execute_synced(connection: &Connection, sql: &str, values: &[&str]) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    execute(&transaction, sql, values)?;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO turn SELECT 1, ifnull(max(turn), 0) + 1 FROM turn")?
        .execute([])?;
    transaction.commit()
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS records (
            kind TEXT NOT NULL, id TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (kind, id)
         );
         CREATE TABLE IF NOT EXISTS turn (id INTEGER PRIMARY KEY, turn INTEGER NOT NULL);",
    )?;
    Ok(connection)
}

fn checked(connection: Connection) -> rusqlite::Result<Connection> {
    let answer: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    // A table of that name but another shape is damage too.
    connection.query_row("SELECT count(kind || id || json) FROM records", [], |row| row.get::<_, i64>(0))?;
    if answer == "ok" { Ok(connection) } else { Err(rusqlite::Error::InvalidQuery) }
}

/// Whether the file is at fault, not the disk or the permissions.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, SystemIoFailure, Unknown};
    match error {
        // "The read gave less than it should": a file that was cut.
        rusqlite::Error::SqliteFailure(e, _) if e.code == SystemIoFailure => e.extended_code == SHORT_READ,
        rusqlite::Error::SqliteFailure(e, _) => matches!(e.code, DatabaseCorrupt | NotADatabase | Unknown),
        _ => true,
    }
}

/// Moves the database and its companions to `<name>.damaged-<n>`.
fn set_aside(path: &Path) -> Result<PathBuf> {
    let named = |n: u32, tail: &str| PathBuf::from(format!("{}.damaged-{n}{tail}", path.display()));
    let free = (1..1000).find(|n| !named(*n, "").exists()).unwrap_or(1000);
    for tail in ["-wal", "-shm", ""] {
        let from = PathBuf::from(format!("{}{tail}", path.display()));
        match fs::rename(&from, named(free, tail)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::call(format!("cannot move the damaged {} aside", from.display()), e));
            }
            _ => {}
        }
    }
    Ok(named(free, ""))
}

/// Copies every row that can still be read.
fn salvage(damaged: &Path, fresh: &Connection) {
    let copy = || -> rusqlite::Result<()> {
        let old = Connection::open(damaged)?;
        let mut query = old.prepare("SELECT kind, id, json FROM records")?;
        let mut rows = query.query([])?;
        // The first unreadable page ends the walk; what came before is kept.
        while let Ok(Some(row)) = rows.next() {
            let row = (row.get::<_, String>(0), row.get::<_, String>(1), row.get::<_, String>(2));
            if let (Ok(kind), Ok(id), Ok(json)) = row {
                fresh
                    .execute("INSERT OR REPLACE INTO records VALUES (?1, ?2, ?3)", params![kind, id, json])?;
            }
        }
        Ok(())
    };
    // A file that is no database at all has nothing to copy.
    let _ = copy();
}
