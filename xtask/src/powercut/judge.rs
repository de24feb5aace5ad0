//! Reads what a guest told of its disk and says what is wrong with it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::images::{Tree, sha256};
use super::script::{Is, Names};

/// What must be found.
pub(super) struct Wanted<'a> {
    pub(super) names: &'a Names,
    /// Ids of images that were there: they may have lost their names.
    pub(super) known: &'a BTreeSet<String>,
    /// What layers are, by the hash of their tar.
    pub(super) trees: &'a BTreeMap<String, Tree>,
    /// What is in the layer of a commit.
    pub(super) written: &'a Tree,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Each name's image.
    pub(super) names: BTreeMap<String, String>,
    /// Every image's id.
    pub(super) images: BTreeSet<String>,
    /// Blobs of which a part has come.
    pub(super) partial: usize,
    /// What is wrong, a sentence for each thing.
    pub(super) faults: Vec<String>,
}

/// A guest's report, read.
#[derive(Default)]
struct Report {
    names: BTreeMap<String, String>,
    images: BTreeSet<String>,
    containers: BTreeSet<String>,
    /// Hashes of files, targets of links, by their path.
    contents: BTreeMap<String, String>,
    modes: BTreeMap<String, (u32, String)>,
    documents: BTreeMap<String, String>,
    check: Vec<String>,
    log: Vec<String>,
}

fn read(lines: &[String]) -> Report {
    let mut report = Report::default();
    for line in lines {
        let Some((kind, rest)) = line.split_once(' ') else { continue };
        let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
        let path = |text: &str| text.trim_start().trim_start_matches("./").to_owned();
        match kind {
            "name" => {
                if !first.contains("<none>") {
                    report.names.insert(first.to_owned(), second.to_owned());
                }
                report.images.insert(second.to_owned());
            }
            "container" => drop(report.containers.insert(first.to_owned())),
            "file" => drop(report.contents.insert(path(second), first.to_owned())),
            // 'a/link' -> 'its target'
            "link" => {
                if let Some((name, target)) = rest.split_once(" -> ") {
                    let bare = |text: &str| text.trim().trim_matches('\'').to_owned();
                    report.contents.insert(path(&bare(name)), bare(target));
                }
            }
            "json" => drop(report.documents.insert(path(first), second.to_owned())),
            "check" => report.check.push(rest.to_owned()),
            "log" => report.log.push(rest.to_owned()),
            "stat" => {
                let words: Vec<&str> = rest.splitn(4, ' ').collect();
                if let [mode, user, group, name] = words.as_slice() {
                    let mode = u32::from_str_radix(mode, 16).unwrap_or_default();
                    report.modes.insert(path(name), (mode, format!("{user}:{group}")));
                }
            }
            _ => {}
        }
    }
    report
}

/// Judges a report.
pub(super) fn judge(lines: &[String], wanted: &Wanted<'_>) -> Found {
    let report = read(lines);
    let mut faults = names(&report, wanted);
    let needed = needed(&report, wanted, &mut faults);
    litter(&report, &needed, &mut faults);
    if !report.check.last().is_some_and(|line| line.ends_with("all is well")) {
        faults.push(format!("berth store check: {:?}", report.check));
    }
    let complains =
        |line: &&String| ["WARN", "ERROR", "warning", "error"].iter().any(|word| line.contains(word));
    faults.extend(report.log.iter().filter(complains).map(|line| format!("the daemon complains: {line}")));
    let partial = children(&report, "partial").len();
    Found { names: report.names, images: report.images, partial, faults }
}

fn names(report: &Report, wanted: &Wanted<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, may) in wanted.names {
        let fits = match report.names.get(name) {
            None => may.contains(&Is::Absent),
            Some(id) => may.contains(&Is::Image(id.clone())) || may.contains(&Is::New),
        };
        if !fits {
            faults.push(format!("{name} is {:?}, not one of {may:?}", report.names.get(name)));
        }
    }
    for (name, id) in report.names.iter().filter(|(name, _)| !wanted.names.contains_key(*name)) {
        faults.push(format!("{name} ({id}) was never asked for"));
    }
    let named: BTreeSet<&String> = report.names.values().collect();
    for id in report.images.iter().filter(|id| !named.contains(id) && !wanted.known.contains(*id)) {
        faults.push(format!("the image {id} is there without a name, and nobody acknowledged it"));
    }
    faults
}

/// Every path that an image needs, each looked at.
fn needed(report: &Report, wanted: &Wanted<'_>, faults: &mut Vec<String>) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    let Some(index) =
        report.documents.get("index.json").and_then(|text| serde_json::from_str::<Value>(text).ok())
    else {
        faults.push("index.json is missing or is no JSON".to_owned());
        return needed;
    };
    for entry in index["manifests"].as_array().into_iter().flatten() {
        let place = blob(&entry["digest"], report, &mut needed, faults);
        let manifest = document(report, &place, faults);
        let place = blob(&manifest["config"]["digest"], report, &mut needed, faults);
        let config = document(report, &place, faults);
        for layer in manifest["layers"].as_array().into_iter().flatten() {
            blob(&layer["digest"], report, &mut needed, faults);
        }
        for diff_id in config["rootfs"]["diff_ids"].as_array().into_iter().flatten().map(hex) {
            let tree = wanted.trees.get(&diff_id).unwrap_or(wanted.written);
            let place = format!("overlay/l/{}", short_name(&diff_id));
            compare(report, &place, tree, faults);
            needed.insert(place);
            needed.insert(format!("overlay/info/{diff_id}"));
        }
    }
    needed
}

