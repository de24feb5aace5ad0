//! A store in a scratch directory, and archives built by hand.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

pub mod memory;
pub mod served;
pub mod targets;

use std::path::Path;
use std::process::Command;

use aws_lc_rs::digest::{SHA256, digest};
use layer::{Entry, Writer};
use serde_json::{Value, json};
use store::{Loaded, Options, Result, Store};
use tempfile::TempDir;

/// Unpacking needs root (device files, owners, overlay's marks). Says so and answers false without.
pub fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: {test} needs root");
    }
    root
}

/// Whether the tool is there. Says so when not.
pub fn has_tool(test: &str, tool: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {tool} >/dev/null")]).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        println!("skipped: {test} needs {tool}");
    }
    found
}

/// Runs a command of a foreign tool; panics with its output when it fails.
pub fn run(command: &str) -> String {
    let out = Command::new("sh").args(["-ec", command]).output().expect("sh");
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{command}: {text}");
    text
}

pub struct Scratch {
    pub dir: TempDir,
    pub store: Store,
}

impl Scratch {
    pub fn new() -> Self {
        Self::with(small())
    }

    pub fn with(options: Options) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store = Store::open_with(&dir.path().join("data"), options).expect("open");
        Self { dir, store }
    }

    /// As a new process would.
    pub fn reopen(&mut self) {
        let root = self.root();
        let elsewhere = Store::open_with(&self.dir.path().join("other"), small()).expect("open");
        drop(std::mem::replace(&mut self.store, elsewhere));
        self.store = Store::open_with(&root, small()).expect("open again");
    }

    pub fn root(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    pub fn load(&self, archive: &[u8]) -> Result<Vec<Loaded>> {
        self.store.load(&mut &archive[..], &mut |_| ())
    }

    pub fn load_file(&self, path: &Path) -> Result<Vec<Loaded>> {
        self.store.load(&mut std::fs::File::open(path).expect("archive"), &mut |_| ())
    }

    /// Blobs, layers and unfinished work, by name.
    pub fn litter(&self) -> Vec<String> {
        self.names_in(&["blobs/sha256", "overlay/l", "overlay/info", "ingest"])
    }

    /// Unfinished work, and blobs that came in part, by name.
    pub fn unfinished(&self) -> Vec<String> {
        self.names_in(&["ingest", "partial"])
    }

    fn names_in(&self, dirs: &[&str]) -> Vec<String> {
        self.store.settle();
        let mut names = Vec::new();
        for dir in dirs {
            for entry in std::fs::read_dir(self.root().join(dir)).expect(dir) {
                let name = entry.expect(dir).file_name().to_string_lossy().into_owned();
                names.extend((name != "none").then(|| format!("{dir}/{name}")));
            }
        }
        names.sort();
        names
    }
}

/// Caps small enough to be hit by small archives.
pub fn small() -> Options {
    Options {
        ratio_floor: 32 << 20,
        archive_bytes: 1 << 30,
        layer_bytes: 256 << 20,
        reserve_bytes: 1 << 20,
        ..Options::default()
    }
}

/// A tar of files: name and content. A name that ends with a slash is a directory.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let entries = files.iter().map(|(name, content)| match name.strip_suffix('/') {
        Some(dir) => (Entry::directory(dir), *content),
        None => (Entry::file(name, content.len() as u64), *content),
    });
    tar_of(&entries.collect::<Vec<_>>())
}

/// An archive of an image with two layers, of which the first is the same for every seed.
pub fn two_layers(name: &str, seed: u8) -> Vec<u8> {
    let shared = tar(&[("shared", &[9; 50_000])]);
    let own = tar(&[("own", &vec![seed; 20_000]), ("more/", b""), ("more/file", &[seed])]);
    docker_archive(&[name], &[shared, own])
}

/// A tar of whatever entries.
pub fn tar_of(entries: &[(Entry, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, content) in entries {
        writer.append(entry, &mut &content[..]).expect("tar");
    }
    writer.finish().expect("tar")
}

pub fn hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("gzip");
    encoder.finish().expect("gzip")
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("zstd")
}

/// A configuration over layers given as plain tars.
pub fn config(layers: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<String> = layers.iter().map(|l| sha256(l)).collect();
    let value = json!({"architecture": "amd64", "os": "linux", "created": "2024-05-06T07:08:09Z",
        "config": {"Cmd": ["sh"]}, "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    value.to_string().into_bytes()
}

/// An archive as `docker save` made them before 25: `<id>/layer.tar`, `<hex>.json`.
pub fn docker_archive(tags: &[&str], layers: &[Vec<u8>]) -> Vec<u8> {
    docker_archive_with(tags, layers, |layer| layer.to_vec())
}

pub fn docker_archive_with(tags: &[&str], layers: &[Vec<u8>], press: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let config = config(layers);
    let config_name = format!("{}.json", hex(&config));
    let names: Vec<String> = (0..layers.len()).map(|n| format!("{n:064x}/layer.tar")).collect();
    let manifest = json!([{"Config": config_name, "RepoTags": tags, "Layers": names}]).to_string();
    let pressed: Vec<Vec<u8>> = layers.iter().map(|l| press(l)).collect();
    let mut files: Vec<(&str, &[u8])> = vec![(&config_name, &config), ("manifest.json", manifest.as_bytes())];
    files.extend(names.iter().map(String::as_str).zip(pressed.iter().map(Vec::as_slice)));
    tar(&files)
}

/// Blobs and an index.json that grow into an OCI archive.
#[derive(Default)]
pub struct Layout {
    pub blobs: Vec<(String, Vec<u8>)>,
    pub index: Vec<Value>,
}

impl Layout {
    pub fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let name = format!("blobs/sha256/{}", hex(bytes));
        if !self.blobs.iter().any(|(known, _)| *known == name) {
            self.blobs.push((name, bytes.to_vec()));
        }
        json!({"mediaType": media_type, "digest": sha256(bytes), "size": bytes.len()})
    }

    /// Adds an image's blobs; answers the descriptor of its manifest.
    pub fn image(&mut self, layers: &[Vec<u8>], press: fn(&[u8]) -> Vec<u8>) -> Value {
        let config = self.blob("application/vnd.oci.image.config.v1+json", &config(layers));
        let layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        let layers: Vec<Value> = layers.iter().map(|l| self.blob(layer_type, &press(l))).collect();
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers,
            "mediaType": "application/vnd.oci.image.manifest.v1+json"});
        self.blob("application/vnd.oci.image.manifest.v1+json", manifest.to_string().as_bytes())
    }

    pub fn index_of(&mut self, manifests: &[Value]) -> Value {
        let index = json!({"schemaVersion": 2, "manifests": manifests,
            "mediaType": "application/vnd.oci.image.index.v1+json"});
        self.blob("application/vnd.oci.image.index.v1+json", index.to_string().as_bytes())
    }

    pub fn name(&mut self, mut descriptor: Value, name: &str) {
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        self.index.push(descriptor);
    }

    pub fn archive(&self) -> Vec<u8> {
        let index = json!({"schemaVersion": 2, "manifests": self.index}).to_string();
        let mut files: Vec<(&str, &[u8])> =
            self.blobs.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        // The index comes before or after the blobs as the tool likes; here, after.
        files.push(("index.json", index.as_bytes()));
        files.push(("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#));
        tar(&files)
    }
}
