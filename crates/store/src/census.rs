//! Where every byte below the data root is: files by the room they take on the disk, each once however many names it has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::Store;
use crate::error::{Error, Result};

/// Directories within directories that are looked into; only a hostile tree has deeper ones, and `tree::remove` still ends those.
const DEPTH: usize = 2048;

/// A part of the data root.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Area {
    /// Unpacked layers.
    Layers,
    /// Layers as they came or will be pushed, manifests and configurations.
    Blobs,
    /// What containers wrote.
    Writable,
    /// Logs and small files of containers.
    Containers,
    /// Volumes.
    Volumes,
    /// Loads and pulls that are not finished.
    Unfinished,
    /// The database, the index of images, the lock.
    Records,
    /// Room kept for the day on which the disk is full.
    Ballast,
    /// What is not Berth's, or was put aside.
    Other,
}

/// How much an area holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Room {
    /// Files and links, by their length in bytes.
    pub bytes: u64,
    /// Everything, by the blocks that the file system gave it, in bytes.
    pub disk: u64,
    /// Files of every kind but directories.
    pub files: u64,
}

impl Store {
    /// Looks at everything below the data root. What vanishes meanwhile is not counted.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn census(&self) -> Result<BTreeMap<Area, Room>> {
        let mut census = Census { rooms: BTreeMap::new(), seen: BTreeSet::new() };
        let fail = |e| Error::call("cannot look through the data root", e);
        let root = fs::symlink_metadata(&self.0.root).map_err(fail)?;
        census.count(Area::Records, &root);
        census.directory(&self.0.root, None, 0).map_err(fail)?;
        Ok(census.rooms)
    }
}

struct Census {
    rooms: BTreeMap<Area, Room>,
    /// Files with several names.
    seen: BTreeSet<(u64, u64)>,
}

impl Census {
    fn directory(&mut self, path: &Path, area: Option<Area>, depth: usize) -> std::io::Result<()> {
        let entries = match fs::read_dir(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let Ok(metadata) = entry.metadata() else { continue };
            let name = entry.file_name();
            let here = area.unwrap_or_else(|| area_of(path, &name.to_string_lossy(), depth));
            self.count(here, &metadata);
            if metadata.is_dir() && depth < DEPTH {
                // `overlay` alone holds several areas.
                let below = (depth > 0 || name != "overlay").then_some(here);
                self.directory(&entry.path(), below, depth + 1)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, area: Area, metadata: &fs::Metadata) {
        if metadata.nlink() > 1 && !metadata.is_dir() && !self.seen.insert((metadata.dev(), metadata.ino())) {
            return;
        }
        let room = self.rooms.entry(area).or_default();
        room.disk += metadata.blocks() * 512;
        if !metadata.is_dir() {
            room.files += 1;
            room.bytes += if metadata.is_file() || metadata.is_symlink() { metadata.len() } else { 0 };
        }
    }
}

/// What a name means in the data root, or in its directory `overlay`.
fn area_of(path: &Path, name: &str, depth: usize) -> Area {
    if depth > 0 {
        return if name == "snapshots" && path.ends_with("overlay") { Area::Writable } else { Area::Layers };
    }
    match name {
        "blobs" => Area::Blobs,
        "overlay" => Area::Layers,
        "containers" => Area::Containers,
        "volumes" => Area::Volumes,
        "ingest" | "partial" | "partials" => Area::Unfinished,
        "ballast" => Area::Ballast,
        "berth.db" | "berth.db-wal" | "berth.db-shm" | "index.json" | "index.new" | "oci-layout" | "lock" => {
            Area::Records
        }
        _ => Area::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_area() {
        let of = |name: &str| area_of(Path::new("/x"), name, 0);
        assert_eq!(
            (of("blobs"), of("berth.db-wal"), of("lost+found")),
            (Area::Blobs, Area::Records, Area::Other)
        );
        let within = |name: &str| area_of(Path::new("/x/overlay"), name, 1);
        assert_eq!(
            (within("l"), within("info"), within("snapshots")),
            (Area::Layers, Area::Layers, Area::Writable)
        );
    }
}
