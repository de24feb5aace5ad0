//! Puts a state on a real file system, opens the store on it, and says what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use store::{Image, Store};
use testkit::power::Wanted;

use super::support::served::Served;
use super::support::{hex, sha256, small};

/// The name under which what came in part is pulled again.
const AGAIN: &str = "again:1";

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

/// Opens the store and says what is wrong. `layers`: how the trees should look, by the names of their directories; `served`: what may
/// have come in part.
pub(crate) fn judge(
    root: &Path,
    wanted: &Wanted,
    layers: &BTreeMap<String, Vec<String>>,
    served: &[Served],
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
    go_on(&store, served)?;
    store.images().iter().try_for_each(|image| check_image(&store, image, layers))?;
    if store.resolve(AGAIN).is_ok() {
        store.remove(AGAIN, true, &|_| None).map_err(|e| format!("it cannot be removed: {e}"))?;
    }
    let mut needed = BTreeSet::new();
    for image in store.images().iter() {
        let blobs = [image.id, image.manifest].into_iter().chain(image.layer_blobs().iter().copied());
        needed.extend(blobs.map(|blob| format!("blobs/sha256/{}", blob.hex())));
        let trees = store.layer_paths(image).into_iter().zip(&image.layers);
        needed.extend(trees.flat_map(|(path, layer)| {
            [format!("overlay/l/{}", name_of(&path)), format!("overlay/info/{}", layer.hex())]
        }));
    }
    store.settle();
    check_litter(root, &needed)
}

/// What came in part is kept for a day: the next try must come to its end with it, whatever a cut made of it.
fn go_on(store: &Store, served: &[Served]) -> Result<(), String> {
    let names = names(&store.root().join("partial"));
    for name in &names {
        let is_of = |one: &&Served| one.blobs.iter().any(|blob| hex(blob) == *name);
        let image = served.iter().find(is_of).ok_or_else(|| format!("partial/{name} is nobody's"))?;
        // Each that is seen to be damaged is thrown away.
        let mut tries = (0..=image.blobs.len()).map(|_| image.pull(store, AGAIN));
        let end = tries.find(|tried| !tried.as_ref().is_err_and(|e| e.kind() == types::Kind::Corrupt));
        end.transpose().map_err(|e| format!("{name} stands in the way: {e}"))?.ok_or("damage stays")?;
    }
    match names.iter().find(|name| store.root().join("partial").join(name).exists()) {
        Some(name) if names.len() == 1 => Err(format!("partial/{name} was not used")),
        _ => Ok(()),
    }
}

fn check_image(store: &Store, image: &Image, layers: &BTreeMap<String, Vec<String>>) -> Result<(), String> {
    for blob in [image.id, image.manifest].iter().chain(image.layer_blobs()) {
        let content = fs::read(store.root().join("blobs/sha256").join(blob.hex())).unwrap_or_default();
        if sha256(&content) != blob.to_string() {
            return Err(format!("blob {blob} has {} other bytes", content.len()));
        }
    }
    for path in store.layer_paths(image) {
        let name = name_of(&path);
        let want = layers.get(&name).ok_or_else(|| format!("layer {name} is unknown"))?;
        let found = listing(&path);
        if found != *want {
            return Err(format!("layer {name} is {found:#?}, not {want:#?}"));
        }
    }
    store.prepare("c", image, true).map_err(|e| format!("it cannot be run: {e}"))?;
    store.discard("c").map_err(|e| format!("the snapshot stays: {e}"))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("directory");
    entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect()
}

fn check_names(store: &Store, wanted: &Wanted) -> Result<(), String> {
    wanted.check("image", |name| store.resolve(name).map(|i| i.id.to_string()).unwrap_or_default())?;
    let ids = wanted.possible("image");
    for image in store.images().iter() {
        if !ids.contains(image.id.to_string().as_str()) {
            return Err(format!("image {} {:?} should not be there", image.id, image.repo_tags()));
        }
    }
    wanted.check("record", |id| store.records().get("story", id).ok().flatten().unwrap_or_default())?;
    let labels = |name: &str| store.volumes().get(name).map(|v| v.labels.values().cloned().collect());
    wanted.check("volume", |name| labels(name).unwrap_or_default())
}

/// What nobody needs.
fn check_litter(root: &Path, needed: &BTreeSet<String>) -> Result<(), String> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    for directory in ["blobs/sha256", "overlay/l", "overlay/info", "ingest", "overlay/snapshots", "partial"] {
        found.extend(names(&root.join(directory)).iter().map(|name| format!("{directory}/{name}")));
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
    match names(root).into_iter().find(|name| !OURS.contains(&name.as_str())) {
        Some(litter) => Err(format!("{litter} is left over")),
        None => Ok(()),
    }
}
