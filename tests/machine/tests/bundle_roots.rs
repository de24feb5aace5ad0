//! The root of a bundle, its file systems of the kernel, and what is told when a mount cannot be made.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use testkit::Bundle;

use crate::bundle_mounts::{add, at, mount, table};

const SHOW: &str = "cat /proc/self/mountinfo";

pub(crate) fn read_only_places() {
    let b = Bundle::new();
    let script = format!(
        "{SHOW}; touch /x 2>/dev/null && echo writable; touch /dev/x 2>/dev/null && echo writable; echo y > /dev/null && echo done"
    );
    let mut document = b.document(&script);
    document["root"]["readonly"] = json!(true);
    document["mounts"][1]["options"] = json!(["nosuid", "mode=755", "ro"]);
    add(&mut document, mount("/t", "tmpfs", Path::new("tmpfs"), &["ro"]));
    add(&mut document, mount("/t/in/it", "tmpfs", Path::new("tmpfs"), &[]));
    let said = b.run(&document).ok();
    let table = table(&said);
    for (place, first) in [("/", "ro"), ("/dev", "ro"), ("/t", "ro"), ("/t/in/it", "rw"), ("/dev/pts", "rw")]
    {
        assert_eq!(at(&table, place).own.split(',').next(), Some(first), "{place}");
    }
    assert!(said.ends_with("\ndone") && !said.contains("writable"), "{said}");
}

/// `remount`, as `mount -o remount` has it: with `bind` the mount alone.
pub(crate) fn mounts_are_changed_later() {
    let b = Bundle::new();
    let mut document = b.document(SHOW);
    add(&mut document, mount("/t", "tmpfs", Path::new("tmpfs"), &["size=64k", "nosuid", "mode=700"]));
    add(&mut document, mount("/t", "none", Path::new("none"), &["bind", "remount", "ro", "suid"]));
    add(&mut document, mount("/u", "tmpfs", Path::new("tmpfs"), &["size=64k", "mode=700"]));
    add(&mut document, mount("/u", "tmpfs", Path::new("tmpfs"), &["remount", "size=128k", "noexec"]));
    let table = table(&b.run(&document).ok());
    assert_eq!(
        (at(&table, "/t").own.as_str(), at(&table, "/t").fs.contains("size=64k")),
        ("ro,relatime", true)
    );
    assert_eq!(
        (at(&table, "/u").own.as_str(), at(&table, "/u").fs.contains("size=128k")),
        ("rw,noexec,relatime", true)
    );
    add(&mut document, mount("/bin", "none", Path::new("none"), &["bind", "remount", "ro"]));
    let said = b.run(&document);
    assert!(said.code == 1 && said.err.contains("mounts[8]: remount /bin: "), "{}", said.err);
}

pub(crate) fn file_systems_of_the_kernel() {
    let b = Bundle::new();
    let mut document = b.document(SHOW);
    document["mounts"][2]["options"] =
        json!(["nosuid", "noexec", "newinstance", "ptmxmode=0600", "mode=0622", "gid=5"]);
    add(&mut document, mount("/dev/mqueue", "mqueue", Path::new("mqueue"), &["nosuid", "noexec", "nodev"]));
    add(&mut document, mount("/dev/shm", "tmpfs", Path::new("shm"), &["mode=1777", "size=65536k"]));
    add(&mut document, mount("/ram", "ramfs", Path::new("ramfs"), &["mode=700"]));
    let table = self::table(&b.run(&document).ok());
    for (place, kind, fs) in [
        ("/proc", "proc", "rw"),
        ("/sys", "sysfs", "ro"),
        ("/dev/pts", "devpts", "rw,gid=5,mode=622,ptmxmode=600"),
        ("/dev/mqueue", "mqueue", "rw"),
        ("/dev/shm", "tmpfs", "rw,size=65536k"),
        ("/ram", "ramfs", "rw,mode=700"),
    ] {
        let found = at(&table, place);
        // A new network namespace has a sysfs of its own; otherwise only the mount is read-only.
        let fs_found = if place == "/sys" { "ro" } else { found.fs.trim_end_matches(",inode64") };
        assert_eq!((found.kind.as_str(), fs_found), (kind, fs), "{place}");
    }
    assert!(at(&table, "/sys").own.starts_with("ro,"));
}

