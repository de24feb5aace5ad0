//! Named directories that outlive containers: `volumes/<name>/_data`, with a note beside it. The directory is the record:
//! nothing else has to be rebuilt after a crash.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use layer::TreePath;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use types::{Kind, Rootfs, weak};

use crate::durable;
use crate::error::{Error, Result};
use crate::merged;
use crate::tree::{self, Tree};

/// A volume.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Volume {
    /// Its name; 64 hex digits when nobody gave one.
    pub name: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Driver options as they were given.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Made for one container, without a name.
    #[serde(default)]
    pub anonymous: bool,
    /// Whom it was made for, when it is anonymous.
    #[serde(default)]
    pub container: String,
    /// Its directory.
    #[serde(skip)]
    pub path: PathBuf,
}

/// What a new volume is like.
#[derive(Clone, Debug, Default)]
pub struct VolumeOptions {
    /// Its name; empty: an anonymous one.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Driver options. None are supported yet, so any is refused.
    pub options: BTreeMap<String, String>,
    /// The container it is made for.
    pub container: String,
}

/// The volumes of the data root.
pub struct Volumes {
    dir: PathBuf,
    table: Mutex<BTreeMap<String, Volume>>,
    /// One copy-up at a time: two containers may start on one new volume.
    copying: Mutex<()>,
}

const DATA: &str = "_data";
const NOTE: &str = "volume.json";
/// Lies beside the data while an image's files are being copied in.
const UNFINISHED: &str = "copying";

