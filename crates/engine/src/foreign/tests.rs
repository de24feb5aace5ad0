//! Layers with links, whiteouts and things that are no files.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

struct Layers(PathBuf);

impl Layers {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("berth-foreign-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        for layer in ["upper/etc", "a/etc", "b/etc"] {
            fs::create_dir_all(dir.join(layer)).expect("directory");
        }
        Self(dir)
    }
    fn rootfs(&self) -> Rootfs {
        Rootfs::Overlay {
            lower: vec![self.0.join("a"), self.0.join("b")],
            upper: self.0.join("upper"),
            work: self.0.join("work"),
            volatile: false,
        }
    }
    fn read(&self, path: &str) -> String {
        match read_stopped(&self.rootfs(), path, 64) {
            Ok(Some(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
            Ok(None) => "-".to_owned(),
            Err(e) => format!("! {e}"),
        }
    }
}

impl Drop for Layers {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn merges_layers() {
    let layers = Layers::new("merge");
    let write = |path: &str, text: &str| fs::write(layers.0.join(path), text).expect("file");
    write("b/etc/passwd", "low");
    write("b/etc/group", "low");
    write("a/etc/group", "high");
    assert_eq!(layers.read("/etc/passwd"), "low");
    assert_eq!(layers.read("/etc/group"), "high");
    assert_eq!(layers.read("/etc/none"), "-");
    assert_eq!(layers.read("/etc/group/x"), "-");
    assert_eq!(layers.read("/etc"), "-");
    write("a/etc/big", &"x".repeat(65));
    assert_eq!(layers.read("/etc/big"), "! /etc/big of the container is larger than 64 bytes");
}

#[test]
fn links_stay_inside() {
    let layers = Layers::new("links");
    fs::write(layers.0.join("b/real"), "inside").expect("file");
    symlink("/real", layers.0.join("a/etc/passwd")).expect("link");
    symlink("../../../../../../real", layers.0.join("a/etc/group")).expect("link");
    symlink("/etc/loop", layers.0.join("a/etc/loop")).expect("link");
    symlink("/etc", layers.0.join("a/other")).expect("link");
    assert_eq!(layers.read("/etc/passwd"), "inside");
    assert_eq!(layers.read("/etc/group"), "inside");
    assert_eq!(layers.read("/other/passwd"), "inside");
    assert!(layers.read("/etc/loop").starts_with('!'));
    assert_eq!(layers.read("/etc/hostname"), "-", "the host's file must not be seen");
}

#[test]
fn r17_only_regular_files_are_read() {
    let layers = Layers::new("kinds");
    let at = layers.0.join("a/etc/passwd");
    rustix::fs::mknodat(CWD, &at, FileType::Fifo, Mode::RUSR, 0).expect("fifo");
    assert_eq!(layers.read("/etc/passwd"), "! /etc/passwd of the container is not a regular file");
    let _socket = std::os::unix::net::UnixListener::bind(layers.0.join("a/etc/group")).expect("socket");
    assert_eq!(layers.read("/etc/group"), "! /etc/group of the container is not a regular file");
}

#[test]
fn the_running_root_is_read_from_its_handle() {
    let own = i32::try_from(std::process::id()).expect("pid");
    let missing = read_running(own, "/no/such/file", 10).expect("readable");
    assert_eq!(missing, None);
    assert!(read_running(own, "/dev/null", 10).is_err());
}
