//! The images of the bench, built on the spot: a Debian with fifty thousand small files, a few large files, and twelve layers; the
//! first also as zstd.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::super::stage::Stage;
use super::{Place, kept, path};
use crate::command;

/// What there is.
pub(super) const NAMES: &[&str] = &["many-gzip", "many-zstd", "big-gzip", "layers-gzip"];

const FILES: usize = 50_000;
const BIG: u64 = 1 << 30;
const LAYERS: usize = 12;
const MEDIA: &str = "application/vnd.oci.image";

/// An image in the registry.
pub(super) struct Image {
    pub(super) name: String,
    /// The name of one with the lower half of its layers.
    pub(super) half: Option<String>,
    pub(super) layers: Vec<Layer>,
}

/// One layer's file, compressed and not.
pub(super) struct Layer {
    pub(super) blob: PathBuf,
    pub(super) compressed: u64,
    pub(super) plain: u64,
    pub(super) files: u64,
    digest: String,
    diff_id: String,
}

impl Layer {
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    pub(super) fn is_zstd(&self) -> bool {
        self.blob.extension().is_some_and(|end| end == "zst")
    }
}

/// The root of a Debian, of which the images are made.
pub(super) fn base() -> PathBuf {
    kept().join("base")
}

/// Builds those with these names, unless an earlier bench did, and puts them into the registry.
pub(super) fn build(place: &Place<'_>, names: &[&str], small: bool) -> Result<Vec<Image>, String> {
    let (stage, registry) = (place.stage, place.source.address.as_str());
    let scale = if small { 100 } else { 1 };
    let mut images = Vec::new();
    for name in names {
        let place = kept().join(if small { format!("{name}-small") } else { (*name).to_owned() });
        if !place.exists() {
            eprintln!("building {name}");
            let new = place.with_extension("new");
            command::run(Command::new("rm").arg("-rf").arg(&new))?;
            std::fs::create_dir_all(&new).map_err(|e| e.to_string())?;
            pack(stage, &new, name, scale)?;
            std::fs::rename(&new, &place).map_err(|e| e.to_string())?;
        }
        let layers = read_layers(&place)?;
        push(stage, name, &layers, registry)?;
        let half = (layers.len() > 1).then(|| format!("{name}-half"));
        if let Some(half) = &half {
            push(stage, half, &layers[..layers.len() / 2], registry)?;
        }
        images.push(Image { name: (*name).to_owned(), half, layers });
    }
    Ok(images)
}

