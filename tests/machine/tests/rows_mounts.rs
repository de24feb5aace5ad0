//! The rows about places: links of a root, and somebody who exchanges them while the runtime makes, mounts or covers something there.
//! The canary is a tree of the host: what the runtime does by a name instead of a handle ends up in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::{Value, json};
use testkit::{Bundle, Ran};

use crate::bundle_mounts::{Line, add, at, mount, table};

/// How long one race goes on.
const RACE: Duration = Duration::from_secs(3);
const FEWEST_ROUNDS: u32 = 3;
const MOST_ROUNDS: u32 = 100;

const SHOW: &str = "cat /proc/self/mountinfo";

/// Exchanges two names all the time.
struct Swapper(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Swapper {
    fn of(one: PathBuf, other: PathBuf) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let swap = move || {
            while !told.load(Ordering::Relaxed) {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
                std::thread::sleep(Duration::from_micros(300));
            }
        };
        Self(over, Some(std::thread::spawn(swap)))
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        let _ = self.1.take().map(JoinHandle::join);
    }
}

/// A tree of the host, and one of the same name inside the root: there a link to it leads, as the container sees it.
struct Canary {
    path: PathBuf,
}

impl Canary {
    fn of(b: &Bundle) -> Self {
        let path = b.directory().join("canary");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), "canary").unwrap();
        fs::create_dir_all(b.inside(&path.display().to_string()[1..])).unwrap();
        Self { path }
    }

    #[track_caller]
    fn is_untouched(&self) {
        let names: Vec<_> = fs::read_dir(&self.path).unwrap().flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, ["file"], "something was made in the host's tree");
        assert_eq!(fs::read_to_string(self.path.join("file")).unwrap(), "canary");
        let places = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!places.contains(&*self.path.to_string_lossy()), "something was mounted in the host's tree");
    }
}

/// Runs it again and again while somebody swaps. `judge` sees each run that the runtime did not refuse.
fn race(b: &Bundle, document: &Value, mut judge: impl FnMut(&Ran)) {
    b.write(document);
    let begun = Instant::now();
    let (mut rounds, mut started) = (0, 0);
    while rounds < FEWEST_ROUNDS || rounds < MOST_ROUNDS && begun.elapsed() < RACE {
        rounds += 1;
        let said = b.runtime(&["run", &format!("c{rounds}")]);
        if said.code == 0 {
            started += 1;
            judge(&said);
        } else {
            assert!(said.err.lines().count() == 1, "{}", said.err);
        }
    }
    assert!(started > 0, "{rounds} rounds, and not one start");
}

/// A directory and a link to the canary that somebody exchanges.
fn swapped(b: &Bundle, canary: &Canary, one: &str, other: &str) -> Swapper {
    fs::create_dir_all(b.inside(one)).unwrap();
    symlink(&canary.path, b.inside(other)).unwrap();
    Swapper::of(b.inside(one), b.inside(other))
}

fn places(table: &[Line], wanted: impl Fn(&Line) -> bool) -> Vec<&str> {
    table.iter().filter(|line| wanted(line)).map(|line| line.place.as_str()).collect()
}

/// `/proc` and `/sys` are mounted on ordinary directories, and no link leads another mount into them (CVE-2019-16884,
/// CVE-2019-19921, CVE-2023-27561).
pub(crate) fn r02_proc_and_sys_are_no_links() {
    for name in ["proc", "sys"] {
        let b = Bundle::new();
        fs::create_dir(b.inside("elsewhere")).unwrap();
        fs::remove_dir(b.inside(name)).unwrap();
        for text in ["/elsewhere", "elsewhere", "../../elsewhere"] {
            symlink(text, b.inside(name)).unwrap();
            let said = b.run(&b.document("echo ran"));
            assert!(
                said.code == 1 && said.err.contains("must be an ordinary directory"),
                "{name}: {} {}",
                said.out,
                said.err
            );
            fs::remove_file(b.inside(name)).unwrap();
        }
    }
    let b = Bundle::new();
    symlink("/proc/sys/kernel", b.inside("way")).unwrap();
    fs::create_dir(b.directory().join("source")).unwrap();
    for (kind, target) in [("tmpfs", "/way"), ("bind", "/way"), ("tmpfs", "/way/keys"), ("bind", "/way/keys")]
    {
        let mut document = b.document("echo ran");
        add(&mut document, mount(target, kind, &b.directory().join("source"), &[]));
        let said = b.run(&document);
        assert!(
            said.code == 1 && said.err.contains("leads into /proc"),
            "{target}: {} {}",
            said.out,
            said.err
        );
    }
    let canary = Canary::of(&b);
    fs::remove_dir(b.inside("proc")).unwrap();
    fs::create_dir(b.inside("proc")).unwrap();
    symlink(&canary.path, b.inside("other")).unwrap();
    let swapper = Swapper::of(b.inside("proc"), b.inside("other"));
    race(&b, &b.document(SHOW), |said| {
        // The directory may have the other name by now.
        let table = table(&said.out);
        let whole = places(&table, |l| l.kind == "proc" && ["/proc", "/other"].contains(&l.place.as_str()));
        assert_eq!(whole.len(), 1, "{table:#?}");
    });
    drop(swapper);
    canary.is_untouched();
}

