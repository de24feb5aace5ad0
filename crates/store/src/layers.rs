//! Unpacked layers: one directory each, named by diffID and shared by all images that have it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use types::Digest;

use crate::durable;
use crate::error::{Error, Result};
use crate::ingest::Session;
use crate::tree::{self, Tree, Unpacked};

/// The directories `overlay/l` (trees, under short names: a mount's options have limits) and
/// `overlay/info` (what is known of each).
pub(crate) struct Layers {
    trees: PathBuf,
    notes: PathBuf,
    /// Notes that were read: starts ask for them.
    known: Mutex<BTreeMap<Digest, Note>>,
}

/// The name of a tree with nothing in it.
const EMPTY: &str = "none";

/// What is known of a layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) diff_id: String,
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
    /// It hides all layers below it.
    pub(crate) opaque: bool,
}

/// An unpacked layer that still lies in a session.
#[derive(Clone)]
pub(crate) struct Fresh {
    pub(crate) diff_id: Digest,
    tree: PathBuf,
    note: PathBuf,
}

impl Fresh {
    /// Where its tree is.
    pub(crate) fn tree(&self) -> &Path {
        &self.tree
    }
}

impl Layers {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let layers = Self { trees: dir.join("l"), notes: dir.join("info"), known: Mutex::default() };
        durable::make_dir(&layers.trees, 0o710)?;
        durable::make_dir(&layers.notes, 0o700)?;
        durable::make_dir(&layers.empty(), 0o755)?;
        // A sweep may have been killed before it did this; what it moved away is removed next.
        layers.sync()?;
        Ok(layers)
    }

    /// The layer of an image without layers.
    pub(crate) fn empty(&self) -> PathBuf {
        self.trees.join(EMPTY)
    }

    pub(crate) fn path(&self, diff_id: &Digest) -> PathBuf {
        self.trees.join(short_name(diff_id))
    }

    pub(crate) fn has(&self, diff_id: &Digest) -> bool {
        self.path(diff_id).is_dir()
    }

    /// What is known of the layer. When the note is lost, its size is measured again.
    pub(crate) fn note(&self, diff_id: &Digest) -> Result<Note> {
        if let Some(note) = self.lock().get(diff_id) {
            return Ok(note.clone());
        }
        let note = self.read_note(diff_id)?;
        self.lock().insert(*diff_id, note.clone());
        Ok(note)
    }

    fn read_note(&self, diff_id: &Digest) -> Result<Note> {
        let read = fs::read(self.note_path(diff_id)).ok();
        if let Some(note) = read.and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok()) {
            return Ok(note);
        }
        let bytes = tree::content_bytes(&self.path(diff_id))
            .map_err(|e| Error::call(format!("cannot measure layer {diff_id}"), e))?;
        Ok(Note { diff_id: diff_id.to_string(), bytes, entries: 0, opaque: false })
    }

    /// An empty tree in the session, to unpack into.
    pub(crate) fn begin(&self, session: &Session) -> Result<(PathBuf, Tree)> {
        let path = session.path();
        let fail = |e: rustix::io::Errno| Error::call("cannot make a directory for a layer", e);
        durable::make_dir(&path, 0o755)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::open(&path, flags, Mode::empty()).map_err(fail)?;
        Ok((path, Tree::new(root)))
    }

    /// Notes what was unpacked. Nothing is synced yet.
    pub(crate) fn finish(
        &self,
        session: &Session,
        tree: PathBuf,
        diff_id: Digest,
        done: Unpacked,
    ) -> Result<Fresh> {
        let Unpacked { bytes, entries, opaque } = done;
        let note = Note { diff_id: diff_id.to_string(), bytes, entries, opaque };
        let path = session.path();
        let json = serde_json::to_vec(&note).map_err(|e| Error::json("cannot note a layer", e))?;
        fs::write(&path, json).map_err(|e| Error::call("cannot note a layer", e))?;
        Ok(Fresh { diff_id, tree, note: path })
    }

    /// Moves synced layers to their place. One that came there meanwhile is as good.
    pub(crate) fn commit(&self, fresh: &[Fresh]) -> Result<()> {
        for layer in fresh.iter().filter(|layer| !self.has(&layer.diff_id)) {
            let fail = |e| Error::call(format!("cannot store layer {}", layer.diff_id), e);
            fs::rename(&layer.note, self.note_path(&layer.diff_id)).map_err(fail)?;
            fs::rename(&layer.tree, self.path(&layer.diff_id)).map_err(fail)?;
        }
        durable::sync_dir(&self.notes)?;
        durable::sync_dir(&self.trees)
    }

    /// Puts a synced layer in the place of the present one, which goes into the session.
    pub(crate) fn replace(&self, session: &Session, fresh: Fresh) -> Result<()> {
        self.take_away(&short_name(&fresh.diff_id), session)?;
        durable::sync_dir(&self.trees)?;
        self.lock().remove(&fresh.diff_id);
        self.commit(&[fresh])
    }

    /// Moves what is not wanted out of sight, into the session, which will remove it. Answers which layers went.
    pub(crate) fn sweep(&self, session: &Session, wanted: &BTreeSet<Digest>) -> Result<Vec<Digest>> {
        let mut swept = Vec::new();
        for (diff_id, note) in self.notes()?.into_iter().filter(|(diff_id, _)| !wanted.contains(diff_id)) {
            self.take_away(&short_name(&diff_id), session)?;
            let _ = fs::remove_file(note);
            self.lock().remove(&diff_id);
            swept.push(diff_id);
        }
        // Trees whose note a power cut took.
        let bare = self.bare_trees(wanted)?;
        bare.iter().try_for_each(|name| self.take_away(name, session))?;
        // A tree must have left its place before anything of it goes: half a layer would pass for a whole one.
        if !swept.is_empty() || !bare.is_empty() {
            self.sync()?;
        }
        Ok(swept)
    }

    /// Makes durable which trees are here, and which have left.
    pub(crate) fn sync(&self) -> Result<()> {
        durable::sync_dir(&self.trees)
    }

    /// What a sweep would take, by its place below the data root.
    pub(crate) fn strays(&self, wanted: &BTreeSet<Digest>) -> Result<Vec<String>> {
        let notes = self.notes()?.into_iter().filter(|(diff_id, _)| !wanted.contains(diff_id));
        let mut names: BTreeSet<String> =
            notes.map(|(diff_id, _)| format!("overlay/l/{}", short_name(&diff_id))).collect();
        names.extend(self.bare_trees(wanted)?.iter().map(|name| format!("overlay/l/{name}")));
        Ok(names.into_iter().collect())
    }

    /// Trees that are none of the wanted layers'.
    fn bare_trees(&self, wanted: &BTreeSet<Digest>) -> Result<Vec<String>> {
        let kept: BTreeSet<String> = wanted.iter().map(short_name).collect();
        let entries = fs::read_dir(&self.trees).map_err(|e| Error::call("cannot list the layers", e))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter(|name| name != EMPTY && !kept.contains(name)).collect())
    }

    fn take_away(&self, name: &str, session: &Session) -> Result<()> {
        match fs::rename(self.trees.join(name), session.path()) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::call(format!("cannot remove the layer in overlay/l/{name}"), e))
            }
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Note>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notes(&self) -> Result<Vec<(Digest, PathBuf)>> {
        let entries = fs::read_dir(&self.notes).map_err(|e| Error::call("cannot list the layers", e))?;
        let notes = entries.filter_map(|entry| {
            let path = entry.ok()?.path();
            let hex = path.file_name()?.to_str()?;
            Some((format!("sha256:{hex}").parse().ok()?, path))
        });
        Ok(notes.collect())
    }

    fn note_path(&self, diff_id: &Digest) -> PathBuf {
        self.notes.join(diff_id.hex())
    }
}

/// 26 letters for the first 130 bits: too many for anybody to find two layers with one name.
fn short_name(digest: &Digest) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let hash = digest.hash();
    let letter = |at: usize| {
        let (byte, bit) = (at * 5 / 8, at * 5 % 8);
        let pair = u16::from(hash[byte]) << 8 | u16::from(hash[byte + 1]);
        char::from(LETTERS[usize::from(pair >> (11 - bit) & 31)])
    };
    (0..26).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_base32() {
        let mut hash = [0; 32];
        hash[..5].copy_from_slice(b"hello");
        let name = short_name(&Digest::from_hash(hash));
        assert_eq!((&name[..8], name.len()), ("nbswy3dp", 26));
    }
}
