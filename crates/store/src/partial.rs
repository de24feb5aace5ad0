//! Blobs that came in part: `partial/<hex>`, kept across a restart so that the next try goes on where the last one ended. What
//! nobody asked for again within a day is removed; what is in it proves nothing and is hashed again.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use types::{Digest, Kind};

use crate::durable;
use crate::error::{Error, Result};

/// How long one waits to be asked for again.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The directory `partial` of the data root.
pub(crate) struct Partials {
    dir: PathBuf,
    claimed: Arc<Mutex<BTreeSet<Digest>>>,
}

/// The right to write one of them. When it goes, the file stays for the next try, unless it is spoiled.
pub(crate) struct Claim {
    path: PathBuf,
    digest: Digest,
    claimed: Arc<Mutex<BTreeSet<Digest>>>,
}

impl Partials {
    /// Opens the directory and removes what is too old.
    pub(crate) fn open(dir: PathBuf) -> Result<Self> {
        durable::make_dir(&dir, 0o700)?;
        let partials = Self { dir, claimed: Arc::default() };
        partials.expire(SystemTime::now());
        Ok(partials)
    }

    /// Claims the file of that blob.
    pub(crate) fn claim(&self, digest: &Digest) -> Result<Claim> {
        if !lock(&self.claimed).insert(*digest) {
            return Err(Error::new(Kind::Conflict, format!("blob {digest} is being received already")));
        }
        let path = self.dir.join(digest.hex());
        Ok(Claim { path, digest: *digest, claimed: Arc::clone(&self.claimed) })
    }

    /// Removes what is older than a day at that moment and not being written. Answers how many bytes that gave.
    pub(crate) fn expire(&self, now: SystemTime) -> u64 {
        self.remove_where(|written| now.duration_since(written).is_ok_and(|age| age > KEPT))
    }

    fn remove_where(&self, is_old: impl Fn(SystemTime) -> bool) -> u64 {
        let claimed = lock(&self.claimed);
        let mut freed = 0;
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let name = format!("sha256:{}", entry.file_name().to_string_lossy());
            let is_claimed = name.parse().is_ok_and(|digest| claimed.contains(&digest));
            let Ok(metadata) = entry.metadata() else { continue };
            // What cannot be removed now is tried again with the next.
            if !is_claimed && metadata.modified().is_ok_and(&is_old) && fs::remove_file(entry.path()).is_ok()
            {
                freed += metadata.len();
            }
        }
        freed
    }
}

impl Claim {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file for writing at its end and reading; answers how long it is. One that is longer than the blob is begun anew.
    pub(crate) fn open(&self, most: u64) -> Result<(File, u64)> {
        let fail = |e| Error::call(format!("cannot store blob {}", self.digest), e);
        let mut options = File::options();
        let file = options.read(true).append(true).create(true).open(&self.path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        if length <= most {
            return Ok((file, length));
        }
        file.set_len(0).map_err(fail)?;
        Ok((file, 0))
    }

    /// It is not worth keeping.
    pub(crate) fn spoil(&self) {
        // What stays is removed when it is a day old.
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.claimed).remove(&self.digest);
    }
}

fn lock(claimed: &Mutex<BTreeSet<Digest>>) -> std::sync::MutexGuard<'_, BTreeSet<Digest>> {
    claimed.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_partial_blob_waits_a_day() {
        let dir = tempfile::tempdir().unwrap();
        let partials = Partials::open(dir.path().join("partial")).unwrap();
        let digest = Digest::from_hash([7; 32]);
        let claim = partials.claim(&digest).unwrap();
        assert_eq!(partials.claim(&digest).err().map(|e| e.kind()), Some(Kind::Conflict));
        claim.open(10).unwrap().0.write_all(b"12345").unwrap();
        let later = SystemTime::now() + KEPT + Duration::from_secs(60);
        assert_eq!(partials.expire(later), 0, "it is being written");
        drop(claim);
        assert_eq!(partials.expire(SystemTime::now()), 0);
        let claim = partials.claim(&digest).unwrap();
        assert_eq!(claim.open(10).unwrap().1, 5);
        assert_eq!(claim.open(4).unwrap().1, 0, "longer than the blob");
        drop(claim);
        assert_eq!((partials.expire(later), dir.path().join("partial").read_dir().unwrap().count()), (0, 0));
    }
}
