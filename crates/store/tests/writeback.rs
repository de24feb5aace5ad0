//! What is unpacked is brought to the disk while there is more to unpack; what counts is the sync after it.
#![allow(clippy::disallowed_methods, reason = "tests run processes and make files")]

mod support;

use std::path::Path;
use std::process::Command;

use store::Store;
use support::{docker_archive_with, gzip, small, tar};

const FILES: usize = 100;

/// Not a test of its own: the process that is watched.
#[test]
fn child_that_loads() {
    let Ok(root) = std::env::var("BERTH_TEST_STORE") else { return };
    let names: Vec<String> = (0..FILES).map(|number| format!("file-{number}")).collect();
    let content = vec![1; 50_000];
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), content.as_slice())).collect();
    let store = Store::open_with(Path::new(&root), small()).expect("open");
    store.load(&mut &docker_archive_with(&["image:1"], &[tar(&files)], gzip)[..], &mut |_| ()).expect("load");
}

/// Loads under strace; answers what was called, in order.
fn load(root: &Path, log: &Path, inject: &[&str]) -> String {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-e", "trace=sync_file_range,syncfs", "-e", "signal=none"]).args(inject);
    strace.arg("-o").arg(log).arg(std::env::current_exe().expect("own path"));
    strace.args(["child_that_loads", "--exact", "--test-threads=1"]).env("BERTH_TEST_STORE", root);
    let out = strace.output().expect("strace");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    std::fs::read_to_string(log).expect("log")
}

#[test]
fn files_are_on_their_way_to_the_disk_before_the_sync() {
    let test = "files_are_on_their_way_to_the_disk_before_the_sync";
    if !support::is_root(test) || !support::has_tool(test, "strace") {
        return;
    }
    let scratch = tempfile::tempdir().expect("scratch");
    let log = scratch.path().join("log");
    let calls = load(&scratch.path().join("well"), &log, &[]);
    let (before, after) = calls.split_once("syncfs(").expect("a sync");
    let begun = before.lines().filter(|line| line.contains("sync_file_range(") && line.contains("/file-"));
    // All of it in full batches, unless the disk has more to do than is asked of it.
    let begun = begun.count();
    assert!(begun > 0 && begun <= FILES, "{begun}: {calls}");
    assert!(!after.contains("sync_file_range("), "{calls}");
    // It promises nothing, so it may fail.
    let inject = ["-e", "inject=sync_file_range:error=EIO"];
    let calls = load(&scratch.path().join("refused"), &log, &inject);
    assert!(calls.contains("EIO"), "{calls}");
    let store = Store::open_with(&scratch.path().join("refused"), small()).expect("open");
    assert!(store.resolve("image:1").is_ok());
    assert!(store.check(None).expect("check").findings.is_empty());
}