impl Volumes {
    pub(crate) fn open(dir: PathBuf) -> Result<Self> {
        durable::make_dir(&dir, 0o710)?;
        let mut table = BTreeMap::new();
        let fail = |e| Error::call("cannot list the volumes", e);
        for entry in fs::read_dir(&dir).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                // A volume that was being made or removed when its process was killed.
                tree::remove(&entry.path())?;
            } else if entry.path().join(DATA).is_dir() {
                table.insert(name.clone(), read(&dir, &name));
            }
        }
        Ok(Self { dir, table: Mutex::new(table), copying: Mutex::new(()) })
    }

    /// Makes a volume; a named one durably. One of that name that is there already is answered as it is; the flag says
    /// whether it is new.
    ///
    /// # Errors
    /// When the name or an option is not valid, or the directory cannot be made.
    pub fn create(&self, options: VolumeOptions) -> Result<(Volume, bool)> {
        let anonymous = options.name.is_empty();
        let name = if anonymous { random_name()? } else { options.name };
        check_name(&name)?;
        if let Some(option) = options.options.keys().next() {
            return Err(Error::new(
                Kind::Unimplemented,
                format!("volume option {option:?} is not supported"),
            ));
        }
        let mut table = self.lock();
        if let Some(known) = table.get(&name) {
            return Ok((known.clone(), false));
        }
        let volume = Volume {
            path: self.dir.join(&name).join(DATA),
            created: Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string(),
            labels: options.labels,
            options: BTreeMap::new(),
            anonymous,
            container: options.container,
            name,
        };
        self.make(&volume)?;
        table.insert(volume.name.clone(), volume.clone());
        Ok((volume, true))
    }

    /// The volume of that name.
    ///
    /// # Errors
    /// `NotFound` in Docker's words.
    pub fn get(&self, name: &str) -> Result<Volume> {
        let missing = || Error::new(Kind::NotFound, format!("get {name}: no such volume"));
        self.lock().get(name).cloned().ok_or_else(missing)
    }

    /// All volumes, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Volume> {
        self.lock().values().cloned().collect()
    }

    /// The directory of a volume.
    ///
    /// # Errors
    /// `NotFound` in Docker's words.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        self.get(name).map(|volume| volume.path)
    }

    /// Removes a volume with all that is in it. `in_use` names the containers that have it mounted.
    ///
    /// # Errors
    /// `NotFound` (unless forced), `Conflict` when containers use it.
    pub fn remove(&self, name: &str, force: bool, in_use: &dyn Fn(&str) -> Vec<String>) -> Result<()> {
        let mut table = self.lock();
        let Some(volume) = table.get(name).cloned() else {
            let missing = Error::new(Kind::NotFound, format!("get {name}: no such volume"));
            return if force { Ok(()) } else { Err(missing) };
        };
        let users = in_use(name);
        if !users.is_empty() {
            let what = format!("remove {name}: volume is in use - [{}]", users.join(", "));
            return Err(Error::new(Kind::Conflict, what));
        }
        let trash = self.dir.join(format!(".{name}"));
        // What an earlier removal could not finish.
        tree::remove(&trash)?;
        fs::rename(self.dir.join(name), &trash)
            .map_err(|e| Error::call(format!("cannot remove volume {name}"), e))?;
        // Not durable is not removed.
        if let Err(e) = self.sync(&volume)
            && fs::rename(&trash, self.dir.join(name)).is_ok()
        {
            return Err(e);
        }
        table.remove(name);
        drop(table);
        // It is nobody's any more: what stays of it goes when the store is opened again.
        let _ = tree::remove(&trash);
        Ok(())
    }

    /// Whether nothing is in the volume.
    ///
    /// # Errors
    /// `NotFound`, or when the directory cannot be read.
    pub fn is_empty(&self, name: &str) -> Result<bool> {
        let path = self.path(name)?;
        let mut entries =
            fs::read_dir(&path).map_err(|e| Error::call(format!("cannot read volume {name}"), e))?;
        Ok(entries.next().is_none())
    }

    /// Fills an empty volume with what the image has at `path`, with its owner and mode, as Docker does at a volume's first
    /// mount. A volume with something in it, or an image without such a directory, changes nothing. Answers whether it copied.
    ///
    /// # Errors
    /// When the path has `..`, or something cannot be read or copied.
    pub fn copy_up(&self, name: &str, image: &Rootfs, path: &str) -> Result<bool> {
        let what = || format!("cannot fill volume {name} from the image's {path}");
        let volume = self.path(name)?;
        let path = TreePath::parse(path.as_bytes(), &layer::Limits::default())
            .map_err(|e| Error::invalid(format!("{}: {e}", what())))?;
        let _one = self.copying.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = self.dir.join(name).join(UNFINISHED);
        if mark.exists() {
            // The process was killed in the middle of it.
            empty(&volume)?;
        } else if !self.is_empty(name)? {
            return Ok(false);
        }
        let Some((_view, from)) = image_dir(image, &path)? else { return Ok(false) };
        let fail = |e: std::io::Error| Error::call(what(), e);
        fs::write(&mark, "").map_err(fail)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let copied = rustix::fs::open(&volume, flags, Mode::empty())
            .map_err(std::io::Error::from)
            .and_then(|to| tree::copy_contents(&from, &to));
        if let Err(e) = copied {
            let _ = empty(&volume);
            let _ = fs::remove_file(&mark);
            return Err(fail(e));
        }
        fs::remove_file(&mark).map_err(fail)?;
        Ok(true)
    }

    /// Makes the whole directory beside, then names it.
    fn make(&self, volume: &Volume) -> Result<()> {
        let fail = |e| Error::call(format!("cannot make volume {}", volume.name), e);
        let new = self.dir.join(format!(".{}", volume.name));
        let place = self.dir.join(&volume.name);
        let made = durable::make_dir(&new, 0o710)
            .and_then(|()| durable::make_dir(&new.join(DATA), 0o755))
            .and_then(|()| {
                let json = serde_json::to_vec(volume).map_err(|e| Error::json("cannot note a volume", e))?;
                match volume.anonymous {
                    true => fs::write(new.join(NOTE), &json).map_err(fail),
                    false => durable::write(&new.join(NOTE), &json),
                }
            })
            .and_then(|()| fs::rename(&new, &place).map_err(fail))
            // Not durable is not made.
            .and_then(|()| self.sync(volume).inspect_err(|_| drop(fs::rename(&place, &new))));
        if made.is_err() {
            let _ = tree::remove(&new);
        }
        made
    }

    /// A volume that somebody named is there after a power cut. An anonymous one belongs to a container that is being
    /// started, where nothing waits for the disk.
    fn sync(&self, volume: &Volume) -> Result<()> {
        if volume.anonymous { Ok(()) } else { durable::sync_dir(&self.dir) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Volume>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The directory at that path in the image, if there is one, and the view that it is in.
fn image_dir(image: &Rootfs, path: &TreePath) -> Result<Option<(Tree, OwnedFd)>> {
    let view = match image {
        Rootfs::Overlay { lower, .. } => merged::view(lower)?,
        Rootfs::Directory(dir) => merged::view(std::slice::from_ref(dir))?,
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let opened = match weak::is_off("I15") {
        false => view.open_at(path, flags),
        true => rustix::fs::openat(view.root(), path.to_string(), flags, Mode::empty()),
    };
    match opened {
        Ok(dir) => Ok(Some((view, dir))),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(e) => Err(Error::call(format!("cannot open the image's {path}"), e)),
    }
}

fn empty(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(|e| Error::call("cannot read a volume", e))? {
        let entry = entry.map_err(|e| Error::call("cannot read a volume", e))?;
        tree::remove(&entry.path())?;
    }
    Ok(())
}

/// A volume whose note is lost keeps its data and name.
fn read(dir: &Path, name: &str) -> Volume {
    let home = dir.join(name);
    let note = fs::read(home.join(NOTE)).ok().and_then(|json| serde_json::from_slice::<Volume>(&json).ok());
    let bare = || Volume {
        name: name.to_owned(),
        created: Timestamp::UNIX_EPOCH.to_string(),
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
        anonymous: false,
        container: String::new(),
        path: PathBuf::new(),
    };
    Volume { name: name.to_owned(), path: home.join(DATA), ..note.unwrap_or_else(bare) }
}

fn check_name(name: &str) -> Result<()> {
    let fits = (2..=255).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if fits {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "create {name}: {name:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )))
}

fn random_name() -> Result<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::new(Kind::Internal, "the kernel gives no random bytes"))?;
    Ok(types::Id::from_bytes(bytes).to_string())
}
