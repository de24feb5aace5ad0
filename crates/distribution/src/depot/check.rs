//! Whether every content still is what its digest says, and how a registry lives on without one that is not: as if it had never been
//! pushed, so that clients push it again, and a cache fetches it again.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::files::Files;
use super::index::{self, Key};
use super::ledger::Batch;
use super::{Depot, blocking};
use crate::code::Refusal;
use crate::digest::{Digest, digest_of_file};
use crate::error::{Error, Result};

/// Contents that are listed at a time.
const STEP: i64 = 500;
/// Most broken contents that are told by name.
const TOLD: usize = 1000;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checked {
    /// Contents that were read, and their bytes.
    pub(crate) contents: u64,
    pub(crate) bytes: u64,
    /// How many are not what they should be.
    pub(crate) broken: u64,
    /// The first of these.
    pub(crate) told: Vec<Broken>,
}

/// A content that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Broken {
    pub(crate) digest: String,
    /// What is wrong with it.
    pub(crate) why: String,
    /// Repositories that have it.
    pub(crate) repositories: Vec<String>,
}

impl Depot {
    /// Reads every content. `repair` takes those that are broken out of every repository.
    pub(crate) async fn check(&self, repair: bool) -> Result<Checked, Refusal> {
        let mut found = Checked::default();
        let mut last = None;
        loop {
            let some = self.read(|db| contents(db, last))?;
            let Some((digest, _)) = some.last() else { return Ok(found) };
            last = Some(*digest);
            for (digest, size) in some {
                let files = self.files.clone();
                let why = blocking(move || files.fault(digest, size)).await?;
                found.contents += 1;
                found.bytes += size;
                if let Some(why) = why {
                    self.broken(digest, why, repair, &mut found).await?;
                }
            }
        }
    }

    async fn broken(
        &self,
        digest: Digest,
        why: String,
        repair: bool,
        found: &mut Checked,
    ) -> Result<(), Refusal> {
        // Collected meanwhile: nothing is wrong with it.
        if !self.read(|db| Ok(contents_size(db, digest)?.is_some()))? {
            return Ok(());
        }
        let repositories = self.read(|db| holders(db, digest))?;
        if repair && !self.change(move |batch| batch.lose(digest)).await? {
            return Ok(());
        }
        tracing::error!(%digest, why, repair, "a content is broken");
        found.broken += 1;
        if found.told.len() < TOLD {
            found.told.push(Broken { digest: digest.to_string(), why, repositories });
        }
        Ok(())
    }
}

impl Files {
    /// What is wrong with a content; nothing when it is what it should be.
    fn fault(&self, digest: Digest, size: u64) -> Result<Option<String>> {
        let file = match self.content(&digest) {
            Ok(file) => file,
            Err(e) if e.kind() == types::Kind::NotFound => return Ok(Some("its file has gone".to_owned())),
            Err(e) => return Err(e),
        };
        let long = file.metadata().map_err(|e| Error::call(format!("cannot look at {digest}"), e))?.len();
        if long != size {
            return Ok(Some(format!("its file has {long} bytes, not {size}")));
        }
        match digest_of_file(digest.algorithm(), &file) {
            Ok((real, _)) if real == digest => Ok(None),
            Ok(_) => Ok(Some("its file holds something else".to_owned())),
            // A bad sector, and the disk says so.
            Err(e) => Ok(Some(crate::error::chain(&e))),
        }
    }
}

impl Batch<'_> {
    /// No repository has a content any more, if it still is broken: it may have been pushed again since somebody looked.
    fn lose(&mut self, digest: Digest) -> Result<bool, Refusal> {
        let Some(size) = contents_size(self.db(), digest)? else { return Ok(false) };
        if self.files().fault(digest, size)?.is_none() {
            return Ok(false);
        }
        for text in [
            "DELETE FROM tag WHERE digest = ?1",
            "DELETE FROM need WHERE manifest = ?1",
            "DELETE FROM manifest WHERE digest = ?1",
            "DELETE FROM link WHERE digest = ?1",
            "DELETE FROM content WHERE digest = ?1",
        ] {
            self.db().execute(text, [Key(digest)]).map_err(Error::from)?;
        }
        self.discard(digest);
        Ok(true)
    }
}

fn contents(db: &Connection, last: Option<Digest>) -> Result<Vec<(Digest, u64)>> {
    let mut ask = db.prepare_cached(
        "SELECT digest, size FROM content WHERE ?1 IS NULL OR digest > ?1 ORDER BY digest LIMIT ?2",
    )?;
    let rows = ask.query_map(params![last.map(Key), STEP], |row| {
        let Key(digest) = row.get(0)?;
        Ok((digest, index::size(row, 1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn contents_size(db: &Connection, digest: Digest) -> Result<Option<u64>> {
    let mut ask = db.prepare_cached("SELECT size FROM content WHERE digest = ?1")?;
    let mut rows = ask.query_map([Key(digest)], |row| index::size(row, 0))?;
    Ok(rows.next().transpose()?)
}

fn holders(db: &Connection, digest: Digest) -> Result<Vec<String>> {
    let mut ask = db.prepare_cached(
        "SELECT name FROM repository WHERE id IN (SELECT repository FROM link WHERE digest = ?1
         UNION SELECT repository FROM manifest WHERE digest = ?1) ORDER BY name LIMIT 10",
    )?;
    let names = ask.query_map([Key(digest)], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}