/// Makes the layers of an image, as files in `place`.
fn pack(stage: &Stage, place: &Path, name: &str, scale: usize) -> Result<(), String> {
    let (kind, press) = name.split_once('-').unwrap_or((name, "gzip"));
    let tree = stage.path("tree");
    let layers = if kind == "layers" { LAYERS } else { 1 };
    for number in 0..layers {
        match kind {
            "many" => {
                command::run(Command::new("cp").arg("-a").args([base(), tree.clone()]))?;
                add_files(&tree.join("opt/files"), FILES / scale)?;
            }
            "big" => add_big(&tree, BIG / scale as u64)?,
            _ => add_files(&tree.join(format!("opt/{number}")), 2000 / scale.min(20))?,
        }
        layer(stage, &tree, &place.join(format!("{number:02}")), press)?;
        std::fs::remove_dir_all(&tree).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// What `pack` made, lowest first.
fn read_layers(place: &Path) -> Result<Vec<Layer>, String> {
    let fail = |e: std::io::Error| format!("{}: {e}", place.display());
    let entries = std::fs::read_dir(place).map_err(fail)?;
    let mut notes: Vec<PathBuf> =
        entries.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>().map_err(fail)?;
    notes.retain(|path| path.extension().is_some_and(|end| end == "json"));
    notes.sort();
    let read = |note: &PathBuf| -> Result<Layer, String> {
        let text = std::fs::read_to_string(note).map_err(fail)?;
        let note: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        let number = |key: &str| note[key].as_u64().ok_or_else(|| format!("a layer without {key}"));
        let text = |key: &str| note[key].as_str().unwrap_or_default().to_owned();
        Ok(Layer {
            blob: place.join(text("blob")),
            compressed: number("compressed")?,
            plain: number("plain")?,
            files: number("files")?,
            digest: text("digest"),
            diff_id: text("diff_id"),
        })
    };
    notes.iter().map(read).collect()
}

/// Pieces of the base's own files: they compress as files do.
fn add_files(target: &Path, count: usize) -> Result<(), String> {
    let sources = sources()?;
    for number in 0..count {
        let directory = target.join(format!("{:02}/{:02}", number / 1000, number / 50 % 20));
        if number % 50 == 0 {
            std::fs::create_dir_all(&directory).map_err(|e| e.to_string())?;
        }
        let (source, length) = &sources[number % sources.len()];
        let size = (200 + number * 7919 % 40_000).min(*length);
        let from = (number / sources.len() * 4099) % (length - size + 1);
        let bytes = read_piece(source, from, size)?;
        std::fs::write(directory.join(number.to_string()), bytes).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Eight large files of the base's content, over and over, each time with another beginning.
fn add_big(target: &Path, bytes: u64) -> Result<(), String> {
    let sources = sources()?;
    std::fs::create_dir_all(target).map_err(|e| e.to_string())?;
    let mut next = 0;
    for number in 0..8 {
        let mut file = File::create(target.join(number.to_string())).map_err(|e| e.to_string())?;
        let mut written = 0;
        while written < bytes / 8 {
            let (source, length) = &sources[next % sources.len()];
            let piece = read_piece(source, next % 4096, length - next % 4096)?;
            file.write_all(&piece).map_err(|e| e.to_string())?;
            written += piece.len() as u64;
            next += 1;
        }
    }
    Ok(())
}

/// Files of more than 20 KB, in order.
fn sources() -> Result<Vec<(PathBuf, usize)>, String> {
    let mut find = Command::new("find");
    find.arg(base().join("usr")).args(["-type", "f", "-size", "+20k", "-printf", "%s %p\n"]);
    let found = command::output(&mut find)?;
    let pair =
        |line: &str| line.split_once(' ').and_then(|(size, path)| Some((path.into(), size.parse().ok()?)));
    let mut sources: Vec<(PathBuf, usize)> = found.lines().filter_map(pair).collect();
    sources.sort();
    if sources.is_empty() { Err("the base has no files".to_owned()) } else { Ok(sources) }
}

fn read_piece(path: &Path, from: usize, size: usize) -> Result<Vec<u8>, String> {
    use std::os::unix::fs::FileExt;
    let mut bytes = vec![0; size];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut bytes, from as u64));
    read.map_err(|e| format!("{}: {e}", path.display())).map(|()| bytes)
}

/// Packs a tree into `target` with an ending, and notes beside it what is in it.
fn layer(stage: &Stage, tree: &Path, target: &Path, press: &str) -> Result<(), String> {
    let (end, program) = if press == "zstd" { ("zst", "zstd -3") } else { ("gz", "gzip -6 -n") };
    let (plain, blob) = (stage.path("plain.tar"), target.with_extension(format!("tar.{end}")));
    let mut tar = Command::new("tar");
    command::run(tar.args(["--sort=name", "-C", path(tree), "-cf", path(&plain), "."]))?;
    let script = format!("{program} < {} > {}", path(&plain), path(&blob));
    command::run(Command::new("sh").args(["-c", &script]))?;
    let length = |file: &Path| file.metadata().map(|m| m.len()).map_err(|e| e.to_string());
    let files = command::output(Command::new("tar").args(["-tf", path(&plain)]))?.lines().count();
    let note = json!({"blob": blob.file_name().and_then(|name| name.to_str()), "compressed": length(&blob)?,
        "plain": length(&plain)?, "files": files, "digest": digest(&blob)?, "diff_id": digest(&plain)?});
    std::fs::write(target.with_extension("json"), note.to_string()).map_err(|e| e.to_string())?;
    std::fs::remove_file(&plain).map_err(|e| e.to_string())
}

fn digest(file: &Path) -> Result<String, String> {
    let sum = command::output(Command::new("sha256sum").arg(file))?;
    Ok(format!("sha256:{}", sum.split(' ').next().unwrap_or_default()))
}

/// Puts an image together as an OCI layout and copies it to the registry.
fn push(stage: &Stage, name: &str, layers: &[Layer], registry: &str) -> Result<(), String> {
    let layout = stage.path("layout");
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).map_err(|e| e.to_string())?;
    let put = |media: &str, document: &Value| -> Result<Value, String> {
        let file = stage.path("document");
        std::fs::write(&file, document.to_string()).map_err(|e| e.to_string())?;
        let digest = digest(&file)?;
        std::fs::rename(&file, blobs.join(&digest[7..])).map_err(|e| e.to_string())?;
        Ok(
            json!({"mediaType": format!("{MEDIA}.{media}"), "digest": digest, "size": document.to_string().len()}),
        )
    };
    let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
    let config = put(
        "config.v1+json",
        &json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}),
    )?;
    let mut listed = Vec::new();
    for layer in layers {
        // The kept layers may be on another file system.
        std::os::unix::fs::symlink(&layer.blob, blobs.join(&layer.digest[7..])).map_err(|e| e.to_string())?;
        let press = if layer.is_zstd() { "zstd" } else { "gzip" };
        listed.push(json!({"mediaType": format!("{MEDIA}.layer.v1.tar+{press}"), "digest": layer.digest, "size": layer.compressed}));
    }
    let manifest = json!({"schemaVersion": 2, "mediaType": format!("{MEDIA}.manifest.v1+json"), "config": config, "layers": listed});
    let manifest = put("manifest.v1+json", &manifest)?;
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    std::fs::write(layout.join("index.json"), index.to_string()).map_err(|e| e.to_string())?;
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)
        .map_err(|e| e.to_string())?;
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "--quiet", "--dest-tls-verify=false", &format!("oci:{}", path(&layout))]);
    command::run(skopeo.arg(format!("docker://{registry}/{name}:1")))?;
    std::fs::remove_dir_all(&layout).map_err(|e| e.to_string())
}

/// The beginning of a file, up to so many bytes.
pub(super) fn beginning(file: &Path, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map_err(|e| e.to_string()).map(|_| bytes)
}
