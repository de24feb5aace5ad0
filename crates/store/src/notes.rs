//! What is remembered of images beside what they are: when one was last used, and whether it is pinned.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use types::Digest;

use crate::Store;
use crate::error::{Error, Result};
use crate::records::{Durability, Records};

/// Kind of these records.
const KIND: &str = "image";
/// A use is written down once in so many seconds: it is on the path of a start.
const GRAIN: i64 = 60;

/// What is remembered of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Note {
    pinned: bool,
    /// Seconds since 1970.
    used: i64,
}

/// The notes, read once.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<Option<BTreeMap<Digest, Note>>>);

impl Notes {
    fn with<T>(&self, records: &Records, work: impl FnOnce(&mut BTreeMap<Digest, Note>) -> T) -> Result<T> {
        let mut notes: MutexGuard<'_, _> = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.is_none() {
            let read =
                |row: crate::Record| Some((row.id.parse().ok()?, serde_json::from_str(&row.json).ok()?));
            *notes = Some(records.all(KIND)?.into_iter().filter_map(read).collect());
        }
        Ok(work(notes.get_or_insert_default()))
    }
}

impl Store {
    /// Whether the image is pinned: prunes and the automatic policy leave it.
    #[must_use]
    pub fn is_pinned(&self, image: &Digest) -> bool {
        self.note(image).pinned
    }

    /// When the image was last used, seconds since 1970; 0 when nobody remembers.
    #[must_use]
    pub fn used_at(&self, image: &Digest) -> i64 {
        self.note(image).used
    }

    /// Pins an image or lets it go again. Durable when it returns.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn set_pinned(&self, image: &Digest, pinned: bool) -> Result<()> {
        let note = Note { pinned, ..self.note(image) };
        self.write_note(image, note, Durability::Full)
    }

    /// Remembers that the image was used now. That this cannot be written down is no failure.
    pub fn mark_used(&self, image: &Digest) {
        let (now, note) = (Timestamp::now().as_second(), self.note(image));
        if now >= note.used + GRAIN {
            let _ = self.write_note(image, Note { used: now, ..note }, Durability::Relaxed);
        }
    }

    /// Forgets what is remembered of images that are gone.
    pub fn forget_notes(&self) {
        let list = self.images();
        let gone = self.0.notes.with(&self.0.records, |notes| {
            notes.keys().filter(|id| list.get(id).is_none()).copied().collect::<Vec<_>>()
        });
        for id in gone.unwrap_or_default() {
            if self.0.records.delete(KIND, &id.to_string(), Durability::Relaxed).is_ok() {
                let _ = self.0.notes.with(&self.0.records, |notes| notes.remove(&id));
            }
        }
    }

    fn note(&self, image: &Digest) -> Note {
        let found = self.0.notes.with(&self.0.records, |notes| notes.get(image).copied());
        found.ok().flatten().unwrap_or_default()
    }

    fn write_note(&self, image: &Digest, note: Note, durability: Durability) -> Result<()> {
        let json = serde_json::to_string(&note).map_err(|e| Error::json("cannot note an image", e))?;
        self.0.records.put(KIND, &image.to_string(), &json, durability)?;
        self.0.notes.with(&self.0.records, |notes| notes.insert(*image, note)).map(|_| ())
    }
}
