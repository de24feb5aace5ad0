//! The disk is full, or broken, for one moment: at each system call by which the store changes its files, in turn. Whatever was asked
//! is done or is not, with a sentence why; the store goes on, finds itself well, and does it when it is asked again. A sample of the
//! calls is taken; `BERTH_TEST_REFUSALS=1000000` takes every one, `BERTH_TEST_SEED` another sample.
#![allow(clippy::disallowed_methods, reason = "tests run processes and make files")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use store::{CommitConfig, Durability, ImportConfig, Owners, Store, VolumeOptions};
use support::served::Served;
use support::{docker_archive_with, gzip, is_root, small, tar};
use types::Rootfs;

const CALLS: &str = "trace=open,openat,write,pwrite64,mkdir,mkdirat,rename,symlinkat,linkat,mknodat,fsync,fdatasync,syncfs,\
    ftruncate,fallocate,chmod,fchmod,fchown,fsetxattr,utimensat,unlink,unlinkat";

const ACTS: [&str; 11] =
    ["load", "import", "tag", "remove", "record", "volume", "pull", "commit", "prune", "forget", "prepare"];

/// What is asked for.
fn act(store: &Store, name: &str) -> store::Result<()> {
    match name {
        "load" => store.load(&mut &image("new:1")[..], &mut |_| ()).map(drop),
        "import" => {
            let root = tar(&[("etc/", b""), ("etc/passwd", b"root"), ("much", &[1; 9000])]);
            let name = "made:1".parse().expect("name");
            store.import(&mut &root[..], Some(&name), &ImportConfig::default()).map(drop)
        }
        "tag" => {
            let base = store.resolve("base:1")?;
            store.tag(&base, &"tagged:1".parse().expect("name"))
        }
        // A second time there is nothing to remove.
        "remove" if store.resolve("doomed:1").is_err() => Ok(()),
        "remove" => store.remove("doomed:1", true, &|_| None).map(drop),
        "record" => store.records().put("kind", "id", &"x".repeat(9000), Durability::Full),
        "volume" => {
            let options = VolumeOptions { name: "data".into(), ..VolumeOptions::default() };
            store.volumes().create(options).map(drop)
        }
        "pull" => served().pull(store, "pulled:1").map(drop),
        "commit" => {
            let name = "committed:1".parse().expect("name");
            let base = store.resolve("base:1")?;
            let captured = store.capture("wrote", Owners::default())?;
            store.commit_container(captured, &base, CommitConfig::default(), Some(&name)).map(drop)
        }
        "prune" => {
            let doomed: Vec<_> = store.resolve("doomed:1").iter().map(|image| image.id).collect();
            store.remove_all(&doomed, &|_| None).map(drop)
        }
        "forget" => store.volumes().remove("old", true, &|_| Vec::new()),
        "prepare" if store.snapshots().iter().any(|name| name == "new") => Ok(()),
        "prepare" => store.prepare("new", &*store.resolve("base:1")?, false).map(drop),
        other => panic!("{other}"),
    }
}

fn served() -> Served {
    Served::new(&[tar(&[("etc/", b""), ("etc/served", b"s")]), tar(&[("much", &[8; 9000])])], gzip)
}

/// What every act begins with.
fn make_template(root: &Path) {
    let store = Store::open_with(root, options()).expect("open");
    for name in ["base:1", "doomed:1"] {
        store.load(&mut &image(name)[..], &mut |_| ()).expect("load");
    }
    let base = store.resolve("base:1").expect("base");
    let Rootfs::Overlay { upper, .. } = store.prepare("wrote", &base, false).expect("prepare") else {
        panic!("no overlay")
    };
    std::fs::write(upper.join("written"), [4; 9000]).expect("write");
    store.volumes().create(VolumeOptions { name: "old".into(), ..VolumeOptions::default() }).expect("volume");
}

/// Whether it was done.
fn is_done(store: &Store, name: &str) -> bool {
    match name {
        "load" => store.resolve("new:1").is_ok(),
        "import" => store.resolve("made:1").is_ok(),
        "tag" => store.resolve("tagged:1").is_ok(),
        "remove" | "prune" => store.resolve("doomed:1").is_err(),
        "pull" => store.resolve("pulled:1").is_ok(),
        "commit" => store.resolve("committed:1").is_ok(),
        "forget" => store.volumes().get("old").is_err(),
        "prepare" => store.snapshots().iter().any(|name| name == "new"),
        "record" => store.records().get("kind", "id").expect("read").is_some(),
        _ => store.volumes().get("data").is_ok(),
    }
}

