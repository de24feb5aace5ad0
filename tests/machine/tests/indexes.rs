//! Images of several platforms, what is stated of them, artifacts, and what refers to them, on their way from and to Debian's
//! docker-registry. skopeo brings them there and looks at what Berth left.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::{Value, json};
use testkit::{Daemon, Need, Registry};

use crate::platforms::{INDEX, Layout, MANIFEST};
use crate::registry_server::free_port;

/// What the tests need on the machine.
pub(crate) const NEEDS: &[Need] = &[Need::Program("docker-registry"), Need::Program("skopeo")];

const SIGNATURE: &str = "application/vnd.example.signature";
const STAMP: &str = "application/vnd.example.stamp";
const PARTS: &str = "application/vnd.example.parts";

/// What BuildKit puts beside an image into its index.
fn attestation(layout: &mut Layout, of: &Value) -> Value {
    let config =
        json!({"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": []}});
    let config = layout.blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let statement = json!({"subject": [of["digest"]]}).to_string();
    let statement = layout.blob("application/vnd.in-toto+json", statement.as_bytes());
    let mut descriptor = layout.document(MANIFEST, json!({"config": config, "layers": [statement]}));
    descriptor["platform"] = json!({"architecture": "unknown", "os": "unknown"});
    descriptor["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": of["digest"]});
    descriptor
}

/// An index of two platforms with a statement of each; and its descriptor.
fn index(layout: &mut Layout) -> Value {
    let amd64 = layout.image("amd64", &testkit::busybox_tar());
    let arm64 = layout.image("arm64", &testkit::tar_of(&[("arm", b"64", 0o644)]));
    let stated = [attestation(layout, &amd64), attestation(layout, &arm64)];
    let [first, second] = stated;
    layout.document(INDEX, json!({"manifests": [arm64, amd64, first, second]}))
}

fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().expect("a digest")
}

/// Brings what an archive has under that name to the registry.
fn copy(d: &Daemon, archive: &[u8], registry: &Registry, name: &str) {
    let file = d.directory().join("layout.tar");
    std::fs::write(&file, archive).expect("an archive");
    let from = format!("oci-archive:{}:it", file.display());
    let to = at(registry, name);
    skopeo(&["copy", "-q", "--all", "--preserve-digests", "--dest-tls-verify=false", &from, &to]);
}

fn at(registry: &Registry, name: &str) -> String {
    format!("docker://{}/{name}", registry.address())
}

