//! Garbage collection, while serving: what nothing names and nobody made sure of lately goes. Each repository is one change of the
//! ledger, so a push is wholly before it or wholly after it (D07): before, its manifest keeps its blobs; after, the manifest is
//! refused because a blob has gone, and was never acknowledged.

use std::time::Duration;

use crate::digest::Digest;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::index::{self, Key};
use super::ledger::Batch;
use super::{Depot, now};
use crate::code::Refusal;
use crate::error::{Error, Result};

/// Contents that are looked at in one change.
const STEP: usize = 500;
/// Lies before every digest.
const FIRST: Digest = Digest::Sha256([0; 32]);

/// What to collect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sweep {
    /// What was pushed or asked for within this time stays.
    pub(crate) grace: Duration,
    /// Manifests without a tag go, too, unless an index or a subject that stays keeps them.
    pub(crate) untagged: bool,
    /// Only tell.
    pub(crate) dry_run: bool,
}

/// What was collected, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Collected {
    /// Manifests without a tag.
    pub(crate) manifests: u64,
    /// Blobs that a repository had for nothing.
    pub(crate) links: u64,
    /// Files.
    pub(crate) contents: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

/// Manifests of repository ?1 that go. Those that stay are tagged or were leased after ?2, or are named by one that stays, or are
/// about one.
const NOT_KEPT: &str = "
WITH RECURSIVE kept (digest) AS (
    SELECT digest FROM tag WHERE repository = ?1
    UNION SELECT digest FROM manifest WHERE repository = ?1 AND leased > ?2
    UNION SELECT need.target FROM kept JOIN need ON need.repository = ?1 AND need.manifest = kept.digest
    UNION SELECT manifest.digest FROM kept
        JOIN manifest ON manifest.repository = ?1 AND manifest.subject = kept.digest
)
SELECT digest FROM manifest WHERE repository = ?1 AND digest NOT IN (SELECT digest FROM kept)";

impl Depot {
    /// Collects once.
    pub(crate) async fn collect(&self, sweep: Sweep) -> Result<Collected, Refusal> {
        let cutoff = now().saturating_sub(i64::try_from(sweep.grace.as_secs()).unwrap_or(i64::MAX));
        if sweep.dry_run {
            return self.relieve(move |batch| batch.rehearse(cutoff, sweep.untagged)).await;
        }
        self.collect_before(cutoff, sweep.untagged).await
    }

    /// Collects what nobody made sure of after `cutoff`, in seconds of the epoch.
    pub(crate) async fn collect_before(&self, cutoff: i64, untagged: bool) -> Result<Collected, Refusal> {
        let mut total = Collected::default();
        let mut last = 0;
        while let Some(id) = self.read(|db| next_repository(db, last))? {
            let found = self.relieve(move |batch| batch.collect_repository(id, cutoff, untagged)).await?;
            total.manifests += found.manifests;
            total.links += found.links;
            last = id;
        }
        let mut after = Some(FIRST);
        while let Some(from) = after {
            let (next, contents, bytes) = self.relieve(move |batch| batch.collect_contents(from)).await?;
            total.contents += contents;
            total.bytes += bytes;
            after = next;
        }
        Ok(total)
    }
}

fn next_repository(db: &Connection, last: i64) -> Result<Option<i64>> {
    let mut ask = db.prepare_cached("SELECT min(id) FROM repository WHERE id > ?1")?;
    Ok(ask.query_row([last], |row| row.get(0))?)
}

impl Batch<'_> {
    /// What would go is seen by doing it all in one change and undoing that.
    fn rehearse(&mut self, cutoff: i64, untagged: bool) -> Result<Collected, Refusal> {
        let mut total = Collected::default();
        let mut last = 0;
        while let Some(id) = next_repository(self.db(), last)? {
            let found = self.collect_repository(id, cutoff, untagged)?;
            total.manifests += found.manifests;
            total.links += found.links;
            last = id;
        }
        for (_, size, _) in self.orphans(FIRST, usize::MAX)?.iter().filter(|(_, _, orphan)| *orphan) {
            total.contents += 1;
            total.bytes += size;
        }
        self.undo()?;
        Ok(total)
    }

    fn collect_repository(&mut self, id: i64, cutoff: i64, untagged: bool) -> Result<Collected, Refusal> {
        let mut found = Collected::default();
        let doomed = if untagged { self.digests(NOT_KEPT, params![id, cutoff])? } else { Vec::new() };
        for digest in doomed {
            self.run("DELETE FROM need WHERE repository = ?1 AND manifest = ?2", params![id, Key(digest)])?;
            self.run("DELETE FROM manifest WHERE repository = ?1 AND digest = ?2", params![id, Key(digest)])?;
            found.manifests += 1;
        }
        found.links = self.run(
            "DELETE FROM link WHERE repository = ?1 AND leased <= ?2 AND NOT EXISTS (
                 SELECT 1 FROM need WHERE need.repository = link.repository AND need.target = link.digest)",
            params![id, cutoff],
        )?;
        self.run(
            "DELETE FROM repository WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM link WHERE repository = ?1)
             AND NOT EXISTS (SELECT 1 FROM manifest WHERE repository = ?1)",
            params![id],
        )?;
        Ok(found)
    }

    /// Looks at some contents from `from` on; where to go on, and how many went with how many bytes.
    fn collect_contents(&mut self, from: Digest) -> Result<(Option<Digest>, u64, u64), Refusal> {
        let seen = self.orphans(from, STEP)?;
        let (mut contents, mut bytes) = (0, 0);
        for (digest, size, orphan) in &seen {
            if *orphan {
                self.run("DELETE FROM content WHERE digest = ?1", params![Key(*digest)])?;
                self.discard(*digest);
                contents += 1;
                bytes += size;
            }
        }
        let next = seen.last().filter(|_| seen.len() == STEP).map(|(digest, _, _)| *digest);
        Ok((next, contents, bytes))
    }

    /// Contents behind `from`, and whether no repository has them.
    fn orphans(&self, from: Digest, most: usize) -> Result<Vec<(Digest, u64, bool)>, Refusal> {
        let look = || {
            let mut ask = self.db().prepare_cached(
                "SELECT digest, size, NOT EXISTS (SELECT 1 FROM link WHERE link.digest = content.digest)
                     AND NOT EXISTS (SELECT 1 FROM manifest WHERE manifest.digest = content.digest)
                 FROM content WHERE digest > ?1 ORDER BY digest LIMIT ?2",
            )?;
            let rows = ask.query_map(params![Key(from), i64::try_from(most).unwrap_or(i64::MAX)], |row| {
                let Key(digest) = row.get(0)?;
                Ok((digest, index::size(row, 1)?, row.get(2)?))
            })?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        Ok(look().map_err(Error::from)?)
    }

    fn digests(&self, text: &str, values: impl rusqlite::Params) -> Result<Vec<Digest>, Refusal> {
        let look = || {
            let mut ask = self.db().prepare_cached(text)?;
            let rows = ask.query_map(values, |row| row.get(0).map(|Key(digest)| digest))?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        Ok(look().map_err(Error::from)?)
    }

    fn run(&mut self, text: &str, values: impl rusqlite::Params) -> Result<u64, Refusal> {
        let run = || self.db().prepare_cached(text)?.execute(values);
        Ok(run().map_err(Error::from)? as u64)
    }
}
