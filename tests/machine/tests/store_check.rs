//! `berth store check`: through the daemon and without one, its sentences and exit codes.

use std::path::PathBuf;

use testkit::{Daemon, Ran, Registry, wait_for};

fn check(d: &Daemon, flags: &[&str]) -> Ran {
    let root = d.data_root();
    d.berth(&[&["store", "check", "--data-root", root.to_str().unwrap()], flags].concat())
}

#[track_caller]
fn says(said: &Ran, code: i32, lines: &[&str]) {
    assert_eq!(said.code, code, "{} {}", said.out, said.err);
    let heard: Vec<&str> = said.out.lines().collect();
    assert_eq!(heard.len(), lines.len(), "{heard:?}");
    for (line, want) in heard.iter().zip(lines) {
        assert!(line.contains(want), "{line:?} lacks {want:?}");
    }
}

/// The file of the image's layer on disk.
fn file(d: &Daemon, name: &str) -> PathBuf {
    let trees = std::fs::read_dir(d.data_root().join("overlay/l")).unwrap();
    trees.map(|tree| tree.unwrap().path().join(name)).find(|path| path.exists()).unwrap()
}

/// The file of the layer's blob.
fn largest_blob(d: &Daemon) -> PathBuf {
    let blobs = std::fs::read_dir(d.data_root().join("blobs/sha256")).unwrap().map(|e| e.unwrap().path());
    blobs.max_by_key(|path| path.metadata().unwrap().len()).unwrap()
}

pub(crate) fn with_and_without_the_daemon() {
    let mut d = Daemon::start();
    d.busybox();
    let damage = |d: &Daemon| std::fs::write(file(d, "etc/group"), "").unwrap();
    for daemon in [true, false] {
        if !daemon {
            d.stop();
        }
        says(&check(&d, &[]), 0, &["1 images, 1 layers and 3 blobs of"]);
        damage(&d);
        let fault = "\"etc/group\" has another length";
        says(&check(&d, &[]), 2, &[fault, "1 faults"]);
        says(&check(&d, &["--repair"]), 1, &["unpacked again from its blob", "1 faults, all repaired"]);
        says(&check(&d, &["--repair"]), 0, &["all is well"]);
        assert!(std::fs::read_to_string(file(&d, "etc/group")).unwrap().contains("alice"));
    }
    d.up();
    says(&d.berth(&["store", "check"]), 0, &["1 images, 1 layers and 3 blobs of"]);
    d.stop();
    // A blob that is in no registry stays broken, and says what to do.
    std::fs::write(largest_blob(&d), "cut").unwrap();
    let said = check(&d, &["--repair"]);
    says(&said, 2, &["is damaged: its content has the digest", "cannot be compared", "2 faults"]);
    assert!(said.out.contains("not repaired: "), "{}", said.out);
    d.up();
    d.busybox();
}

pub(crate) fn a_running_container_keeps_its_layers() {
    let d = Daemon::start();
    d.busybox();
    let id = d.berth(&["run", "-d", "busybox", "sleep", "1000"]).ok();
    std::fs::write(file(&d, "etc/group"), "").unwrap();
    let said = check(&d, &["--repair"]);
    says(&said, 2, &["not repaired: a container that runs looks through it; stop it first", "1 faults"]);
    assert_eq!(d.berth(&["exec", &id, "sh", "-c", "echo well"]).ok(), "well");
    d.berth(&["stop", "-t", "0", &id]).ok();
    wait_for("the container to let go of its layers", || check(&d, &["--repair"]).code == 1);
    d.berth(&["start", &id]).ok();
    assert!(d.berth(&["exec", &id, "cat", "/etc/group"]).ok().contains("alice"));
}

pub(crate) fn refusals() {
    let d = Daemon::start();
    let nowhere = d.directory().join("nowhere");
    let said = d.berth(&["store", "check", "--data-root", nowhere.to_str().unwrap()]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.starts_with("berth store check: there is no data root at "), "{}", said.err);
    // Another daemon has it, which nobody named.
    let mut other = d.command(&["store", "check", "--data-root", d.data_root().to_str().unwrap()]);
    other.env("DOCKER_HOST", format!("unix://{}", nowhere.display()));
    let said = other.output().unwrap();
    let told = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(2));
    assert!(told.contains("another daemon uses the data root"), "{told}");
    assert_eq!(d.berth(&["store", "check", "word"]).code, 1);
    assert_eq!(d.berth(&["store", "check", "--never"]).code, 125);
}

pub(crate) fn what_is_broken_is_pulled_again() {
    let registry = Registry::start(5000, &[]);
    let d = Daemon::start();
    d.busybox();
    let name = format!("{}/box:1", registry.address());
    d.berth(&["tag", "busybox", &name]).ok();
    d.berth(&["push", &name]).ok();
    d.berth(&["rmi", "-f", "busybox", &name]).ok();
    d.berth(&["pull", &name]).ok();
    let blob = largest_blob(&d);
    let content = std::fs::read(&blob).unwrap();
    let damage = || {
        std::fs::write(&blob, "cut").unwrap();
        std::fs::write(file(&d, "etc/group"), "").unwrap();
    };
    damage();
    assert_eq!(check(&d, &[]).code, 2);
    let said = check(&d, &["--repair"]);
    assert_eq!(said.code, 1, "{} {}", said.out, said.err);
    assert!(said.out.contains("all repaired"), "{}", said.out);
    assert!(std::fs::read(&blob).unwrap() == content, "the blob is another");
    assert!(check(&d, &[]).out.ends_with("all is well\n"));
    assert!(d.berth(&["run", "--rm", &name, "cat", "/etc/group"]).ok().contains("alice"));
    // Without the registry both stay broken, and it says so.
    drop(registry);
    damage();
    let said = check(&d, &["--repair"]);
    assert_eq!(said.code, 2, "{} {}", said.out, said.err);
    assert!(said.out.contains(&format!("{name} cannot be pulled again")), "{}", said.out);
}
