//! What an entry of a layer changes in the tree below it (OCI image spec, layer.md "Representing Changes").

use types::weak;

use crate::entry::{Device, Entry, EntryKind};
use crate::error::Error;
use crate::limits::Limits;
use crate::path::TreePath;

/// Prefix of a name that hides its sibling in the layers below.
pub const WHITEOUT_MARK: &[u8] = b".wh.";
/// Name that hides everything its directory has in the layers below.
pub const OPAQUE_MARK: &[u8] = b".wh..wh..opq";
/// Prefix of the bookkeeping that AUFS left in old images.
const AUFS_MARK: &[u8] = b".wh..wh.";

/// One change of a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Make this entry, replacing what the same layer made there before.
    Make(Entry),
    /// Make another name for `target`, which is a path in the same layer.
    Link {
        /// The new name, and the attributes that the file has from now on, as Docker has it (GNU tar leaves those of its first name).
        entry: Entry,
        /// The file that exists already.
        target: TreePath,
    },
    /// The path is not there, whatever the layers below say.
    Whiteout(TreePath),
    /// The directory shows nothing from the layers below.
    Opaque(TreePath),
}

/// Decides what an entry means. `None`: AUFS bookkeeping, which means nothing any more.
///
/// # Errors
/// When the entry would plant overlay's own marks, change the kind of the root, or has a bad link.
pub fn classify(mut entry: Entry, limits: &Limits) -> Result<Option<Change>, Error> {
    let shown = entry.path.as_bytes().to_vec();
    let decided = match marked(&entry.path) {
        Some(mark) => mark,
        None => {
            entry.xattrs.retain(|(name, _)| is_allowed_xattr(name));
            make(entry, limits).map(Some)
        }
    };
    decided.map_err(|e| e.at(&shown))
}

/// What the `.wh.` marks in the name say, if there are any.
fn marked(path: &TreePath) -> Option<Result<Option<Change>, Error>> {
    let parent = path.parent();
    if path.components().any(|c| c.starts_with(AUFS_MARK) && c != OPAQUE_MARK) {
        return Some(Ok(None));
    }
    if parent.components().any(|c| c.starts_with(WHITEOUT_MARK)) {
        return Some(Err(Error::malformed("it lies within a whiteout")));
    }
    if path.name() == OPAQUE_MARK {
        return Some(Ok(Some(Change::Opaque(parent))));
    }
    match path.name().strip_prefix(WHITEOUT_MARK)? {
        b"" | b"." | b".." => Some(Err(Error::malformed("the whiteout names nothing"))),
        name => Some(Ok(Some(Change::Whiteout(parent.join(name))))),
    }
}

fn make(entry: Entry, limits: &Limits) -> Result<Change, Error> {
    if entry.path.is_root() && entry.kind != EntryKind::Directory && !weak::is_off("I07") {
        return Err(Error::malformed("the root of the tree can only be a directory"));
    }
    match entry.kind {
        EntryKind::Hardlink => link(entry, limits),
        EntryKind::Symlink if entry.link.is_empty() || entry.link.contains(&0) => {
            Err(Error::malformed("the symbolic link has no valid target"))
        }
        EntryKind::Symlink if entry.link.len() >= limits.path_bytes => {
            Err(Error::malformed("the target of the symbolic link is too long"))
        }
        EntryKind::CharDevice if is_whiteout(entry.device) => {
            Err(Error::malformed("character device 0:0 is overlay's own whiteout mark"))
        }
        _ => Ok(Change::Make(entry)),
    }
}

fn link(entry: Entry, limits: &Limits) -> Result<Change, Error> {
    let target = TreePath::parse(&entry.link, limits)
        .map_err(|e| Error::malformed(format!("bad target of the hard link: {e}")))?;
    if target.is_root() || target.components().any(|c| c.starts_with(WHITEOUT_MARK)) {
        return Err(Error::malformed("bad target of the hard link"));
    }
    Ok(Change::Link { entry, target })
}

