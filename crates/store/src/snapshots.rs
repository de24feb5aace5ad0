//! Writable trees on layers: what a container writes into. Made without any sync: it is on the path of a start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use types::{Digest, Kind, Rootfs, weak};

use crate::durable;
use crate::error::{Error, Result};
use crate::layers::Layers;
use crate::tree;

/// The directory `overlay/snapshots`: `<container>/{lower,diff,work}`.
pub(crate) struct Snapshots {
    dir: PathBuf,
    table: Mutex<BTreeMap<String, Vec<Digest>>>,
}

/// Keeps the set of snapshots as it is while it lives.
pub(crate) struct Held<'a>(MutexGuard<'a, BTreeMap<String, Vec<Digest>>>);

impl Held<'_> {
    /// The layers that some snapshot stands on.
    pub(crate) fn layers(&self) -> BTreeSet<Digest> {
        self.0.values().flatten().copied().collect()
    }
}

impl Snapshots {
    pub(crate) fn open(dir: PathBuf) -> Result<Self> {
        durable::make_dir(&dir, 0o710)?;
        let mut table = BTreeMap::new();
        for entry in fs::read_dir(&dir).map_err(|e| Error::call("cannot list the snapshots", e))? {
            let entry = entry.map_err(|e| Error::call("cannot list the snapshots", e))?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                // A piece of a deep tree whose removal was interrupted.
                tree::remove(&entry.path())?;
                continue;
            }
            let lower = fs::read_to_string(entry.path().join("lower")).unwrap_or_default();
            let layers = lower.lines().filter_map(|line| line.parse().ok()).collect();
            table.insert(entry.file_name().to_string_lossy().into_owned(), layers);
        }
        Ok(Self { dir, table: Mutex::new(table) })
    }

    pub(crate) fn hold(&self) -> Held<'_> {
        Held(self.lock())
    }

    /// Makes a snapshot on `diff_ids` (bottom first). Its root looks like the topmost layer's.
    pub(crate) fn prepare(
        &self,
        name: &str,
        diff_ids: &[Digest],
        layers: &Layers,
        volatile: bool,
    ) -> Result<Rootfs> {
        let dir = self.path(name)?;
        let mut table = self.lock();
        if table.contains_key(name) {
            return Err(Error::new(Kind::Conflict, format!("container {name} has a snapshot already")));
        }
        let lower = stack(diff_ids, layers)?;
        if let Err(e) = make(&dir, diff_ids, &lower[0]) {
            let _ = unmake(&dir);
            return Err(Error::call(format!("cannot make the snapshot of container {name}"), e));
        }
        table.insert(name.to_owned(), diff_ids.to_vec());
        Ok(Rootfs::Overlay { lower, upper: dir.join("diff"), work: dir.join("work"), volatile })
    }

    /// The root of a snapshot made earlier.
    pub(crate) fn get(&self, name: &str, layers: &Layers, volatile: bool) -> Result<Rootfs> {
        let dir = self.path(name)?;
        let diff_ids = self.lock().get(name).cloned().ok_or_else(|| missing(name))?;
        let lower = stack(&diff_ids, layers)?;
        Ok(Rootfs::Overlay { lower, upper: dir.join("diff"), work: dir.join("work"), volatile })
    }

    /// Removes the snapshot; answers the layers that it stood on.
    pub(crate) fn discard(&self, name: &str) -> Result<Vec<Digest>> {
        let dir = self.path(name)?;
        tree::remove(&dir).or_else(|e| unmake(&dir).map_err(|_| e))?;
        Ok(self.lock().remove(name).unwrap_or_default())
    }

    pub(crate) fn bytes(&self, name: &str) -> Result<u64> {
        let dir = self.path(name)?;
        if !self.lock().contains_key(name) {
            return Err(missing(name));
        }
        tree::content_bytes(&dir.join("diff"))
            .map_err(|e| Error::call(format!("cannot measure the snapshot of container {name}"), e))
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        let fits = (1..=128).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if fits {
            Ok(self.dir.join(name))
        } else {
            Err(Error::invalid(format!("{name:?} is not a container id")))
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Digest>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(name: &str) -> Error {
    Error::new(Kind::NotFound, format!("container {name} has no snapshot"))
}

/// The layers' directories, topmost first, down to one that hides the rest.
fn stack(diff_ids: &[Digest], layers: &Layers) -> Result<Vec<PathBuf>> {
    let mut lower = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids.iter().rev() {
        if !layers.has(diff_id) {
            return Err(Error::new(Kind::NotFound, format!("layer {diff_id} is not in the store any more")));
        }
        let path = layers.path(diff_id);
        // The same layer twice in a stack says nothing new, and overlayfs refuses it.
        if !lower.contains(&path) {
            lower.push(path);
        }
        if layers.note(diff_id)?.opaque {
            break;
        }
    }
    if lower.is_empty() && !weak::is_off("I16") {
        lower.push(layers.empty());
    }
    Ok(lower)
}

/// Removes a snapshot that nobody wrote into: that needs no descriptors, of which there may be none.
fn unmake(dir: &Path) -> std::io::Result<()> {
    let gone = |removed: std::io::Result<()>| match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    };
    gone(fs::remove_file(dir.join("lower")))?;
    gone(fs::remove_dir(dir.join("diff")))?;
    gone(fs::remove_dir(dir.join("work")))?;
    gone(fs::remove_dir(dir))
}

fn make(dir: &Path, diff_ids: &[Digest], top: &Path) -> std::io::Result<()> {
    let lines: String = diff_ids.iter().map(|d| format!("{d}\n")).collect();
    let (upper, work) = (dir.join("diff"), dir.join("work"));
    fs::create_dir(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o710))?;
    fs::write(dir.join("lower"), lines)?;
    fs::create_dir(&upper)?;
    fs::create_dir(&work)?;
    let root = fs::metadata(top)?;
    std::os::unix::fs::chown(&upper, Some(root.uid()), Some(root.gid()))?;
    fs::set_permissions(&upper, fs::Permissions::from_mode(root.mode() & 0o7777))
}