fn image(name: &str) -> Vec<u8> {
    let own = tar(&[("own", name.as_bytes()), ("etc/", b""), ("etc/.wh.conf", b""), ("much", &[1; 9000])]);
    docker_archive_with(&[name], &[tar(&[("etc/", b""), ("etc/conf", b"conf")]), own], gzip)
}

fn options() -> store::Options {
    store::Options { reserve_bytes: 0, ..small() }
}

/// Not a test of its own: the process that is refused something. It says what it saw, a line each.
#[test]
fn child_that_is_refused() {
    let (Ok(root), Ok(name)) = (std::env::var("BERTH_TEST_STORE"), std::env::var("BERTH_TEST_ACT")) else {
        return;
    };
    let store = match Store::open_with(Path::new(&root), options()) {
        Ok(store) => store,
        Err(e) => return println!("\nunopened {e}: {:?}", e.kind()),
    };
    let asked = act(&store, &name);
    let done = is_done(&store, &name);
    let said = asked.as_ref().map_or_else(|e| format!("{:?}: {e}", e.kind()), |()| "fine".into());
    let findings: Vec<String> = match store.check(None) {
        Ok(report) => report.findings.iter().map(ToString::to_string).collect(),
        // This was the moment.
        Err(e) => return println!("\nunchecked {e}"),
    };
    println!("\nasked {}\ndone {done}\nfound {findings:?}", said.replace('\n', " "));
    if std::env::var("BERTH_TEST_ONCE").is_ok() {
        return;
    }
    // The moment may come only now; it comes once.
    let again = act(&store, &name).or_else(|_| act(&store, &name)).map_err(|e| e.to_string());
    println!("again {again:?}\nbase {}", store.resolve("base:1").is_ok());
    let remove = || store.remove("base:1", true, &|_| None).map(drop);
    let _ = remove().or_else(|_| remove());
    println!("removed {}", store.resolve("base:1").is_err());
}

/// Runs the child on a copy of the template; answers what it said, and strace's log.
fn run(template: &Path, place: &Path, name: &str, inject: Option<&str>, once: bool) -> (String, String) {
    let root = place.join("data");
    support::run(&format!(
        "rm -rf {0} && mkdir {0} && cp -a {1} {0}/data",
        place.display(),
        template.display()
    ));
    let mut strace = Command::new("strace");
    let log = place.join("log");
    strace.args(["-f", "-y", "-e", "signal=none", "-o"]).arg(&log);
    match inject {
        Some(inject) => {
            let call = inject.split(':').next().expect("a call");
            strace.args(["-e", &format!("trace={call}"), "-e", &format!("inject={inject}")]);
        }
        None => drop(strace.args(["-e", CALLS])),
    }
    strace.arg(std::env::current_exe().expect("own path"));
    strace.args(["child_that_is_refused", "--exact", "--nocapture", "--test-threads=1"]);
    strace.env("BERTH_TEST_STORE", &root).env("BERTH_TEST_ACT", name);
    if once {
        strace.env("BERTH_TEST_ONCE", "1");
    }
    let out = strace.output().expect("strace");
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    (said, std::fs::read_to_string(log).expect("log"))
}

/// Which calls, by their names and numbers within a thread, are about the data root.
fn places(log: &str, root: &str) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut places = BTreeSet::new();
    for line in log.lines() {
        let (thread, call) = line.split_once(' ').expect("a thread");
        let Some((name, arguments)) = call.trim_start().split_once('(') else { continue };
        let count = counts.entry((thread, name)).or_default();
        *count += 1;
        // Opening what is there already takes nothing of the disk.
        let changes = !name.starts_with("open") || arguments.contains("O_CREAT");
        if changes && arguments.contains(root) && !name.starts_with("<...") {
            places.insert((name.to_owned(), *count));
        }
    }
    places.into_iter().collect()
}

