//! The kernel is the model: whatever `openat2` answers, the walk answers. And a race that cannot be won.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, fstat, open as plain_open, renameat_with};

use super::*;
use crate::tree::open_below;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let place = std::env::temp_dir().join(format!("berth-walk-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        for part in ["root/a/b/c", "root/d", "outside/secret"] {
            fs::create_dir_all(place.join(part)).unwrap();
        }
        for file in ["root/a/file", "root/a/b/file", "outside/file", "outside/secret/file"] {
            fs::write(place.join(file), file).unwrap();
        }
        Self(place)
    }

    fn root(&self) -> OwnedFd {
        handle(&self.0.join("root"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn handle(path: &Path) -> OwnedFd {
    plain_open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

fn identity(opened: Result<OwnedFd, Errno>) -> Result<(u64, u64, u32), Errno> {
    let stat = fstat(opened?)?;
    Ok((stat.st_dev, stat.st_ino, stat.st_mode))
}

/// Asked of a tree with all kinds of links; the empty one besides.
const PATHS: &str = ". / .. ../.. a /a a/ a/. a/.. a/../.. a/../../a/b ./a/./b //a//b// a/file a/file/ a/file/. a/file/.. \
    a/file/../file absent absent/.. absent/ up up/ up/a up/../etc out out/file out-file down down/file \
    down/.. down/../file absolute/c slash slash/file file-slash file file/ dangling loop loop/x one \
    a/back/d a/back/back a/b/c/chain dot dot/a root root/a link0 link5 link6 link40 link44 link45 \
    a/b/c/../../../.. ... a/...";

const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// The kernel's answer. It has none while anything on the machine is renamed, and the race beside does nothing else.
fn model(root: &OwnedFd, path: &str, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    loop {
        match open_below(root.as_fd(), path, flags, resolve) {
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
}

#[track_caller]
fn same(root: &OwnedFd, path: &str) {
    let directory = OFlags::PATH | OFlags::DIRECTORY;
    for flags in [
        OFlags::PATH,
        directory,
        directory | OFlags::NOFOLLOW,
        OFlags::PATH | OFlags::NOFOLLOW,
        OFlags::RDONLY,
    ] {
        for resolve in
            [IN_ROOT, BENEATH, IN_ROOT | ResolveFlags::NO_SYMLINKS, BENEATH | ResolveFlags::NO_XDEV]
        {
            let asked = model(root, path, flags, resolve);
            let walked = open(root.as_fd(), path, flags, resolve);
            assert_eq!(identity(walked), identity(asked), "{path:?} {flags:?} {resolve:?}");
        }
    }
}

#[test]
fn the_kernel_answers_the_same() {
    let scratch = Scratch::new("same");
    let outside = scratch.0.join("outside").display().to_string();
    let at = |name: &str| scratch.0.join("root").join(name);
    for (name, text) in [
        ("up", "../../../../../../../..".to_owned()),
        ("out", outside.clone()),
        ("out-file", format!("{outside}/file")),
        ("down", "a/b".to_owned()),
        ("absolute", "/a/b".to_owned()),
        ("slash", "/a/b/".to_owned()),
        ("file-slash", "a/file/".to_owned()),
        ("file", "a/file".to_owned()),
        ("dangling", "absent/x".to_owned()),
        ("loop", "loop".to_owned()),
        ("one", "two".to_owned()),
        ("two", "one".to_owned()),
        ("a/back", "..".to_owned()),
        ("a/b/c/chain", "../../../down/c/../file".to_owned()),
        ("dot", ".".to_owned()),
        ("root", "/".to_owned()),
    ] {
        symlink(text, at(name)).unwrap();
    }
    for link in 0..45 {
        symlink(format!("link{}", link + 1), at(&format!("link{link}"))).unwrap();
    }
    symlink("a", at("link45")).unwrap();
    let root = scratch.root();
    same(&root, "");
    for path in PATHS.split(' ') {
        same(&root, path);
    }
}

#[test]
fn the_kernel_answers_the_same_on_procfs() {
    let proc = handle(Path::new("/proc"));
    for path in [
        "self",
        "self/",
        "self/status",
        "thread-self/status",
        "self/root",
        "self/root/",
        "self/cwd",
        "self/exe",
        "self/fd/0",
        "self/ns/mnt",
        "mounts",
        "net",
        "net/dev",
        "self/net/dev",
        "sys/kernel/domainname",
        "self/task/../status",
        "self/root/etc",
        "version",
        "absent",
    ] {
        // `self` is this thread's process for both.
        let flags = OFlags::PATH;
        for resolve in [IN_ROOT, BENEATH, BENEATH | ResolveFlags::NO_XDEV] {
            let asked = model(&proc, path, flags, resolve);
            assert_eq!(
                identity(open(proc.as_fd(), path, flags, resolve)),
                identity(asked),
                "{path} {resolve:?}"
            );
        }
    }
}

/// A thousand rounds against somebody who exchanges each part of the path with a link to the outside.
#[test]
fn nobody_leads_it_out() {
    let scratch = Scratch::new("race");
    let at = |name: &str| scratch.0.join("root").join(name);
    let outside = scratch.0.join("outside");
    symlink(&outside, at("evil")).unwrap();
    symlink("../../../../..", at("up")).unwrap();
    symlink(outside.join("secret/file"), at("a/evil")).unwrap();
    let root = scratch.root();
    let over = AtomicBool::new(false);
    let canary: Vec<u64> = ["outside", "outside/file", "outside/secret", "outside/secret/file"]
        .map(|name| fstat(handle(&scratch.0.join(name))).unwrap().st_ino)
        .into();
    let above = fstat(handle(&scratch.0)).unwrap().st_ino;
    std::thread::scope(|scope| {
        for (one, other) in [("a/b", "evil"), ("d", "up"), ("a/file", "a/evil"), ("a/b/c", "up")] {
            let (over, at) = (&over, &at);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let _ = renameat_with(CWD, at(one), CWD, at(other), RenameFlags::EXCHANGE);
                }
            });
        }
        for round in 0..1000_u32 {
            for path in [
                "a/b/file",
                "a/b/c/../../file",
                "d/../a/b/c/../file",
                "a/file",
                "evil/secret/file",
                "up/outside/file",
            ] {
                let flags = if round % 2 == 0 { OFlags::PATH } else { OFlags::RDONLY };
                if let Ok(opened) = open(root.as_fd(), path, flags, IN_ROOT) {
                    let inode = fstat(opened).unwrap().st_ino;
                    assert!(
                        !canary.contains(&inode) && inode != above,
                        "{path} led outside in round {round}"
                    );
                }
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}
