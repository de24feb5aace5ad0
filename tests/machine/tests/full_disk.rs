//! A disk without room, for bytes or for files: whatever would need some is refused in a sentence, what gives some back works, and then
//! all goes on, without a restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use testkit::{Daemon, Registry, tar_of, wait_for};

use super::registry_server as server;

/// A small file system; gone with this.
struct Small(PathBuf);

/// What it has no more of.
#[derive(Clone, Copy, Debug)]
enum Room {
    Bytes,
    Files,
}

impl Small {
    fn mount(name: &str, size: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{}{name}", testkit::mark()));
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", size, "berth-test"]).arg(&path);
        assert!(mount.status().unwrap().success());
        fs::create_dir(path.join("junk")).unwrap();
        Self(path)
    }

    /// Takes all that is left.
    fn fill(&self, room: Room) {
        let junk = self.0.join("junk");
        match room {
            Room::Bytes => {
                let size = rustix::fs::statvfs(&self.0).unwrap();
                let bytes = usize::try_from((size.f_bavail + 16) * size.f_frsize).unwrap();
                fs::write(junk.join(names()), vec![1; bytes]).expect_err("more than there is");
            }
            Room::Files => while fs::File::create(junk.join(names())).is_ok() {},
        }
    }

    fn empty(&self) {
        fs::remove_dir_all(self.0.join("junk")).unwrap();
        fs::create_dir(self.0.join("junk")).unwrap();
    }
}

/// A new one each time.
fn names() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}

impl Drop for Small {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        if unmounted.is_ok_and(|status| status.success()) {
            let _ = fs::remove_dir(&self.0);
        }
    }
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// An image that frees much of both, once it goes.
fn large(d: &Daemon, name: &str) {
    let names: Vec<String> = (0..1500).map(|n| format!("f{n}")).collect();
    let content = noise(50 << 20);
    let mut files: Vec<(&str, &[u8], u32)> =
        names.iter().map(|name| (name.as_str(), &b""[..], 0o644)).collect();
    files.push(("big", &content, 0o644));
    assert_eq!(d.feed(&["import", "-", name], &tar_of(&files)).code, 0);
}

/// Refused in one sentence that says what is missing.
fn refused(d: &Daemon, words: &[&str], room: Room) {
    let said = d.berth(words);
    assert_eq!(said.code, 1, "{words:?}, {room:?}: {}", said.out);
    let advice: &[&str] = match room {
        Room::Bytes => &["free some space and try again"],
        Room::Files => &["free some space and try again", "(inodes); remove some and try again"],
    };
    assert!(
        advice.iter().any(|words| said.err.contains(words)) && said.err.lines().count() == 1,
        "{words:?}, {room:?}: {}",
        said.err
    );
}

fn pulls_and_commits_of(room: Room) {
    let small = Small::mount("fullpull", "size=280m,nr_inodes=6000");
    let data = small.0.join("data").display().to_string();
    let d = Daemon::start_with(&["--data-root", &data], &[]);
    d.busybox();
    let registry = Registry::start(server::free_port(), &[]);
    let pulled = format!("{}/pulled:1", registry.address());
    let tar = tar_of(&[("noise", &noise(4 << 20), 0o644), ("x", b"x", 0o600)]);
    assert_eq!(d.feed(&["import", "-", &pulled], &tar).code, 0);
    d.berth(&["push", "-q", &pulled]).ok();
    d.berth(&["rmi", &pulled]).ok();
    d.berth(&["run", "--name", "wrote", "busybox", "sh", "-c", "echo new >/new; rm /etc/group"]).ok();
    large(&d, "old:1");
    small.fill(room);
    for _ in 0..2 {
        refused(&d, &["pull", "-q", &pulled], room);
        refused(&d, &["commit", "wrote", "committed:1"], room);
    }
    let listed = d.berth(&["images", "--format", "{{.Repository}}"]).ok();
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let pruned = d.berth(&["image", "prune", "-af"]).ok();
    assert!(pruned.contains("untagged: old:1") && pruned.contains("52.43MB"), "{room:?}: {pruned}");
    // That gave enough, without anybody else's doing.
    for words in [&["pull", "-q", &pulled][..], &["commit", "wrote", "committed:1"]] {
        let said = d.berth(words);
        assert_eq!(said.code, 0, "{room:?}: {}", said.err);
    }
    assert_eq!(d.berth(&["run", "--rm", "committed:1", "cat", "/new"]).ok(), "new");
    small.empty();
    d.berth(&["rm", "wrote"]).ok();
    let said = d.berth(&["store", "check", "--data-root", &data]);
    assert!(said.code == 0 && said.out.ends_with("all is well\n"), "{room:?}: {} {}", said.out, said.err);
    wait_for("nothing unfinished", || fs::read_dir(format!("{data}/ingest")).unwrap().count() == 0);
    assert_eq!(fs::read_dir(format!("{data}/partial")).unwrap().count(), 0, "{room:?}");
}