/// The host's `/dev`: nothing is made in it.
pub(crate) fn the_dev_of_the_host() {
    let b = Bundle::new();
    let before = fs::read_dir("/dev").unwrap().count();
    let mut document = b.document(&format!("{SHOW}; ls -l /dev/null /dev/zero"));
    document["mounts"] =
        json!([document["mounts"][0], mount("/dev/./", "bind", Path::new("/dev"), &["rbind", "ro"])]);
    let said = b.run(&document).ok();
    assert!(at(&table(&said), "/dev").own.starts_with("ro,"));
    assert!(said.ends_with("/dev/zero"));
    assert_eq!(fs::read_dir("/dev").unwrap().count(), before);
}

fn own_users(document: &mut Value) {
    let map = json!([{"containerID": 0, "hostID": 0, "size": 100_000}]);
    document["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    document["linux"]["uidMappings"] = map.clone();
    document["linux"]["gidMappings"] = map;
}

/// With a network of its own a user namespace has a sysfs of its own; with the host's, the host's.
pub(crate) fn sys_in_a_user_namespace() {
    let b = Bundle::new();
    let mut document = b.document(&format!("{SHOW}; ls /sys/class/net"));
    own_users(&mut document);
    let own = b.run(&document).ok();
    assert!(at(&table(&own), "/sys").own.starts_with("ro,"));
    assert!(own.ends_with("\nlo"), "{own}");
    document["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "network");
    let host = b.run(&document).ok();
    assert!(
        table(&host).iter().filter(|l| l.place.starts_with("/sys")).all(|l| l.own.starts_with("ro")),
        "{host}"
    );
    let names = fs::read_dir("/sys/class/net").unwrap().count();
    assert_eq!(host.rsplit_once(" - ").unwrap().1.lines().skip(1).count(), names, "{host}");
}

/// Read-only and writable, with and without a cgroup namespace: always the container's own, and nobody else's.
pub(crate) fn cgroups_of_the_container() {
    for (word, own) in [("ro", false), ("ro", true), ("rw", false), ("rw", true)] {
        let b = Bundle::new();
        let v1 = fs::read_to_string("/proc/self/mountinfo").unwrap().contains(" - cgroup ");
        let directory = if v1 { "/sys/fs/cgroup/memory" } else { "/sys/fs/cgroup" };
        let script = format!(
            "{SHOW}; cat {directory}/cgroup.procs | wc -l; mkdir {directory}/new 2>/dev/null && rmdir {directory}/new && echo writable"
        );
        let mut document = b.document(&script);
        add(
            &mut document,
            mount(
                "/sys/fs/cgroup",
                "cgroup",
                Path::new("cgroup"),
                &["nosuid", "noexec", "nodev", "relatime", word],
            ),
        );
        if own {
            document["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "cgroup"}));
        }
        let said = b.run(&document);
        let table = table(&said.out);
        let mounts: Vec<_> = table.iter().filter(|line| line.place.starts_with("/sys/fs/cgroup")).collect();
        assert!(mounts.len() == 1 || v1, "{mounts:?}");
        for line in &mounts {
            // The tmpfs that holds v1's hierarchies included.
            assert!(line.own.starts_with(word) && line.own.contains("nosuid,nodev,noexec"), "{line:?}");
        }
        // The shell and what lists them, and perhaps already what counts.
        assert!(said.out.lines().any(|line| matches!(line, "2" | "3")), "{}", said.out);
        assert_eq!(said.out.ends_with("writable\n"), word == "rw", "{}", said.out);
        if v1 {
            assert!(mounts.iter().any(|line| line.place.ends_with("/memory") && line.kind == "cgroup"));
        }
    }
}

/// Binds may begin at what earlier mounts have put into the root, by the root's path on the host.
pub(crate) fn binds_of_earlier_mounts() {
    let b = Bundle::new();
    for name in ["a/x", "b/y"] {
        fs::create_dir_all(b.directory().join(name)).unwrap();
        fs::write(b.directory().join(name).join("file"), name).unwrap();
    }
    fs::create_dir(b.inside("mnt")).unwrap();
    let mut document = b.document("cat /final/x/y/file");
    add(&mut document, mount("/mnt", "bind", Path::new("a"), &["rbind"]));
    add(&mut document, mount("/mnt/x", "bind", Path::new("b"), &["rbind"]));
    add(&mut document, mount("/final", "bind", &b.inside("mnt"), &["rbind", "rprivate"]));
    assert_eq!(b.run(&document).ok(), "b/y");
    own_users(&mut document);
    assert_eq!(b.run(&document).ok(), "b/y", "in a user namespace");
    document["mounts"][6]["options"] = json!(["rbind", "rslave"]);
    assert_eq!(b.run(&document).ok(), "b/y", "whatever it is to receive");
}

/// `--no-pivot` for `run` and `create`, also where hooks look for the root.
pub(crate) fn roots_without_a_pivot() {
    let b = Bundle::new();
    let mut document = b.document(&format!("{SHOW}; ls /"));
    for hook in [false, true] {
        if hook {
            document["hooks"] = json!({"createContainer": [{"path": "/bin/true"}]});
        }
        b.write(&document);
        let said = b.runtime(&["run", "--no-pivot", "c1"]).ok();
        let table = table(&said);
        assert!(table.iter().filter(|l| l.place == "/proc").count() == 1, "{said}");
        assert_eq!((at(&table, "/proc").kind.as_str(), at(&table, "/dev").kind.as_str()), ("proc", "tmpfs"));
        assert!(said.ends_with("bin\ndev\netc\nhome\nproc\nroot\nsys\ntmp\nvar"), "{said}");
    }
    // Below the container's proc, of which a part is masked, there must not be the host's whole one: the kernel would give a user
    // namespace another like it.
    let caps = json!(["CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID", "CAP_SETFCAP"]);
    document["process"]["args"] =
        json!(["unshare", "-mrpf", "sh", "-c", "mount -t proc none /proc && echo mounted"]);
    document["process"]["capabilities"] = json!({"bounding": caps, "effective": caps, "permitted": caps});
    b.write(&document);
    let said = b.runtime(&["run", "--no-pivot", "c2"]);
    assert!(
        !said.out.contains("mounted") && said.err.contains("denied") || said.err.contains("not permitted"),
        "{} {}",
        said.out,
        said.err
    );
    document["process"]["args"] = json!(["sleep", "1000"]);
    document["linux"]["rootfsPropagation"] = json!("private");
    b.write(&document);
    let said = b.runtime(&["create", "--no-pivot", "c3"]);
    assert!(said.code == 1 && said.err.contains("linux.rootfsPropagation \"private\""), "{}", said.err);
    document["linux"]["rootfsPropagation"] = json!("rslave");
    b.write(&document);
    b.runtime(&["create", "--no-pivot", "c3"]).ok();
    b.runtime(&["start", "c3"]).ok();
    let all = "bin\ndev\netc\nhome\nproc\nroot\nsys\ntmp\nvar";
    assert_eq!(b.runtime(&["exec", "c3", "ls", "/"]).ok(), all, "an exec is in the root, too");
    b.runtime(&["delete", "--force", "c3"]).ok();
}

/// Each names the mount by its index and its place, and nothing is left.
pub(crate) fn what_cannot_be_mounted() {
    let b = Bundle::new();
    let refused = |mount: Value, wanted: &str| {
        let mut document = b.document("true");
        add(&mut document, mount);
        let said = b.run(&document);
        assert!(said.code == 1 && said.err.contains(wanted), "{:?} does not say {wanted:?}", said.err);
        assert_eq!(said.err.trim_end().lines().count(), 1, "{}", said.err);
        assert_eq!(b.runtime(&["list", "-q"]).out, "", "{wanted}: nothing is left");
    };
    let x = |kind: &str, source: &str, options: &[&str]| mount("/x", kind, Path::new(source), options);
    refused(x("none", "/absent", &["bind"]), "mounts[4]: bind /absent on /x: no such file or directory");
    refused(
        x("none", "absent", &["rbind"]),
        &format!("mounts[4]: bind {}/absent on /x: no such file", b.directory().display()),
    );
    refused(x("moonfs", "moon", &[]), "mounts[4]: mount moonfs on /x: no such device");
    refused(x("tmpfs", "tmpfs", &["moon=1"]), "option moon=1");
    refused(x("tmpfs", "tmpfs", &["size=moon"]), "mounts[4]: mount tmpfs on /x");
    refused(x("overlay", "overlay", &["lowerdir=/absent"]), "mounts[4]: mount overlay on /x");
    refused(x("", "/etc", &[]), "mounts[4] /x: it has no type of file system, and no bind or rbind");
    refused(x("ext4", "/dev/null", &[]), "mounts[4]: mount ext4 on /x (/dev/null: Can't");
    refused(mount("/etc/passwd/x", "tmpfs", Path::new("tmpfs"), &[]), "/etc/passwd/x: not a directory");
    refused(
        mount("/..", "tmpfs", Path::new("tmpfs"), &[]),
        "mounts[4]: \"/..\" is not a place inside the root",
    );
    let mut document = b.document("true");
    document["linux"]["mountLabel"] = json!("system_u:object_r:container_file_t:s0");
    let said = b.run(&document);
    if !Path::new("/sys/fs/selinux").exists() {
        assert!(said.code == 0 && said.err.contains("linux.mountLabel \"system_u:object_r"), "{}", said.err);
    }
}