/// Two containers share a volume, and one of them exchanges what the other one's mounts go to (CVE-2021-30465).
pub(crate) fn r03_swapped_mount_target() {
    let b = Bundle::new();
    let canary = Canary::of(&b);
    fs::create_dir(b.inside("v")).unwrap();
    let mut document = b.document(SHOW);
    add(&mut document, mount("/v/t", "tmpfs", Path::new("r03"), &[]));
    fs::create_dir(b.directory().join("source")).unwrap();
    add(&mut document, mount("/v/u", "bind", &b.directory().join("source"), &["bind", "nosymfollow"]));
    let swappers = [swapped(&b, &canary, "v/t", "v/l"), swapped(&b, &canary, "v/u", "v/m")];
    race(&b, &document, |said| {
        let table = table(&said.out);
        assert_eq!(places(&table, |l| l.source == "r03").len(), 1, "a mount left the root: {table:#?}");
        assert_eq!(
            places(&table, |l| l.own.contains("nosymfollow")).len(),
            1,
            "a bind left the root: {table:#?}"
        );
    });
    drop(swappers);
    canary.is_untouched();
}

/// Missing mount points are made in the root, whatever is exchanged meanwhile (CVE-2024-45310).
pub(crate) fn r07_mount_points_are_made_inside() {
    let b = Bundle::new();
    let canary = Canary::of(&b);
    fs::create_dir(b.inside("v")).unwrap();
    let mut document = b.document("rm -rf /v/t/* /v/l/*; true");
    add(&mut document, mount("/v/t/new/deep", "tmpfs", Path::new("r07"), &[]));
    add(&mut document, mount("/v/t/file/name", "bind", Path::new("config.json"), &["bind", "ro"]));
    let swapper = swapped(&b, &canary, "v/t", "v/l");
    let inside = b.inside(&canary.path.display().to_string()[1..]);
    race(&b, &document, |_| {
        canary.is_untouched();
        for place in ["new", "file"] {
            for root in [&inside, &b.inside("v/t"), &b.inside("v/l")] {
                let _ = fs::remove_dir_all(root.join(place));
            }
        }
    });
    drop(swapper);
    canary.is_untouched();
}

/// Nothing of the image hides what is to be hidden: not its `/dev/null` (CVE-2025-31133).
pub(crate) fn r08_masks_use_nothing_of_the_image() {
    let b = Bundle::new();
    let canary = Canary::of(&b);
    fs::write(b.inside("etc/secret"), "the masked content").unwrap();
    let mut document = b.document("cat /etc/secret; echo end");
    document["mounts"] = json!([document["mounts"][0]]);
    document["linux"]["maskedPaths"] = json!(["/etc/secret"]);
    fs::write(b.inside("dev/null"), "content of the image").unwrap();
    let check = |said: &Ran| {
        let is_empty = said.code == 0 && said.out == "end\n" || said.code == 1 && said.out.is_empty();
        assert!(is_empty, "not masked: {} {}", said.out, said.err);
    };
    check(&b.run(&document));
    fs::write(b.inside("dev/other"), "content of the image").unwrap();
    fs::remove_file(b.inside("dev/null")).unwrap();
    symlink(canary.path.join("file"), b.inside("dev/null")).unwrap();
    check(&b.run(&document));
    let swapper = Swapper::of(b.inside("dev/null"), b.inside("dev/other"));
    race(&b, &document, check);
    drop(swapper);
    canary.is_untouched();
}

