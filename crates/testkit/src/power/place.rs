//! Puts a state on a real file system, and numbers it.

use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::disk::{Kind, Node, Nodes};

/// A number for what can be reached: two states with the same one are the same.
pub(super) fn fingerprint(nodes: &Nodes) -> u64 {
    fn walk(nodes: &Nodes, at: usize, hasher: &mut DefaultHasher) {
        let node = &nodes.0[at];
        (&node.kind, node.mode, node.owner, node.time, &node.attributes, &node.data).hash(hasher);
        for (name, inner) in &node.entries {
            name.hash(hasher);
            walk(nodes, *inner, hasher);
        }
        0xff_u8.hash(hasher);
    }
    let mut hasher = DefaultHasher::new();
    walk(nodes, 0, &mut hasher);
    hasher.finish()
}

/// Makes what can be reached from the root, in a directory that is there.
pub(super) fn lay_out(nodes: &Nodes, directory: &Path) {
    for (name, inner) in &nodes.0[0].entries {
        lay_out_node(nodes, &nodes.0[*inner], &directory.join(name));
    }
}

fn lay_out_node(nodes: &Nodes, node: &Node, path: &Path) {
    match &node.kind {
        Kind::File => fs::write(path, &node.data).expect("file"),
        Kind::Directory => {
            fs::create_dir(path).expect("directory");
            for (name, inner) in &node.entries {
                lay_out_node(nodes, &nodes.0[*inner], &path.join(name));
            }
        }
        Kind::Symlink(target) => {
            std::os::unix::fs::symlink(OsStr::from_bytes(target), path).expect("link");
        }
        Kind::Whiteout => {
            let kind = rustix::fs::FileType::CharacterDevice;
            let mode = rustix::fs::Mode::empty();
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).expect("whiteout");
        }
    }
    if node.owner != (0, 0) {
        std::os::unix::fs::lchown(path, Some(node.owner.0), Some(node.owner.1)).expect("chown");
    }
    if matches!(node.kind, Kind::File | Kind::Directory) {
        let mode = u32::try_from(node.mode).expect("a mode");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    }
    for (name, value) in &node.attributes {
        let name = OsStr::from_bytes(name);
        rustix::fs::setxattr(path, name, value, rustix::fs::XattrFlags::empty()).expect("attribute");
    }
    let Some((tv_sec, tv_nsec)) = node.time else { return };
    let time = rustix::fs::Timespec { tv_sec, tv_nsec };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, flags).expect("time");
}