fn blob(digest: &Value, report: &Report, needed: &mut BTreeSet<String>, faults: &mut Vec<String>) -> String {
    let place = format!("blobs/sha256/{}", hex(digest));
    match report.contents.get(&place) {
        None => faults.push(format!("{place} is missing")),
        Some(hash) if *hash != hex(digest) => {
            let empty = if *hash == sha256(b"") { " (it is empty)" } else { "" };
            faults.push(format!("{place} has other content, {hash}{empty}"));
        }
        Some(_) => {}
    }
    needed.insert(place.clone());
    place
}

fn document(report: &Report, place: &str, faults: &mut Vec<String>) -> Value {
    let read = report.documents.get(place).and_then(|text| serde_json::from_str(text).ok());
    if read.is_none() {
        faults.push(format!("{place} is no document"));
    }
    read.unwrap_or_default()
}

fn hex(digest: &Value) -> String {
    digest.as_str().unwrap_or_default().trim_start_matches("sha256:").to_owned()
}

/// A layer's tree is what its tar says, name by name.
fn compare(report: &Report, place: &str, tree: &Tree, faults: &mut Vec<String>) {
    let below = format!("{place}/");
    let range = report.modes.range(below.clone()..).take_while(|(path, _)| path.starts_with(&below));
    let mut found = Tree::new();
    for (path, (mode, owner)) in range {
        let content = report.contents.get(path).cloned().unwrap_or_default();
        if owner != "0:0" {
            faults.push(format!("{path} is {owner}'s"));
        }
        found.insert(path[below.len()..].to_owned(), (*mode, content));
    }
    if !report.modes.contains_key(place) {
        faults.push(format!("{place} is missing"));
    } else if found != *tree {
        let differs = |(path, seen): &(&String, &(u32, String))| tree.get(*path) != Some(*seen);
        let more: Vec<_> = found.iter().filter(differs).take(3).collect();
        let less: Vec<_> =
            tree.iter().filter(|(path, seen)| found.get(*path) != Some(*seen)).take(3).collect();
        faults.push(format!("{place} has {more:?} instead of {less:?} (among others)"));
    }
}

fn children(report: &Report, directory: &str) -> Vec<String> {
    let below = format!("{directory}/");
    let names = report.modes.keys().filter_map(|path| path.strip_prefix(&below));
    names.filter(|name| !name.contains('/')).map(|name| format!("{below}{name}")).collect()
}

/// What nobody needs.
fn litter(report: &Report, needed: &BTreeSet<String>, faults: &mut Vec<String>) {
    const OURS: [&str; 14] = [
        "ballast",
        "berth.db",
        "berth.db-shm",
        "berth.db-wal",
        "blobs",
        "containers",
        "index.json",
        "ingest",
        "lock",
        "oci-layout",
        "overlay",
        "partial",
        "volumes",
        "network.json",
    ];
    let top = report.modes.keys().filter(|path| !path.contains('/') && !OURS.contains(&path.as_str()));
    faults.extend(top.map(|path| format!("{path} is left over")));
    let mut places: BTreeSet<String> = BTreeSet::new();
    for directory in ["blobs/sha256", "overlay/l", "overlay/info", "ingest"] {
        places.extend(children(report, directory));
    }
    let spare = places.iter().filter(|path| !needed.contains(*path) && path.as_str() != "overlay/l/none");
    faults.extend(spare.map(|path| format!("{path} is left over")));
    for (directory, what) in [("overlay/snapshots", "snapshot"), ("containers", "directory")] {
        for path in children(report, directory) {
            let id = path.rsplit('/').next().unwrap_or(&path);
            if !report.containers.contains(id) {
                faults.push(format!("{path} is the {what} of a container that is not there"));
            }
        }
    }
    // A part of a blob waits for the next pull for a day; that of one which is there waits for nothing.
    for path in children(report, "partial") {
        let name = path.rsplit('/').next().unwrap_or(&path);
        if name.len() != 64 || report.contents.contains_key(&format!("blobs/sha256/{name}")) {
            faults.push(format!("{path} is left over"));
        }
    }
}