#[test]
fn a_refusal_at_any_call_is_said_and_survived() {
    let test = "a_refusal_at_any_call_is_said_and_survived";
    if !is_root(test) || !support::has_tool(test, "strace") {
        return;
    }
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let scratch = tempfile::Builder::new().prefix("berth-refused-").tempdir_in(base).expect("scratch");
    let template = scratch.path().join("template");
    make_template(&template);
    let mut cases = Vec::new();
    for name in ACTS {
        let place = scratch.path().join("first");
        let (said, log) = run(&template, &place, name, None, false);
        assert!(said.contains("asked fine") && said.contains("removed true"), "{name}: {said}");
        let found = places(&log, &place.join("data").display().to_string());
        assert!(found.len() > 5, "{name}: {found:?}");
        cases.extend(found.into_iter().map(|(call, number)| (name, call, number)));
    }
    let all = cases.len();
    let cases = sample(cases);
    let (next, counts) = (AtomicUsize::new(0), Mutex::new(BTreeMap::<&str, usize>::new()));
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (next, counts, cases, template) = (&next, &counts, &cases, &template);
            let place = scratch.path().join(format!("place-{worker}"));
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((name, call, number)) = cases.get(at) else { break };
                    let reason = if at.is_multiple_of(7) { "EIO" } else { "ENOSPC" };
                    let inject = format!("{call}:error={reason}:when={number}");
                    // Each pull has threads of its own, so that its moment would come again.
                    let once = at.is_multiple_of(2) || *name == "pull";
                    let verdict = look(template, &place, name, &inject, once);
                    *counts.lock().expect("counts").entry(verdict).or_default() += 1;
                }
            });
        }
    });
    let counts = counts.into_inner().expect("counts");
    println!("{} of {all} places: {counts:?}", cases.len());
    // Most calls come before or after what is asked for.
    assert!(counts["refused"] * 20 > cases.len(), "{counts:?}");
}

/// A number from the environment.
fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// As many of them as the test may take, in the order that the seed gives.
fn sample<T>(mut cases: Vec<T>) -> Vec<T> {
    let mut state = setting("BERTH_TEST_SEED", 7) as u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for at in (1..cases.len()).rev() {
        cases.swap(at, random(at + 1));
    }
    cases.truncate(setting("BERTH_TEST_REFUSALS", 200));
    cases
}

/// Injects once, and judges. `once`: the store is opened again right after the refusal, before anything else is asked of it.
fn look(template: &Path, place: &Path, name: &str, inject: &str, once: bool) -> &'static str {
    let (said, _) = run(template, place, name, Some(inject), once);
    let line =
        |key| said.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().trim().to_owned();
    let (asked, done) = (line("asked"), line("done"));
    let what = format!("{name}, {inject}: {said}");
    // What the test program itself was refused says nothing.
    let is_own = said.contains("failed printing") || said.contains("when listing tests");
    assert!(!said.contains("panicked") || is_own, "{what}");
    let opened = !said.contains("unopened ") && !said.contains("unchecked ");
    if opened && !is_own {
        // What a removal could not take away has no owner, and goes with the next one.
        let left_over = matches!(name, "remove" | "prune") && line("found").contains("belong to no image");
        assert!(line("found") == "[]" || left_over, "{what}");
        if !once {
            assert_eq!(["again", "base", "removed"].map(line), ["Ok(())", "true", "true"], "{what}");
        }
        if asked == "fine" {
            assert_eq!(done, "true", "{what}");
        } else if inject.contains("ENOSPC") && (name != "record" || inject.contains("write")) {
            // (SQLite tells why only of writes.)
            assert!(asked.starts_with("Exhausted") && asked.contains("free some space"), "{what}");
        }
    }
    // Opened again without the fault, all is well too, and nothing lies about.
    let root = place.join("data");
    let store = Store::open_with(&root, options()).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(store.warnings(), [""; 0], "{what}");
    if opened && !is_own {
        let is = is_done(&store, name);
        assert!(if once { is.to_string() == done } else { is }, "{what}: it is {is} when opened again");
        assert_eq!(store.resolve("base:1").is_ok(), once, "{what}: another image");
    }
    let report = store.check(None).expect("check");
    assert!(report.findings.is_empty(), "{what}: {:?}", report.findings);
    assert_eq!(std::fs::read_dir(root.join("ingest")).expect("ingest").count(), 0, "{what}");
    let unfinished = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().ends_with(".new");
    let mut entries = std::fs::read_dir(&root).expect("root").map(|entry| entry.expect("entry"));
    assert!(!entries.any(unfinished), "{what}: a file that is not whole");
    match (opened, asked.as_str()) {
        (false, _) => "unopened",
        (_, "fine") => "done all the same",
        _ => "refused",
    }
}
