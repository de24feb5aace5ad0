//! Images of several platforms, artifacts, and what refers to them, through the command line and Docker's own.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testkit::Daemon;

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn sha256(bytes: &[u8]) -> String {
    let mut sum =
        Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sha256sum");
    sum.stdin.take().expect("stdin").write_all(bytes).expect("bytes");
    let text = String::from_utf8(sum.wait_with_output().expect("sum").stdout).expect("text");
    text.split_whitespace().next().expect("sum").to_owned()
}

/// An OCI layout that grows.
#[derive(Default)]
pub(crate) struct Layout(Vec<(String, Vec<u8>)>);

impl Layout {
    pub(crate) fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let hex = sha256(bytes);
        self.0.push((format!("blobs/sha256/{hex}"), bytes.to_vec()));
        json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()})
    }

    pub(crate) fn document(&mut self, media_type: &str, mut document: Value) -> Value {
        document["schemaVersion"] = json!(2);
        document["mediaType"] = media_type.into();
        self.blob(media_type, document.to_string().as_bytes())
    }

    pub(crate) fn image(&mut self, architecture: &str, layer: &[u8]) -> Value {
        let config = json!({"architecture": architecture, "os": "linux", "config": {"Cmd": ["/bin/busybox", "echo", architecture]},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(layer))]}});
        let config = self.blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let layer = self.blob("application/vnd.oci.image.layer.v1.tar", layer);
        let mut descriptor = self.document(MANIFEST, json!({"config": config, "layers": [layer]}));
        descriptor["platform"] = json!({"architecture": architecture, "os": "linux"});
        descriptor
    }

    pub(crate) fn artifact(&mut self, kind: &str, subject: Option<&Value>) -> Value {
        let config = self.blob("application/vnd.oci.empty.v1+json", b"{}");
        let content = self.blob("text/plain", kind.as_bytes());
        let mut manifest = json!({"artifactType": kind, "config": config, "layers": [content]});
        if let Some(subject) = subject {
            manifest["subject"] = subject.clone();
        }
        self.document(MANIFEST, manifest)
    }

    pub(crate) fn archive(&self, entries: &[(&str, &Value)]) -> Vec<u8> {
        let named = entries.iter().map(|(name, descriptor)| {
            let mut descriptor = (*descriptor).clone();
            if !name.is_empty() {
                descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
            }
            descriptor
        });
        let index = json!({"schemaVersion": 2, "manifests": named.collect::<Vec<_>>()}).to_string();
        let mut files: Vec<(&str, &[u8], u32)> =
            self.0.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice(), 0o644)).collect();
        files.sort();
        files.dedup();
        files.push(("index.json", index.as_bytes(), 0o644));
        files.push(("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644));
        testkit::tar_of(&files)
    }
}

/// An archive with two platforms of an index that has three, a chart, and a signature of the index; and the index's digest.
fn archive() -> (Vec<u8>, String) {
    let mut layout = Layout::default();
    let amd64 = layout.image("amd64", &testkit::busybox_tar());
    let arm64 = layout.image("arm64", &testkit::tar_of(&[("arm", b"64", 0o644)]));
    let absent = Layout::default().image("s390x", b"");
    let index = layout.document(INDEX, json!({"manifests": [arm64, amd64, absent]}));
    let signature = layout.artifact("application/vnd.example.signature", Some(&index));
    let chart = layout.artifact("application/vnd.example.chart", None);
    let archive =
        layout.archive(&[("example.com/multi:1", &index), ("", &signature), ("example.com/chart:1", &chart)]);
    (archive, index["digest"].as_str().expect("digest").to_owned())
}