/// The name of a layer's directory: the first 130 bits of its hash in base 32.
fn short_name(hex: &str) -> String {
    let letters = b"abcdefghijklmnopqrstuvwxyz234567";
    let bits: String =
        hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| format!("{digit:04b}")).collect();
    let groups = bits.as_bytes().chunks_exact(5).take(26);
    let number = |group: &[u8]| group.iter().fold(0_usize, |sum, bit| sum * 2 + usize::from(bit - b'0'));
    groups.map(|group| char::from(letters[number(group)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store with one image of one layer with one file.
    struct Sound {
        lines: Vec<String>,
        id: String,
        layer: String,
        place: String,
        tree: Tree,
    }

    fn sound() -> Sound {
        let (layer, content) = (sha256(b"layer"), sha256(b"content"));
        let config = format!("{{\"rootfs\":{{\"diff_ids\":[\"sha256:{layer}\"]}}}}");
        let id = sha256(config.as_bytes());
        let manifest = format!(
            "{{\"config\":{{\"digest\":\"sha256:{id}\"}},\"layers\":[{{\"digest\":\"sha256:{layer}\"}}]}}"
        );
        let target = sha256(manifest.as_bytes());
        let place = format!("overlay/l/{}", short_name(&layer));
        let mut lines = vec![
            format!("name a:1 sha256:{id}"),
            "container c".to_owned(),
            "check 1 images were checked: all is well".to_owned(),
            format!("json index.json {{\"manifests\":[{{\"digest\":\"sha256:{target}\"}}]}}"),
            format!("json blobs/sha256/{id} {config}"),
            format!("json blobs/sha256/{target} {manifest}"),
            format!("stat 41ed 0 0 ./{place}"),
            format!("stat 81a4 0 0 ./{place}/a file"),
            format!("file {content}  ./{place}/a file"),
            format!("stat a1ff 0 0 ./{place}/link"),
            format!("link './{place}/link' -> '../a file'"),
            format!("stat 8180 0 0 ./overlay/info/{layer}"),
            "stat 41ed 0 0 ./overlay/l/none".to_owned(),
            "stat 41ed 0 0 ./overlay/snapshots/c".to_owned(),
        ];
        for blob in [&layer, &id, &target] {
            lines.push(format!("stat 81a4 0 0 ./blobs/sha256/{blob}"));
            lines.push(format!("file {blob}  ./blobs/sha256/{blob}"));
        }
        let tree = Tree::from([
            ("a file".into(), (0o100_644, content)),
            ("link".into(), (0o120_777, "../a file".into())),
        ]);
        Sound { lines, id, layer, place, tree }
    }

    fn faults(sound: &Sound, lines: &[String], may: &[Is]) -> String {
        let names = Names::from([("a:1".to_owned(), may.iter().cloned().collect())]);
        let trees = BTreeMap::from([(sound.layer.clone(), sound.tree.clone())]);
        let (known, written) = (BTreeSet::new(), Tree::new());
        judge(lines, &Wanted { names: &names, known: &known, trees: &trees, written: &written })
            .faults
            .join("; ")
    }

    #[test]
    fn what_is_sound_passes_and_what_is_not_is_named() {
        let sound = sound();
        let image = Is::Image(format!("sha256:{}", sound.id));
        let plain = |may: &[Is]| faults(&sound, &sound.lines, may);
        assert_eq!(plain(std::slice::from_ref(&image)), "");
        assert_eq!(plain(&[Is::Absent, Is::New]), "");
        assert!(plain(&[Is::Absent]).contains("not one of"));
        let edits: [(String, String, &str); 10] = [
            (
                format!("file {}  ./blobs", sound.layer),
                format!("file {}  ./blobs", sha256(b"")),
                "(it is empty)",
            ),
            (
                format!("file {}  ./{}", sha256(b"content"), sound.place),
                format!("file {}  ./{}", sha256(b""), sound.place),
                "instead of",
            ),
            (
                format!("stat 81a4 0 0 ./{}", sound.place),
                format!("stat 8180 0 0 ./{}", sound.place),
                "instead of",
            ),
            ("'../a file'".into(), "''".into(), "instead of"),
            ("container c".into(), "container d".into(), "of a container that is not there"),
            (
                "stat 41ed 0 0 ./overlay/l/none".into(),
                "stat 41ed 0 0 ./overlay/l/more".into(),
                "overlay/l/more is left over",
            ),
            (
                "stat 41ed 0 0 ./overlay/l/none".into(),
                "stat 81a4 0 0 ./ingest/1".into(),
                "ingest/1 is left over",
            ),
            (
                "stat 41ed 0 0 ./overlay/l/none".into(),
                "stat 81a4 0 0 ./index.new".into(),
                "index.new is left over",
            ),
            (
                "stat 41ed 0 0 ./overlay/l/none".into(),
                format!("stat 81a4 0 0 ./partial/{}", sound.layer),
                "is left over",
            ),
            ("all is well".into(), "1 faults".into(), "store check"),
        ];
        for (from, to, says) in edits {
            let edited: Vec<String> = sound.lines.iter().map(|line| line.replace(&from, &to)).collect();
            assert_ne!(edited, sound.lines, "{from}");
            let said = faults(&sound, &edited, std::slice::from_ref(&image));
            assert!(said.contains(says), "{says:?} is not in {said:?}");
        }
        let unnamed: Vec<String> =
            sound.lines.iter().map(|line| line.replace("name a:1", "name <none>:<none>")).collect();
        assert!(faults(&sound, &unnamed, &[Is::Absent]).contains("nobody acknowledged it"));
    }
}