/// The console is the terminal that was opened, whatever lies at its name by then (CVE-2025-52565).
pub(crate) fn r09_the_console_is_the_terminal() {
    let b = Bundle::new();
    let canary = Canary::of(&b);
    let mut document = b.document(&format!("{SHOW}; cat < /dev/null"));
    document["process"]["terminal"] = json!(true);
    // No file system on /dev: it is the image's, and so is the way to the terminals.
    document["mounts"] = json!([document["mounts"][0], document["mounts"][2]]);
    document["mounts"][1]["destination"] = json!("/v/pts");
    for place in ["v/pts", "w"] {
        fs::create_dir_all(b.inside(place)).unwrap();
    }
    for number in 0..3 {
        symlink(canary.path.join("file"), b.inside(&format!("w/{number}"))).unwrap();
    }
    symlink("../v/pts", b.inside("dev/pts")).unwrap();
    symlink("../w", b.inside("dev/other")).unwrap();
    let swapper = Swapper::of(b.inside("dev/pts"), b.inside("dev/other"));
    race(&b, &document, |said| {
        let table = table(&said.out.replace('\r', ""));
        assert_eq!(at(&table, "/dev/console").kind, "devpts", "{table:#?}");
    });
    drop(swapper);
    canary.is_untouched();
}

/// An image whose `/dev` is a link gets its devices where that leads inside (CVE-2026-41579).
pub(crate) fn r11_dev_is_a_link() {
    for up in ["", "../../../../../../../.."] {
        let b = Bundle::new();
        let canary = Canary::of(&b);
        let mut document = b.document("ls -l /dev/null | cut -c1; [ -L /dev/fd ] && echo link");
        document["mounts"] = json!([document["mounts"][0]]);
        fs::remove_dir(b.inside("dev")).unwrap();
        symlink(format!("{up}{}", canary.path.display()), b.inside("dev")).unwrap();
        let said = b.run(&document);
        canary.is_untouched();
        assert_eq!(said.ok(), "c\nlink");
    }
}

/// What is covered or made read-only is one thing from the first look to the end (GHSA-3q8j-pf29-vwv8 of youki).
pub(crate) fn r12_protected_paths_are_what_was_seen() {
    let b = Bundle::new();
    let canary = Canary::of(&b);
    fs::create_dir(b.inside("v")).unwrap();
    let mut document = b.document(SHOW);
    document["linux"]["readonlyPaths"] = json!(["/v/t"]);
    document["linux"]["maskedPaths"] = json!(["/v/u"]);
    let swappers = [swapped(&b, &canary, "v/t", "v/l"), swapped(&b, &canary, "v/u", "v/m")];
    race(&b, &document, |said| {
        let table = table(&said.out);
        let inside =
            |line: &Line| line.place.starts_with("/v/") || line.place == canary.path.display().to_string();
        let read_only =
            places(&table, |line| inside(line) && line.own.starts_with("ro") && line.kind != "sysfs");
        let masked =
            places(&table, |line| inside(line) && line.own.starts_with("ro") && line.kind == "sysfs");
        assert_eq!((read_only.len(), masked.len()), (1, 1), "{table:#?}");
    });
    drop(swappers);
    canary.is_untouched();
}

/// A missing working directory is made inside, wherever links of the image lead (CVE-2026-55686).
pub(crate) fn r18_the_working_directory_is_made_inside() {
    for up in ["", "../../../../../../../../.."] {
        let b = Bundle::new();
        let canary = Canary::of(&b);
        symlink(format!("{up}{}", canary.path.display()), b.inside("work")).unwrap();
        let mut document = b.document("pwd -P");
        document["process"]["cwd"] = json!("/work/new/deep");
        let said = b.run(&document);
        canary.is_untouched();
        assert_eq!(said.ok(), format!("{}/new/deep", canary.path.display()));
        document["process"]["cwd"] = json!("/proc/self/fd/9/x");
        assert_ne!(b.run(&document).code, 0, "no way through what the runtime has open");
    }
}