pub(crate) fn pulls_and_commits() {
    pulls_and_commits_of(Room::Bytes);
    pulls_and_commits_of(Room::Files);
}

fn registry_of(room: Room) {
    let small = Small::mount("fullserve", "size=24m,nr_inodes=300");
    let directory = small.0.join("registry");
    fs::create_dir(&directory).unwrap();
    let metrics = format!("127.0.0.1:{}", server::free_port());
    let flags = ["--metrics", &metrics];
    let registry = server::Registry::start(&directory, &flags);
    let images: Vec<_> = (0..3).map(server::image).collect();
    for (tag, image) in ["a", "b"].iter().zip(&images) {
        assert!(server::push(&registry.address, tag, image));
    }
    // A client that leaves in the middle of an upload.
    let uploads = || fs::read_dir(directory.join("data/uploads")).unwrap().count();
    let begun = server::begun(&registry.address, &noise(300_000));
    wait_for("its bytes to come", || uploads() == 1);
    drop(begun);
    wait_for("its bytes to go", || uploads() == 0);
    small.fill(room);
    let [_, (layer, digest)] = &images[2].blobs;
    let push = format!("POST /v2/a/blobs/uploads/?digest={digest}");
    for (line, body) in [(&*push, &layer[..]), ("PUT /v2/a/manifests/c", images[0].manifest.as_bytes())] {
        let (status, answer) = registry.ask(line, body).unwrap();
        let error: Value = serde_json::from_slice(&answer).unwrap();
        let message = error["errors"][0]["message"].as_str().unwrap();
        assert_eq!((status, message), (507, "the registry has no room left"), "{room:?}: {line}");
    }
    wait_for("what was refused to go", || uploads() == 0);
    // Whoever only reads notices nothing, also from a registry that is started now.
    let reads = |registry: &server::Registry| {
        for line in ["GET /v2/", "GET /v2/a/manifests/a", "GET /v2/a/tags/list"] {
            assert_eq!(registry.ask(line, b"").unwrap().0, 200, "{room:?}: {line}");
        }
        for (bytes, digest) in &images[0].blobs {
            let (status, blob) = registry.ask(&format!("GET /v2/a/blobs/{digest}"), b"").unwrap();
            assert!(status == 200 && blob == *bytes, "{room:?}: {status}");
            assert_eq!(registry.ask(&format!("HEAD /v2/a/blobs/{digest}"), b"").unwrap().0, 200);
        }
        for page in ["GET /metrics", "GET /health"] {
            assert_eq!(server::ask(&metrics, page, b"").unwrap().0, 200, "{room:?}: {page}");
        }
    };
    reads(&registry);
    registry.kill();
    let registry = server::Registry::start(&directory, &flags);
    small.fill(room);
    reads(&registry);
    assert_eq!(registry.ask("DELETE /v2/a/manifests/b", b"").unwrap().0, 202, "{room:?}");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert!(collected(&directory).contains("1 manifests"), "{room:?}");
    small.empty();
    assert!(server::push(&registry.address, "c", &images[2]), "{room:?}");
    assert!(collected(&directory).starts_with("removed 0 manifests"));
    reads(&registry);
}

fn collected(directory: &Path) -> String {
    let mut collect = server::berth(&["registry", "garbage-collect", "-m", "--grace", "0s", "--data-root"]);
    let said = collect.arg(directory.join("data")).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).into_owned()
}

pub(crate) fn a_registry() {
    registry_of(Room::Bytes);
    registry_of(Room::Files);
}