pub(crate) fn platforms_live_side_by_side() {
    let d = Daemon::start();
    let (archive, digest) = archive();
    let said = d.feed(&["load"], &archive).ok();
    assert!(said.contains("Loaded image: example.com/multi:1"), "{said}");
    let inspect =
        |words: &[&str]| d.berth(&[&["image", "inspect", "-f"], words, &["example.com/multi:1"]].concat());
    assert_eq!(
        inspect(&["{{.Architecture}} {{.RepoDigests}}"]).ok(),
        format!("amd64 [example.com/multi@{digest}]")
    );
    assert_eq!(inspect(&["{{.Architecture}}", "--platform", "linux/aarch64"]).ok(), "arm64");
    let absent = inspect(&["{{.Id}}", "--platform", "linux/s390x"]);
    assert_eq!(absent.code, 1);
    assert!(absent.err.contains("does not provide the specified platform (linux/s390x)"), "{}", absent.err);
    let history =
        d.berth(&["history", "-q", "--no-trunc", "--platform", "linux/arm64", "example.com/multi:1"]).ok();
    assert_eq!(history, inspect(&["{{.Id}}", "--platform", "linux/arm64"]).ok());

    assert_eq!(d.berth(&["run", "--rm", "example.com/multi:1"]).ok(), "amd64");
    let id = d.berth(&["create", "--platform", "linux/arm64", "example.com/multi:1"]).ok();
    let of = d.berth(&["inspect", "-f", "{{.Image}}", &id]).ok();
    assert_eq!(of, inspect(&["{{.Id}}", "--platform", "linux/arm64"]).ok());
    assert!(d.berth(&["ps", "-a"]).ok().contains("example.com/multi:1"));

    let tree = d.berth(&["images", "--tree"]).ok();
    for line in
        ["├─ linux/arm64", "├─ linux/amd64", "├─ linux/s390x", "└─ referrer", "application/vnd.example.chart"]
    {
        assert!(tree.contains(line), "{line}: {tree}");
    }
    assert!(tree.contains("not here") && tree.contains("in use"), "{tree}");
    let used = d.berth(&["rmi", "example.com/multi:1"]);
    assert!(used.code == 1 && used.err.contains("must force"), "{}", used.err);
    d.berth(&["rm", &id]).ok();

    // What was saved loads elsewhere, with every platform and the same digest.
    let saved = d.directory().join("saved.tar");
    let path = saved.display().to_string();
    d.berth(&["save", "-o", &path, "example.com/multi:1"]).ok();
    let other = Daemon::start();
    other.berth(&["load", "-i", &path]).ok();
    assert_eq!(
        other.berth(&["image", "inspect", "-f", "{{.RepoDigests}}", "example.com/multi:1"]).ok(),
        format!("[example.com/multi@{digest}]")
    );
    let alone = d.berth(&["save", "-o", &path, "--platform", "linux/arm64", "example.com/multi:1"]);
    alone.ok();
    let third = Daemon::start();
    third.berth(&["load", "-i", &path]).ok();
    assert_eq!(
        third.berth(&["image", "inspect", "-f", "{{.Architecture}}", "example.com/multi:1"]).ok(),
        "arm64"
    );
    assert_eq!(d.docker(&["images", "-q", "example.com/multi"]).ok().lines().count(), 1);
    d.berth(&["rmi", "example.com/multi:1"]).ok();
    assert_eq!(d.berth(&["images", "-aq"]).ok().lines().count(), 1, "the chart alone is left");
}

pub(crate) fn one_platform_goes() {
    let d = Daemon::start();
    d.feed(&["load"], &archive().0).ok();
    let name = "example.com/multi:1";
    let containers = |word: &str| d.berth(&["images", "--format", "{{.Containers}}", word]).ok();
    let id = d.berth(&["create", "--platform", "linux/arm64", name]).ok();
    assert_eq!(containers("example.com/multi"), "1", "of whichever platform");
    let used = d.docker(&["rmi", "--platform", "linux/arm64", name]);
    assert!(used.code == 1 && used.err.contains("is being used by stopped container"), "{}", used.err);
    d.berth(&["rm", &id]).ok();
    let absent = d.berth(&["rmi", "--platform", "linux/amd64,linux/s390x", name]);
    assert!(absent.code == 1 && absent.err.contains("does not provide"), "{}", absent.err);
    let odd = d.berth(&["rmi", "--platform", "amiga", name]);
    assert!(odd.code == 1 && odd.err.contains("amiga"), "{}", odd.err);
    let removed = d.docker(&["rmi", "--platform", "linux/arm64", name]).ok();
    assert_eq!(removed.matches("Deleted: sha256:").count(), 2, "an image and its layer: {removed}");
    assert_eq!(d.berth(&["run", "--rm", name]).ok(), "amd64");
    let removed = d.berth(&["rmi", "--platform", "linux/amd64", name]).ok();
    assert!(removed.starts_with(&format!("Untagged: {name}\n")), "{removed}");
}

pub(crate) fn artifacts_are_shown_and_not_run() {
    let d = Daemon::start();
    d.feed(&["load"], &archive().0).ok();
    let kind = "application/vnd.example.chart";
    assert_eq!(d.berth(&["image", "inspect", "-f", "{{.ArtifactType}}", "example.com/chart:1"]).ok(), kind);
    assert!(d.docker(&["images"]).ok().contains("example.com/chart"));
    for words in [&["run", "example.com/chart:1"][..], &["create", "example.com/chart:1"]] {
        let refused = d.berth(words);
        assert_ne!(refused.code, 0);
        let sentence = format!(
            "example.com/chart:1 is an artifact of the type {kind}, not a container image: it cannot be run"
        );
        assert!(refused.err.contains(&sentence), "{}", refused.err);
    }
    assert_eq!(d.berth(&["ps", "-aq"]).ok(), "");
    let signatures =
        d.berth(&["image", "inspect", "-f", "{{(index .Referrers 0).artifactType}}", "example.com/multi:1"]);
    assert_eq!(signatures.ok(), "application/vnd.example.signature");
    d.berth(&["tag", "example.com/chart:1", "example.com/chart:2"]).ok();
    d.berth(&["rmi", "example.com/chart:1", "example.com/chart:2"]).ok();
    assert_eq!(d.berth(&["images", "-q"]).ok().lines().count(), 1);
}