fn skopeo(words: &[&str]) -> Vec<u8> {
    let output = Command::new("skopeo").arg("--insecure-policy").args(words).output().expect("skopeo");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The document that a name leads to, byte for byte.
fn raw(registry: &Registry, name: &str) -> Vec<u8> {
    skopeo(&["inspect", "--raw", "--tls-verify=false", &at(registry, name)])
}

/// The manifests of an index: for what, the beginning of its digest, and whether it is here.
fn members(d: &Daemon) -> Vec<(String, String, bool)> {
    let tree = d.berth(&["images", "--tree"]).ok();
    let lines = tree.lines().filter_map(|line| Some((line.split_once("─ ")?.1, !line.contains("not here"))));
    let member = |(line, here): (&str, bool)| {
        let mut words = line.split_whitespace().map(str::to_owned);
        (words.next().expect("a name"), words.next().expect("an id"), here)
    };
    lines.map(member).collect()
}

pub(crate) fn platforms_are_pulled_one_after_the_other() {
    let (d, registry) = (Daemon::start(), Registry::start(free_port(), &[]));
    let mut layout = Layout::default();
    let index = index(&mut layout);
    copy(&d, &layout.archive(&[("it", &index)]), &registry, "multi:1");
    let name = format!("{}/multi:1", registry.address());
    let digests = format!("[{}/multi@{}]", registry.address(), digest(&index));
    let inspect = |words: &[&str]| d.berth(&[&["image", "inspect", "-f"], words, &[&name]].concat()).ok();

    let said = d.berth(&["pull", &name]).ok();
    assert!(said.contains(&format!("Digest: {}", digest(&index))), "{said}");
    assert!(said.contains(&format!("Status: Downloaded newer image for {name}")), "{said}");
    let here = |d: &Daemon| -> Vec<(String, bool)> {
        members(d).into_iter().map(|(kind, _, here)| (kind, here)).collect()
    };
    let all = |arm64: bool| {
        [("linux/arm64", arm64), ("linux/amd64", true), ("attestation", true), ("attestation", arm64)]
            .map(|(kind, here)| (kind.to_owned(), here))
            .to_vec()
    };
    assert_eq!(here(&d), all(false), "this host's image, and what is stated of it");
    assert_eq!(inspect(&["{{.Architecture}} {{.RepoDigests}}"]), format!("amd64 {digests}"));
    let up_to_date = format!("Status: Image is up to date for {name}");
    let again = d.berth(&["pull", &name]).ok();
    assert!(again.contains(&up_to_date) && !again.contains("Pulling fs layer"), "{again}");

    let said = d.berth(&["pull", "--platform", "linux/arm64", &name]).ok();
    assert!(said.contains(&format!("Status: Downloaded newer image for {name}")), "{said}");
    assert_eq!(here(&d), all(true), "dockerd 20.10 takes the name from the first");
    for (platform, architecture) in [("linux/amd64", "amd64"), ("linux/arm64", "arm64")] {
        assert!(d.berth(&["pull", "--platform", platform, &name]).ok().contains(&up_to_date), "{platform}");
        let shown = inspect(&["{{.Architecture}} {{.RepoDigests}}", "--platform", platform]);
        assert_eq!(shown, format!("{architecture} {digests}"));
    }
    assert_eq!(d.berth(&["run", "--rm", "--network", "none", &name]).ok(), "amd64");
    let absent = d.berth(&["pull", "--platform", "linux/s390x", &name]);
    assert_eq!(absent.code, 1);
    let sentence = "no matching manifest for linux/s390x in the manifest list entries";
    assert!(absent.err.contains(sentence), "{}", absent.err);
    let tree = d.berth(&["images", "--tree"]).ok();
    assert_eq!(tree.matches("─ attestation").count(), 2, "{tree}");
    assert_eq!(d.berth(&["images", "-q"]).ok().lines().count(), 1, "one name, one line");

    // To a repository that has none of it, all of it goes, and is the same there.
    let other = format!("{}/other/multi:2", registry.address());
    d.berth(&["tag", &name, &other]).ok();
    let said = d.berth(&["push", &other]).ok();
    assert!(said.contains(&format!("2: digest: {}", digest(&index))), "{said}");
    assert_eq!(raw(&registry, "other/multi:2"), raw(&registry, "multi:1"));
    let copied = d.directory().join("copied");
    let to = format!("dir:{}", copied.display());
    skopeo(&["copy", "-q", "--all", "--src-tls-verify=false", &at(&registry, "other/multi:2"), &to]);
}

pub(crate) fn a_part_of_an_index_is_pushed() {
    let (d, registry) = (Daemon::start(), Registry::start(free_port(), &[]));
    let mut layout = Layout::default();
    let index = index(&mut layout);
    copy(&d, &layout.archive(&[("it", &index)]), &registry, "multi:1");
    let name = format!("{}/multi:1", registry.address());
    d.berth(&["pull", "-q", &name]).ok();
    let amd64 = members(&d).swap_remove(1).1;
    // The registry has the rest already: the index goes as it is.
    let again = format!("{}/multi:again", registry.address());
    d.berth(&["tag", &name, &again]).ok();
    assert!(d.berth(&["push", &again]).ok().contains(&format!("digest: {}", digest(&index))));
    // Elsewhere only the image can go that is here.
    let other = format!("{}/other:1", registry.address());
    d.berth(&["tag", &name, &other]).ok();
    let said = d.berth(&["push", &other]).ok();
    assert!(said.contains(&format!("digest: sha256:{amd64}")), "{said}");
    // With everything here, one may still be chosen.
    d.berth(&["pull", "-q", "--platform", "linux/arm64", &name]).ok();
    let arm64 = members(&d).swap_remove(0).1;
    let one = format!("{}/one:1", registry.address());
    d.berth(&["tag", &name, &one]).ok();
    let said = d.berth(&["push", "--platform", "linux/arm64", &one]).ok();
    assert!(said.contains(&format!("digest: sha256:{arm64}")), "{said}");
    let pushed: Value = serde_json::from_slice(&raw(&registry, "one:1")).expect("a manifest");
    assert_eq!(pushed["mediaType"], MANIFEST);
}

pub(crate) fn artifacts_go_back_as_they_came() {
    let (d, registry) = (Daemon::start(), Registry::start(free_port(), &[]));
    let mut layout = Layout::default();
    let chart = layout.artifact(PARTS, None);
    let listed = layout.document(INDEX, json!({"manifests": [chart]}));
    for (name, descriptor) in [("chart", &chart), ("list", &listed)] {
        copy(&d, &layout.archive(&[("it", descriptor)]), &registry, &format!("{name}:1"));
        let from = format!("{}/{name}:1", registry.address());
        let to = format!("{}/back/{name}:1", registry.address());
        d.berth(&["pull", "-q", &from]).ok();
        assert_eq!(d.berth(&["image", "inspect", "-f", "{{.ArtifactType}}", &from]).ok(), PARTS, "{name}");
        assert!(d.berth(&["pull", &from]).ok().contains("Status: Image is up to date"), "{name}");
        d.berth(&["tag", &from, &to]).ok();
        let said = d.berth(&["push", &to]).ok();
        assert!(said.contains(&format!("digest: {}", digest(descriptor))), "{said}");
        assert_eq!(raw(&registry, &format!("back/{name}:1")), raw(&registry, &format!("{name}:1")));
    }
}

pub(crate) fn referrers_travel_with_their_image() {
    let (d, registry) = (Daemon::start(), Registry::start(free_port(), &[]));
    let mut layout = Layout::default();
    let index = index(&mut layout);
    let signature = layout.artifact(SIGNATURE, Some(&index));
    let stamp = layout.artifact(STAMP, Some(&signature));
    d.feed(&["load"], &layout.archive(&[("example.com/multi:1", &index), ("", &signature), ("", &stamp)]))
        .ok();
    let name = format!("{}/multi:1", registry.address());
    d.berth(&["tag", "example.com/multi:1", &name]).ok();
    // This registry keeps no lists: each is under the tag of what it is about.
    let said = d.berth(&["push", "--referrers", &name]).ok();
    assert!(said.contains(&format!(": {SIGNATURE}")) && said.contains(&format!(": {STAMP}")), "{said}");
    for (subject, about, kind) in [(&index, &signature, SIGNATURE), (&signature, &stamp, STAMP)] {
        let list = raw(&registry, &format!("multi:{}", digest(subject).replace(':', "-")));
        let list: Value = serde_json::from_slice(&list).expect("a list");
        let entry = &list["manifests"][0];
        assert_eq!((&entry["digest"], &entry["size"]), (&about["digest"], &about["size"]), "{list}");
        assert_eq!(
            (list["manifests"].as_array().map(Vec::len), entry["artifactType"].as_str()),
            (Some(1), Some(kind))
        );
    }

    let other = Daemon::start();
    other.berth(&["pull", "-q", &name]).ok();
    let referrers = || other.berth(&["image", "inspect", &name]).ok();
    assert!(!referrers().contains(digest(&signature)), "{}", referrers());
    let said = other.berth(&["pull", "--referrers", &name]).ok();
    assert!(said.contains(&format!("Pulling referrer: {SIGNATURE}")), "{said}");
    assert!(said.contains(&format!("Pulling referrer: {STAMP}")), "{said}");
    assert!(said.contains(&format!("Status: Image is up to date for {name}")), "{said}");
    assert!(referrers().contains(digest(&signature)), "{}", referrers());
    let again = other.berth(&["pull", "--referrers", &name]).ok();
    assert!(again.contains(": Referrer already exists:") && !again.contains("Pulling referrer"), "{again}");
    let tree = other.berth(&["images", "--tree"]).ok();
    assert!(tree.contains("─ referrer") && tree.contains(SIGNATURE), "{tree}");
    assert_eq!(other.berth(&["images", "-q"]).ok().lines().count(), 1);

    // No prune takes them from their image.
    for words in [&["image", "prune", "-f"][..], &["system", "gc", "--budget", "1000g"]] {
        other.berth(words).ok();
        assert!(referrers().contains(digest(&signature)), "{words:?}");
    }
    let back = format!("{}/back:1", registry.address());
    other.berth(&["tag", &name, &back]).ok();
    // Its second platform is not here: what is about the index has nothing to be about there.
    assert!(!other.berth(&["push", "--referrers", &back]).ok().contains("Pushing referrer"));
    other.berth(&["pull", "-q", "--platform", "linux/arm64", &name]).ok();
    assert!(other.berth(&["push", "--referrers", &back]).ok().contains("Pushing referrer"));
    let of_signature = format!("back@{}", digest(&signature));
    assert_eq!(raw(&registry, &of_signature), raw(&registry, &of_signature.replace("back", "multi")));
    other.berth(&["rmi", &name, &back]).ok();
    assert_eq!(other.berth(&["images", "-aq"]).ok(), "");
    let blobs = std::fs::read_dir(other.data_root().join("blobs/sha256")).expect("blobs");
    assert_eq!(blobs.count(), 0, "they went with it");
}

/// Puts a document into the registry as it is; skopeo would not.
fn put(registry: &Registry, path: &str, media_type: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(registry.address()).expect("the registry");
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        registry.address(),
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.lines().next().unwrap_or_default().to_owned()
}

/// docker-registry takes such documents, and dockerd reads the last of two fields.
pub(crate) fn i01_a_document_with_two_readings_is_not_pulled() {
    let (d, registry) = (Daemon::start(), Registry::start(free_port(), &[]));
    let mut layout = Layout::default();
    let image = layout.image("amd64", &testkit::busybox_tar());
    copy(&d, &layout.archive(&[("it", &image)]), &registry, "box:1");
    let manifest = String::from_utf8(raw(&registry, "box:1")).expect("text");
    let rest = &manifest[1..];
    for (number, odd) in [
        format!("{{\"layers\":[],{rest}"),
        format!("{{\"Layers\":[],{rest}"),
        format!("{{\"annotations\":{{\"a\":\"1\",\"a\":\"2\"}},{rest}"),
    ]
    .into_iter()
    .enumerate()
    {
        let status = put(&registry, &format!("/v2/box/manifests/odd{number}"), MANIFEST, odd.as_bytes());
        assert!(status.contains(" 201 "), "{status}");
        let said = d.berth(&["pull", &format!("{}/box:odd{number}", registry.address())]);
        assert_eq!(said.code, 1, "{odd}");
        assert!(said.err.contains("is there twice"), "{}", said.err);
        assert_eq!(d.berth(&["images", "-aq"]).ok(), "");
    }
    let status = put(&registry, "/v2/box/manifests/good", MANIFEST, manifest.as_bytes());
    assert!(status.contains(" 201 "), "{status}");
    d.berth(&["pull", "-q", &format!("{}/box:good", registry.address())]).ok();
}
