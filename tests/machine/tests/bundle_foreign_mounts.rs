//! Containers without a mount namespace of their own: in the caller's, or in one that is joined.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use testkit::{Bundle, wait_for};

use crate::bundle_mounts::{Mounted, add, at, mount, table};

/// Somebody else's mount namespace.
struct Other(Child);

impl Other {
    fn start() -> Self {
        let mut unshare = Command::new("unshare");
        let child = unshare.args(["-m", "sleep", "1000"]).stdin(Stdio::null()).spawn().unwrap();
        let other = Self(child);
        let own = fs::metadata("/proc/self/ns/mnt").unwrap().ino();
        wait_for("a mount namespace", || fs::metadata(other.path()).is_ok_and(|found| found.ino() != own));
        other
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/mnt", self.0.id())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Mounts below the bundle, as a process sees them.
fn mounts(process: &str, b: &Bundle) -> usize {
    let text = fs::read_to_string(format!("/proc/{process}/mountinfo")).unwrap();
    let root = b.directory().display().to_string();
    text.lines().filter(|line| line.split(' ').nth(4).is_some_and(|place| place.starts_with(&root))).count()
}

fn document(b: &Bundle, mount: Option<&str>) -> serde_json::Value {
    let mut document =
        b.document("trap 'exit 3' TERM; readlink /proc/self/ns/mnt; while :; do sleep 0.05; done");
    let list = document["linux"]["namespaces"].as_array_mut().unwrap();
    list.retain(|n| n["type"] != "mount");
    list.extend(mount.map(|path| json!({"type": "mount", "path": path})));
    document["root"]["readonly"] = json!(true);
    document
}

/// Runs one, looks into it, ends it. `process` is one whose mounts the container shares.
fn lives_and_leaves_nothing(b: &Bundle, mount: Option<&str>, process: &str) {
    b.write(&document(b, mount));
    let before = mounts(process, b);
    b.runtime(&["run", "--detach", "c1"]).ok();
    let expected = fs::read_link(format!("/proc/{process}/ns/mnt")).unwrap().display().to_string();
    // By the caller's stdout, which the program has.
    wait_for("its namespace", || {
        fs::read_to_string(b.directory().join("out")).unwrap_or_default().trim() == expected
    });
    assert!(mounts(process, b) > before + 3, "its mounts are there");
    let said = b.runtime(&["exec", "c1", "sh", "-c", "ls /; readlink /proc/self/ns/mnt; touch /x"]);
    assert!(said.out.contains("\nproc\n") && said.out.contains(&expected), "{}{}", said.out, said.err);
    assert!(said.err.contains("Read-only file system"), "{}", said.err);
    b.runtime(&["kill", "c1", "TERM"]).ok();
    wait_for("the end", || b.status("c1") == "stopped");
    b.runtime(&["delete", "c1"]).ok();
    assert_eq!(mounts(process, b), before, "and are gone");
}

pub(crate) fn in_the_callers() {
    let b = Bundle::new();
    lives_and_leaves_nothing(&b, None, "self");
}

pub(crate) fn in_one_that_is_joined() {
    let b = Bundle::new();
    let other = Other::start();
    let here = mounts("self", &b);
    lives_and_leaves_nothing(&b, Some(&other.path()), &other.0.id().to_string());
    assert_eq!(mounts("self", &b), here);
}

/// What fails on the way is taken down, too.
pub(crate) fn a_failed_start_leaves_nothing() {
    let b = Bundle::new();
    let mut document = document(&b, None);
    document["process"]["args"] = json!(["/absent"]);
    let before = mounts("self", &b);
    let said = b.run(&document);
    assert!(said.code != 0 && said.err.contains("/absent"), "{}", said.err);
    assert_eq!(mounts("self", &b), before);
    document["mounts"][0] = json!({"destination": "/m", "type": "nonsense", "source": "x"});
    let said = b.run(&document);
    assert!(said.code != 0 && said.err.contains("nonsense"), "{}", said.err);
    assert_eq!(mounts("self", &b), before);
}

/// A root that is a mount already stays one, also when somebody took the container's away; and binds do not become the host's.
pub(crate) fn what_was_there_stays() {
    let (b, mut mounted) = (Bundle::new(), Mounted::new());
    let source = b.directory().join("source");
    fs::create_dir(&source).unwrap();
    mounted.add(&["-t", "tmpfs", "source"], &source);
    mounted.add(&["--make-shared"], &source);
    mounted.add(&["--bind", &b.inside("").display().to_string()], &b.inside(""));
    let mut document = document(&b, None);
    document["process"]["args"] = json!(["sh", "-c", "cat /proc/self/mountinfo; sleep 1000"]);
    add(&mut document, mount("/m", "bind", &source, &["rbind"]));
    b.write(&document);
    let before = mounts("self", &b);
    b.runtime(&["run", "--detach", "c1"]).ok();
    let said = || fs::read_to_string(b.directory().join("out")).unwrap_or_default();
    wait_for("its mounts", || said().contains(" /m "));
    assert_eq!(at(&table(&said()), "/m").peers, "");
    assert!(Command::new("umount").arg("-l").arg(b.inside("")).status().unwrap().success());
    assert_eq!(mounts("self", &b), before);
    b.runtime(&["delete", "--force", "c1"]).ok();
    assert_eq!(mounts("self", &b), before, "what was not the container's is still there");
}
