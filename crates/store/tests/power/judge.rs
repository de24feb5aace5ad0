//! Puts a state on a real file system, opens the store on it, and says what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use store::Store;

use super::disk::{Kind, Node, Nodes};
use super::support::{sha256, small};

/// What must be found: for each name, the ids that it may have; empty: it may be missing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) names: BTreeMap<String, BTreeSet<String>>,
    /// As `names`, for records.
    pub(crate) records: BTreeMap<String, BTreeSet<String>>,
    /// As `names`, for volumes.
    pub(crate) volumes: BTreeMap<String, BTreeSet<String>>,
}

impl Wanted {
    /// A number for these wants.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.names, &self.records, &self.volumes).hash(&mut hasher);
        hasher.finish()
    }
}

/// A number for what can be reached: two states with the same one are the same.
pub(crate) fn fingerprint(nodes: &Nodes) -> u64 {
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

/// Makes what can be reached from the root.
pub(crate) fn lay_out(nodes: &Nodes, directory: &Path) {
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
            let target: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(target);
            std::os::unix::fs::symlink(target, path).expect("link");
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
        let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name.as_slice());
        rustix::fs::setxattr(path, name, value, rustix::fs::XattrFlags::empty()).expect("attribute");
    }
    let time = rustix::fs::Timespec { tv_sec: node.time.0, tv_nsec: node.time.1 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, flags).expect("time");
}

/// What a layer's tree is like, a line for each thing in it.
pub(crate) fn listing(tree: &Path) -> Vec<String> {
    fn walk(tree: &Path, at: &Path, lines: &mut Vec<String>) {
        let stat = fs::symlink_metadata(at).expect("stat");
        let content = if stat.is_file() {
            sha256(&fs::read(at).expect("content"))
        } else if stat.is_symlink() {
            fs::read_link(at).expect("target").display().to_string()
        } else {
            String::new()
        };
        let mut mark = [0; 8];
        let opaque = rustix::fs::lgetxattr(at, "trusted.overlay.opaque", &mut mark[..]).is_ok();
        // The root and marks have no date of their own.
        let time = if at == tree || stat.mode() & 0o7777 == 0 { 0 } else { stat.mtime() };
        lines.push(format!(
            "{} {:o} {}:{} {time} {} {opaque} {content}",
            at.strip_prefix(tree).expect("below").display(),
            stat.mode(),
            stat.uid(),
            stat.gid(),
            if stat.is_dir() { 0 } else { stat.nlink() },
        ));
        if stat.is_dir() {
            for entry in fs::read_dir(at).expect("directory") {
                walk(tree, &entry.expect("entry").path(), lines);
            }
        }
    }
    let mut lines = Vec::new();
    walk(tree, tree, &mut lines);
    lines.sort();
    lines
}

/// Opens the store and says what is wrong. `layers`: how the trees should look, by the names of their directories.
pub(crate) fn judge(
    root: &Path,
    wanted: &Wanted,
    layers: &BTreeMap<String, Vec<String>>,
) -> Result<(), String> {
    let store = Store::open_with(root, small()).map_err(|e| format!("it does not open: {e}"))?;
    if let [first, ..] = store.warnings() {
        return Err(format!("it complains: {first}"));
    }
    check_names(&store, wanted)?;
    // Whoever knows the containers does this.
    for container in store.snapshots() {
        store.discard(&container).map_err(|e| format!("the snapshot stays: {e}"))?;
    }
    let mut needed = BTreeSet::new();
    for image in store.images().iter() {
        for blob in [image.id, image.manifest].iter().chain(image.layer_blobs()) {
            let content = fs::read(root.join("blobs/sha256").join(blob.hex())).unwrap_or_default();
            if sha256(&content) != blob.to_string() {
                return Err(format!("blob {blob} has {} other bytes", content.len()));
            }
            needed.insert(format!("blobs/sha256/{}", blob.hex()));
        }
        for (path, layer) in store.layer_paths(image).iter().zip(&image.layers) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            let want = layers.get(&name).ok_or_else(|| format!("layer {name} is unknown"))?;
            let found = listing(path);
            if found != *want {
                return Err(format!("layer {name} is {found:#?}, not {want:#?}"));
            }
            needed.extend([format!("overlay/l/{name}"), format!("overlay/info/{}", layer.hex())]);
        }
        store.prepare("c", image, true).map_err(|e| format!("it cannot be run: {e}"))?;
        store.discard("c").map_err(|e| format!("the snapshot stays: {e}"))?;
    }
    store.settle();
    check_litter(root, &needed)
}

fn check_names(store: &Store, wanted: &Wanted) -> Result<(), String> {
    let one = |what: &str, name: &str, found: String, may_be: &BTreeSet<String>| {
        if may_be.contains(&found) {
            Ok(())
        } else {
            Err(format!("{what} {name} is {found:?}, not {may_be:?}"))
        }
    };
    for (name, ids) in &wanted.names {
        one("image", name, store.resolve(name).map(|i| i.id.to_string()).unwrap_or_default(), ids)?;
    }
    let ids: BTreeSet<_> = wanted.names.values().flatten().collect();
    for image in store.images().iter() {
        if !ids.contains(&image.id.to_string()) {
            return Err(format!("image {} {:?} should not be there", image.id, image.repo_tags()));
        }
    }
    for (id, values) in &wanted.records {
        one("record", id, store.records().get("story", id).ok().flatten().unwrap_or_default(), values)?;
    }
    for (name, values) in &wanted.volumes {
        let found = store.volumes().get(name).map(|v| v.labels.values().cloned().collect::<String>());
        one("volume", name, found.unwrap_or_default(), values)?;
    }
    Ok(())
}

/// What nobody needs.
fn check_litter(root: &Path, needed: &BTreeSet<String>) -> Result<(), String> {
    let names = |directory: &str| -> Vec<String> {
        let entries = fs::read_dir(root.join(directory)).expect(directory);
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        entries.map(|entry| name(entry.expect("entry"))).collect()
    };
    let mut found: BTreeSet<String> = BTreeSet::new();
    for directory in ["blobs/sha256", "overlay/l", "overlay/info", "ingest", "overlay/snapshots", "partial"] {
        found.extend(names(directory).iter().map(|name| format!("{directory}/{name}")));
    }
    found.remove("overlay/l/none");
    if found != *needed {
        let more: Vec<_> = found.difference(needed).collect();
        let less: Vec<_> = needed.difference(&found).collect();
        return Err(format!("too many are {more:?}, too few {less:?}"));
    }
    const OURS: [&str; 12] = [
        "ballast",
        "berth.db",
        "berth.db-shm",
        "berth.db-wal",
        "blobs",
        "index.json",
        "ingest",
        "lock",
        "oci-layout",
        "overlay",
        "partial",
        "volumes",
    ];
    match names("").into_iter().find(|name| !OURS.contains(&name.as_str())) {
        Some(litter) => Err(format!("{litter} is left over")),
        None => Ok(()),
    }
}
