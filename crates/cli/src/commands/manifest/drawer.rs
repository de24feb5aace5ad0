//! Lists that are being put together: a directory for each under the settings, a file in it for each image. Docker's command line and
//! this one find each other's.
#![allow(clippy::disallowed_methods, reason = "the user's own files")]

use std::fs;
use std::io;
use std::path::PathBuf;

use types::{Kind, Reference};

use super::kept::{Kept, printed};
use crate::error::{Error, Result};
use crate::tree::Call;

/// Where they are.
pub(super) struct Drawer(PathBuf);

impl Drawer {
    pub(super) fn of(call: &Call) -> Self {
        Self(call.settings.join("manifests"))
    }

    /// The images of a list in the order of their names; nothing when there is no such list.
    pub(super) fn list(&self, list: &Reference) -> Result<Option<Vec<Kept>>> {
        let directory = self.place(list);
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&directory, error)),
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().map(read).collect::<Result<Vec<_>>>().map(Some)
    }

    /// One image of a list.
    pub(super) fn get(&self, list: &Reference, image: &Reference) -> Result<Option<Kept>> {
        let path = self.place(list).join(file_name(image));
        if path.exists() { read(&path).map(Some) } else { Ok(None) }
    }

    /// Keeps one image in a list.
    pub(super) fn put(&self, list: &Reference, image: &Reference, kept: &Kept) -> Result<()> {
        let directory = self.place(list);
        let (path, draft) =
            (directory.join(file_name(image)), self.0.join(format!(".draft-{}", std::process::id())));
        let text = printed(kept)?;
        fs::create_dir_all(&directory)
            .and_then(|()| fs::write(&draft, text))
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(|error| failed(&path, error))
    }

    /// Forgets a list.
    pub(super) fn remove(&self, list: &Reference) -> Result<()> {
        let directory = self.place(list);
        fs::remove_dir_all(&directory).map_err(|error| failed(&directory, error))
    }

    fn place(&self, list: &Reference) -> PathBuf {
        self.0.join(file_name(list))
    }
}

/// The sentence for a list or image that is not kept.
pub(super) fn absent(name: &Reference) -> Error {
    Error::new(format!("No such manifest: {name}")).of(Kind::NotFound)
}

fn read(path: &PathBuf) -> Result<Kept> {
    let bytes = fs::read(path).map_err(|error| failed(path, error))?;
    serde_json::from_slice(&bytes)
        .map_err(|e| Error::new(format!("{} cannot be read: {e}", path.display())).of(Kind::Corrupt))
}

fn failed(path: &std::path::Path, error: io::Error) -> Error {
    Error::new(format!("{}: {error}", path.display())).of(Kind::Internal).because(error)
}

/// A name that is fit for a file.
fn file_name(reference: &Reference) -> String {
    reference.to_string().replace(':', "-").replace('/', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_kept_and_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let drawer = Drawer(directory.path().join("manifests"));
        let name = |text: &str| text.parse::<Reference>().unwrap();
        let (list, a, b) = (name("r.test:5000/list:1"), name("r.test:5000/box:a"), name("r.test:5000/box:b"));
        assert!(drawer.list(&list).unwrap().is_none() && drawer.get(&list, &a).unwrap().is_none());
        for image in [&b, &a] {
            drawer
                .put(&list, image, &Kept::new(image, Default::default(), b"{ \"x\": 1.50 }").unwrap())
                .unwrap();
        }
        assert!(directory.path().join("manifests/r.test-5000_list-1/r.test-5000_box-a").is_file());
        let kept = drawer.list(&list).unwrap().unwrap();
        assert_eq!(
            kept.iter().map(|k| k.reference.as_str()).collect::<Vec<_>>(),
            ["r.test:5000/box:a", "r.test:5000/box:b"]
        );
        assert_eq!(kept[0].bytes().unwrap(), b"{ \"x\": 1.50 }");
        drawer.remove(&list).unwrap();
        assert!(drawer.list(&list).unwrap().is_none());
    }
}
