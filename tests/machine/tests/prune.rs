//! Prunes and the budget for images take what nobody needs, beside everything else that goes on, and nothing more.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use testkit::{Daemon, is_reference, tar_of, wait_for};

/// Gives the daemon an image of one file; different ones for different texts.
fn image(d: &Daemon, name: &str, text: &str) {
    let said = d.feed(&["import", "-", name], &tar_of(&[("file", text.as_bytes(), 0o644)]));
    assert_eq!(said.code, 0, "{}", said.err);
}

fn names(d: &Daemon) -> Vec<String> {
    let list = d.berth(&["images", "-a", "--format", "{{.Repository}}:{{.Tag}}"]).ok();
    let mut names: Vec<String> = list.lines().map(str::to_owned).collect();
    names.sort();
    names
}

pub(crate) fn what_nobody_uses_goes() {
    let d = Daemon::start();
    d.busybox();
    image(&d, "a:1", "0123456789");
    image(&d, "b:1", "b");
    d.berth(&["tag", "a:1", "a:2"]).ok();
    image(&d, "b:1", "another");
    d.berth(&["run", "-d", "--name", "runs", "-v", "/anon", "-v", "named:/n", "busybox", "sleep", "1000"])
        .ok();
    d.berth(&["run", "--name", "ended", "-l", "keep=1", "busybox", "sh", "-c", "echo 12345 > /x"]).ok();
    d.berth(&["run", "--name", "other", "busybox", "true"]).ok();
    d.berth(&["create", "--name", "new", "busybox", "true"]).ok();
    d.berth(&["volume", "create", "mine"]).ok();
    d.berth(&["volume", "create"]).ok();
    // Containers: by label, by time, all.
    let none = d.berth(&["container", "prune", "-f", "--filter", "until=1h"]).ok();
    assert_eq!(none, "Total reclaimed space: 0B");
    let some = d.berth(&["container", "prune", "-f", "--filter", "label!=keep"]).ok();
    assert!(
        some.starts_with("Deleted Containers:\n") && some.ends_with("\n\nTotal reclaimed space: 0B"),
        "{some}"
    );
    assert_eq!(some.lines().count(), 5, "{some}");
    let asked = d.feed(&["container", "prune"], b"n\n");
    assert_eq!(
        (asked.code, asked.out.lines().next()),
        (0, Some("WARNING! This will remove all stopped containers."))
    );
    assert_eq!(d.berth(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "ended\nruns");
    let last = d.feed(&["container", "prune"], b"y\n").ok();
    assert!(last.ends_with("Total reclaimed space: 6B"), "{last}");
    // Images: those without a name, then those without a container.
    let dangling = d.berth(&["image", "prune", "-f"]).ok();
    assert!(
        dangling.starts_with("Deleted Images:\ndeleted: sha256:")
            && dangling.ends_with("Total reclaimed space: 1B"),
        "{dangling}"
    );
    assert_eq!(names(&d), ["a:1", "a:2", "b:1", "busybox:latest"]);
    let unused = d.berth(&["image", "prune", "-af"]).ok();
    for line in ["untagged: a:1\n", "untagged: a:2\n", "untagged: b:1\n", "Total reclaimed space: 17B"] {
        assert!(unused.contains(line), "{line:?} is not in {unused}");
    }
    assert_eq!(names(&d), ["busybox:latest"]);
    if !is_reference() {
        volumes_go(&d);
    }
    assert_eq!(d.berth(&["network", "prune", "-f"]).ok(), "");
    for (words, sentence) in [
        (vec!["container", "prune", "-f", "--filter", "foo=1"], "nvalid filter 'foo'"),
        (
            vec!["image", "prune", "-f", "--filter", "until=zz"],
            "failed to parse value as time or duration: \"zz\"",
        ),
        (vec!["volume", "prune", "-f", "--filter", "until=1h"], "nvalid filter 'until'"),
        (
            vec!["system", "prune", "-f", "--volumes", "--filter", "until=1h"],
            "The \"until\" filter is not supported with \"--volumes\"",
        ),
    ] {
        let said = d.berth(&words);
        assert!(said.code == 1 && said.err.contains(sentence), "{words:?}: {}", said.err);
    }
    d.berth(&["exec", "runs", "touch", "/anon/x", "/n/x"]).ok();
    d.berth(&["rm", "-fv", "runs"]).ok();
    let everything = d.berth(&["system", "prune", "-af", "--volumes"]).ok();
    assert!(everything.contains("untagged: busybox:latest"), "{everything}");
    if !is_reference() {
        assert_eq!(d.berth(&["volume", "ls", "-q"]).ok(), "named");
    }
}

/// Those without a name of their own go, then all that no container has. Debian's dockerd does not know the difference yet.
fn volumes_go(d: &Daemon) {
    let anonymous = d.berth(&["volume", "prune", "-f"]).ok();
    assert_eq!(anonymous.lines().count(), 4, "{anonymous}");
    assert!(d.berth(&["volume", "inspect", "mine"]).code == 0);
    let named = d.berth(&["volume", "prune", "-af"]).ok();
    assert_eq!(named, "Deleted Volumes:\nmine\n\nTotal reclaimed space: 0B");
    assert_eq!(d.berth(&["volume", "ls", "-q"]).ok().lines().count(), 2);
}

/// Does it until told to stop; at least once.
fn again(stop: &AtomicBool, mut work: impl FnMut()) {
    loop {
        work();
        if stop.load(Ordering::Relaxed) {
            return;
        }
    }
}

pub(crate) fn races_lose_nothing() {
    const ROUNDS: usize = 25;
    let d = Daemon::start();
    d.busybox();
    let saved = d.directory().join("saved.tar");
    d.berth(&["save", "-o", &saved.display().to_string(), "busybox"]).ok();
    let saved = fs::read(&saved).unwrap();
    d.berth(&["run", "-d", "--name", "keeper", "busybox", "sleep", "10000"]).ok();
    let (stop, d) = (AtomicBool::new(false), &d);
    std::thread::scope(|scope| {
        let stop = &stop;
        scope.spawn(|| again(stop, || drop(d.berth(&["system", "prune", "-af", "--volumes"]).ok())));
        scope.spawn(|| again(stop, || drop(d.berth(&["system", "gc", "--budget", "0"]).ok())));
        let works: [Box<dyn Fn(usize) + Send + Sync>; 5] = [
            Box::new(|_| {
                assert_eq!(d.berth(&["run", "--rm", "busybox", "echo", "hi"]).ok(), "hi");
            }),
            Box::new(|n| {
                let name = format!("vol{n}");
                d.berth(&[
                    "run",
                    "-d",
                    "--name",
                    &name,
                    "-v",
                    "/data",
                    "-v",
                    &format!("named{n}:/n"),
                    "busybox",
                    "sleep",
                    "1000",
                ])
                .ok();
                d.berth(&["exec", &name, "touch", "/data/x", "/n/x"]).ok();
                d.berth(&["rm", "-fv", &name]).ok();
                assert_eq!(
                    d.berth(&["volume", "inspect", "-f", "{{.Name}}", &format!("named{n}")]).ok(),
                    format!("named{n}")
                );
            }),
            Box::new(|n| {
                d.berth(&["commit", "keeper", &format!("made:{n}")]).ok();
            }),
            Box::new(|n| image(d, &format!("in:{n}"), &format!("text {n}"))),
            Box::new(|_| assert_eq!(d.feed(&["load", "-q"], &saved).code, 0)),
        ];
        let workers: Vec<_> =
            works.into_iter().map(|work| scope.spawn(move || (0..ROUNDS).for_each(work))).collect();
        let failed = workers.into_iter().filter_map(|worker| worker.join().err()).count();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(failed, 0, "something was lost beside prunes");
    });
    assert_eq!(d.berth(&["exec", "keeper", "cat", "/etc/group"]).ok().lines().count(), 3);
    assert_eq!(d.berth(&["run", "--rm", "busybox", "echo", "hi"]).ok(), "hi");
    d.berth(&["rm", "-f", "keeper"]).ok();
    d.berth(&["system", "prune", "-af", "--volumes"]).ok();
    empty(d);
}

/// Nothing of images is left on the disk.
fn empty(d: &Daemon) {
    let entries = |place: &str| {
        let found = fs::read_dir(d.data_root().join(place)).into_iter().flatten().flatten();
        found.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(entries("blobs/sha256"), Vec::<String>::new());
    assert_eq!((entries("overlay/l"), entries("overlay/info")), (vec!["none".to_owned()], Vec::new()));
    wait_for("the last files to go", || entries("ingest").is_empty());
}

pub(crate) fn killed_while_it_prunes() {
    let mut d = Daemon::start();
    d.busybox();
    d.berth(&["run", "-d", "--name", "keeper", "busybox", "sleep", "10000"]).ok();
    for round in 0..8 {
        for n in 0..6 {
            image(&d, &format!("i{n}:1"), &format!("{round} {n}"));
        }
        d.berth(&["create", "--name", "old", "-v", "/v", "busybox", "true"]).ok();
        let mut prune: Command = d.command(&["system", "prune", "-af", "--volumes"]);
        let mut client = prune.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // A new container is left the chance of a start for a second; the rest goes quickly.
        std::thread::sleep(Duration::from_millis(if round % 2 == 0 { 980 + round * 15 } else { round * 10 }));
        d.kill();
        let _ = client.wait();
        d.up();
        for id in d.berth(&["images", "-aq"]).ok().lines() {
            assert_eq!(d.berth(&["image", "inspect", id]).code, 0, "{id}");
        }
        d.berth(&["exec", "keeper", "true"]).ok();
        d.berth(&["rm", "-f", "old"]);
    }
    d.berth(&["rm", "-f", "keeper"]).ok();
    d.berth(&["system", "prune", "-af", "--volumes"]).ok();
    empty(&d);
}

fn usage(d: &Daemon) -> Value {
    let text = d.berth(&["system", "df", "-v", "--format", "json"]).ok();
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn every_byte_is_accounted_for() {
    let d = Daemon::start();
    d.busybox();
    let size = |name: &str| d.berth(&["image", "inspect", "-f", "{{.Size}}", name]).ok();
    let link = tar_of(&[("a", b"12345", 0o644), ("l", b"-> target", 0o777)]);
    assert_eq!(d.feed(&["import", "-", "link:1"], &link).code, 0);
    assert_eq!(size("link:1"), "11", "a link counts by its length");
    let write = "dd if=/dev/zero of=/big bs=1k count=300; echo x > /v/x; ln -s abc /s; ln /big /big2";
    d.berth(&["run", "--name", "c1", "-v", "vol:/v", "busybox", "sh", "-c", write]).ok();
    d.berth(&["commit", "c1", "made:1"]).ok();
    d.berth(&["run", "-d", "--name", "c2", "busybox", "sleep", "1000"]).ok();
    let document = usage(&d);
    let container = |name: &str| {
        let all = document["Containers"].as_array().unwrap();
        all.iter().find(|c| c["Names"][0] == format!("/{name}")).unwrap()["SizeRw"].as_i64().unwrap_or(0)
    };
    assert_eq!((container("c1"), container("c2")), (307_203, 0));
    assert_eq!(document["Volumes"][0]["UsageData"], serde_json::json!({"RefCount": 1, "Size": 2}));
    let images = document["Images"].as_array().unwrap();
    let made = images.iter().find(|image| image["RepoTags"][0] == "made:1").unwrap();
    let base = size("busybox").parse::<i64>().unwrap();
    assert_eq!((made["SharedSize"].as_i64(), made["Size"].as_i64()), (Some(base), Some(base + 307_203)));
    let total: i64 = [base, 307_203, 11].iter().sum();
    assert_eq!(document["LayersSize"].as_i64(), Some(total));
    let root = d.data_root();
    let on_disk = || on_disk(&root, &mut BTreeSet::new());
    let told = || {
        let areas = usage(&d)["DataRoot"].as_array().unwrap().clone();
        assert!(!areas.iter().any(|area| area["Name"] == "other"), "{areas:?}");
        areas.iter().map(|area| area["OnDisk"].as_i64().unwrap()).sum::<i64>()
    };
    wait_for("du to say the same", || on_disk() == told());
    let table = d.berth(&["system", "df", "-v"]).ok();
    for heading in [
        "Images space usage:",
        "Containers space usage:",
        "Local Volumes space usage:",
        "Build cache usage: 0B",
        "Data root: ",
    ] {
        assert!(table.contains(heading), "{table}");
    }
    d.berth(&["rm", "-f", "c2"]).ok();
}

/// What `du -s` says, in bytes: a file of several names counts once.
fn on_disk(path: &Path, seen: &mut BTreeSet<u64>) -> i64 {
    let Ok(about) = fs::symlink_metadata(path) else { return 0 };
    if !about.is_dir() && about.nlink() > 1 && !seen.insert(about.ino()) {
        return 0;
    }
    let within = fs::read_dir(path).ok().filter(|_| about.is_dir()).into_iter().flatten();
    let within: i64 = within.flatten().map(|entry| on_disk(&entry.path(), seen)).sum();
    about.blocks() as i64 * 512 + within
}

pub(crate) fn images_keep_to_their_budget() {
    let mut d = Daemon::start_with(&["--image-budget", "1"], &[]);
    d.busybox();
    // The daemon's own budget: what no container has goes as soon as it is there, unless it is pinned.
    wait_for("the image to go", || names(&d).is_empty());
    let refused = d.berth(&["image", "pin", "nope"]);
    assert!(refused.code == 1 && refused.err.contains("No such image: nope"), "{}", refused.err);
    drop(d);
    d = Daemon::start();
    d.busybox();
    let no_budget = d.berth(&["system", "gc"]);
    assert!(
        no_budget.code == 1 && no_budget.err.contains("no budget is set for images"),
        "{}",
        no_budget.err
    );
    for name in ["a:1", "b:1", "c:1"] {
        image(&d, name, &name.repeat(100_000));
    }
    d.berth(&["image", "pin", "a:1"]).ok();
    d.berth(&["run", "-d", "--name", "user", "busybox", "sleep", "1000"]).ok();
    let plan = d.berth(&["system", "gc", "--dry-run", "--budget", "0"]).ok();
    for words in ["Would remove", " b:1 ", " c:1 ", ": pinned\n", ": used by a container\n"] {
        assert!(plan.contains(words), "{words:?} is not in {plan}");
    }
    assert_eq!(names(&d), ["a:1", "b:1", "busybox:latest", "c:1"], "a dry run removes nothing");
    assert!(d.berth(&["system", "gc", "--budget", "1g"]).ok().starts_with("Keeps "), "a wide budget");
    d.berth(&["system", "gc", "--budget", "0"]).ok();
    assert_eq!(names(&d), ["a:1", "busybox:latest"]);
    d.berth(&["image", "prune", "-af"]).ok();
    assert_eq!(names(&d), ["a:1", "busybox:latest"], "a prune leaves what is pinned");
    d.kill();
    d.up();
    d.berth(&["image", "prune", "-af"]).ok();
    assert_eq!(names(&d), ["a:1", "busybox:latest"], "a pin outlives the daemon");
    d.berth(&["image", "unpin", "a:1"]).ok();
    d.berth(&["image", "prune", "-af"]).ok();
    assert_eq!(names(&d), ["busybox:latest"]);
    d.berth(&["rm", "-f", "user"]).ok();
}