/// Whether an extended attribute belongs into a layer. Overlay's marks are only ever ours; labels and measurements belong to the
/// host's own policy.
#[must_use]
pub fn is_allowed_xattr(name: &[u8]) -> bool {
    let refused: [&[u8]; 7] = [
        b"trusted.overlay.",
        b"user.overlay.",
        b"security.selinux",
        b"security.SMACK64",
        b"security.apparmor",
        b"security.ima",
        b"security.evm",
    ];
    weak::is_off("I14") || !refused.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether overlayfs would take the device for its mark of what is not there.
fn is_whiteout(device: Device) -> bool {
    (device.major, device.minor) == (0, 0) && !weak::is_off("I14")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entry: Entry, want: &str) {
        let shown = match classify(entry, &Limits::default()) {
            Ok(None) => "nothing".to_owned(),
            Ok(Some(Change::Make(entry))) => format!("make {}", entry.path),
            Ok(Some(Change::Link { entry, target })) => format!("link {} to {target}", entry.path),
            Ok(Some(Change::Whiteout(path))) => format!("hide {path}"),
            Ok(Some(Change::Opaque(path))) => format!("clear {path}"),
            Err(e) => e.to_string(),
        };
        assert_eq!(shown, want);
    }

    fn hardlink(target: &str) -> Entry {
        Entry { link: target.into(), ..Entry::new("a", EntryKind::Hardlink, 0o644) }
    }

    #[test]
    fn marks() {
        check(Entry::file("a/.wh.b", 0), "hide a/b");
        check(Entry::file(".wh.b", 0), "hide b");
        check(Entry::file("a/.wh..wh..opq", 0), "clear a");
        check(Entry::file(".wh..wh..opq", 0), "clear .");
        check(Entry::file(".wh..wh.aufs", 0), "nothing");
        check(Entry::file(".wh..wh.plnk/3.4", 0), "nothing");
        check(Entry::file("a/.wh.", 0), "archive entry \"a/.wh.\": the whiteout names nothing");
        check(Entry::file("a/.wh...", 0), "archive entry \"a/.wh...\": the whiteout names nothing");
        check(Entry::file(".wh.a/b", 0), "archive entry \".wh.a/b\": it lies within a whiteout");
        check(
            Entry::file(".wh..wh..opq/b", 0),
            "archive entry \".wh..wh..opq/b\": it lies within a whiteout",
        );
    }

    #[test]
    fn links_and_devices() {
        check(hardlink("/b/./c"), "link a to b/c");
        check(
            hardlink("../b"),
            "archive entry \"a\": bad target of the hard link: the name has a \"..\" component",
        );
        check(hardlink("/"), "archive entry \"a\": bad target of the hard link");
        check(hardlink(".wh.x"), "archive entry \"a\": bad target of the hard link");
        check(Entry::symlink("a", "../../etc"), "make a");
        check(Entry::symlink("a", ""), "archive entry \"a\": the symbolic link has no valid target");
        let mut device = Entry::new("d", EntryKind::CharDevice, 0o600);
        check(device.clone(), "archive entry \"d\": character device 0:0 is overlay's own whiteout mark");
        device.device = Device { major: 1, minor: 3 };
        check(device, "make d");
        check(Entry::directory(""), "make .");
        check(Entry::symlink("", "/"), "the root of the tree can only be a directory");
    }

    #[test]
    fn overlay_attributes_are_dropped() {
        let mut entry = Entry::file("a", 0);
        for name in ["trusted.overlay.opaque", "security.capability", "user.overlay.x", "user.x"] {
            entry.xattrs.push((name.into(), b"y".to_vec()));
        }
        let Ok(Some(Change::Make(entry))) = classify(entry, &Limits::default()) else { panic!() };
        let names: Vec<_> = entry.xattrs.iter().map(|(n, _)| n.as_slice()).collect();
        assert_eq!(names, [&b"security.capability"[..], b"user.x"]);
    }
}
