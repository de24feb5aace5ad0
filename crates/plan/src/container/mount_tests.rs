//! Mounts of a document, word by word.

use oci::runtime::Spec;
use serde_json::{Value, json};
use types::Rootfs;

use super::options::{Mounting, bit};
use super::tests::{document, host_v2};
use super::{Options, plan, print};

/// The line of the one mount that matters here, or the refusal.
fn line_of(change: &dyn Fn(&mut Value), mount: &Value) -> String {
    let mut document = document();
    document["mounts"] = json!([mount]);
    change(&mut document);
    let spec: Spec = serde_json::from_value(document).expect("a document");
    let options = Options { cgroup_parent: "/berth".into(), bundle: "/b".into(), ..Options::default() };
    match plan("x", &spec, &Rootfs::Directory("/b/rootfs".into()), &host_v2(), &options) {
        Ok(planned) => {
            let text = print(&planned.plan);
            let found = text.lines().find(|line| line.contains(" on /m")).unwrap_or_default();
            [&[found.trim().to_owned()], &planned.warnings[..]].concat().join(" | ")
        }
        Err(error) => format!("! {error}"),
    }
}

fn check(mount: &Value, wanted: &str) {
    assert_eq!(line_of(&|_| {}, mount), wanted, "{mount}");
}

#[test]
fn every_word_of_a_bind() {
    for (words, wanted) in [
        ("bind", "bind /s on /m"),
        ("rbind", "rbind /s on /m"),
        ("bind ro", "bind /s on /m ro"),
        ("bind ro rw", "bind /s on /m clear ro"),
        ("bind nosuid nodev noexec nosymfollow", "bind /s on /m nosuid nodev noexec nosymfollow"),
        ("bind suid dev exec symfollow", "bind /s on /m clear nosuid nodev noexec nosymfollow"),
        ("bind noatime nodiratime", "bind /s on /m noatime nodiratime clear noatime strictatime"),
        ("bind strictatime", "bind /s on /m strictatime clear noatime strictatime"),
        ("bind strictatime nostrictatime", "bind /s on /m clear noatime strictatime"),
        ("bind relatime diratime", "bind /s on /m clear noatime strictatime nodiratime"),
        ("bind norelatime nostrictatime defaults async loud silent", "bind /s on /m"),
        ("rbind rro", "rbind /s on /m all ro clear"),
        ("rbind rrw", "rbind /s on /m all clear ro"),
        (
            "rbind rnosuid rnodev rnoexec rnosymfollow",
            "rbind /s on /m all nosuid nodev noexec nosymfollow clear",
        ),
        ("rbind rsuid rdev rexec rsymfollow", "rbind /s on /m all clear nosuid nodev noexec nosymfollow"),
        ("rbind rnoatime rnodiratime", "rbind /s on /m all noatime nodiratime clear noatime strictatime"),
        (
            "rbind rstrictatime rdiratime",
            "rbind /s on /m all strictatime clear noatime strictatime nodiratime",
        ),
        ("rbind rrelatime", "rbind /s on /m all clear noatime strictatime"),
        ("rbind ratime", "rbind /s on /m all clear noatime strictatime"),
        ("rbind rnorelatime", "rbind /s on /m all clear noatime strictatime"),
        ("rbind rnostrictatime", "rbind /s on /m all clear noatime strictatime"),
        ("rbind rprivate", "rbind /s on /m"),
        ("bind private", "bind /s on /m"),
        ("bind unbindable", "bind /s on /m unbindable"),
        ("rbind runbindable", "rbind /s on /m unbindable"),
        ("rbind rslave", "rbind /s on /m slave early"),
        ("bind slave", "bind /s on /m slave, then slave early"),
        ("rbind rshared", "rbind /s on /m slave, then shared all early"),
        ("rbind rslave shared", "rbind /s on /m slave, then shared early"),
        ("rbind rshared private", "rbind /s on /m slave, then shared all, then private early"),
        ("bind size=1k", "bind /s on /m | mounts[0] /m: option \"size=1k\" has no effect on a bind mount"),
        ("bind sync", "bind /s on /m | mounts[0] /m: option \"sync\" has no effect on a bind mount"),
        ("bind remount ro", "remount none on /m ro"),
        (
            "idmap bind",
            "! mounts[0] /m: idmap needs uidMappings and gidMappings, or a user namespace of the container",
        ),
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        check(&json!({"destination": "/m", "type": "none", "source": "/s", "options": words}), wanted);
    }
}

#[test]
fn every_word_of_a_file_system() {
    for (words, wanted) in [
        ("", "mount tmpfs on /m mode of its place"),
        ("ro mode=755", "mount tmpfs on /m [mode=755]"),
        ("sync dirsync lazytime mand", "mount tmpfs on /m [sync,dirsync,lazytime,mand] mode of its place"),
        ("sync async lazytime nolazytime mand nomand", "mount tmpfs on /m mode of its place"),
        ("rnosuid nodev rnoexec", "mount tmpfs on /m nosuid nodev noexec mode of its place"),
        ("noexec rexec", "mount tmpfs on /m mode of its place"),
        ("slave shared", "mount tmpfs on /m slave, then shared mode of its place"),
        ("tmpcopyup", "mount tmpfs on /m copy-up mode of its place"),
        ("mode=1777 remount ro", "remount tmpfs on /m ro [mode=1777]"),
        (
            "iversion",
            "mount tmpfs on /m mode of its place | mounts[0] /m: option iversion has no effect: the kernel's mount API has no word for it",
        ),
        ("iversion noiversion", "mount tmpfs on /m mode of its place"),
        ("idmap", "! mounts[0] /m: only a bind mount can have id maps"),
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        check(&json!({"destination": "/m", "type": "tmpfs", "source": "tmpfs", "options": words}), wanted);
    }
}

#[test]
fn places_types_and_sources() {
    for (mount, wanted) in [
        (json!({"destination": "m/./x/../y", "type": "ramfs"}), "mount ramfs on /m/y"),
        (json!({"destination": "/", "type": "ramfs"}), "! mounts[0]: \"/\" is not a place inside the root"),
        (
            json!({"destination": "/../..", "type": "ramfs"}),
            "! mounts[0]: \"/../..\" is not a place inside the root",
        ),
        (
            json!({"destination": "/m", "source": "/s"}),
            "! mounts[0] /m: it has no type of file system, and no bind or rbind among its options",
        ),
        (json!({"destination": "/m", "type": "bind", "source": "/s"}), "bind /s on /m"),
        (
            json!({"destination": "/m", "type": "cgroup", "options": ["rslave"]}),
            "mount cgroup2 on /m nosuid nodev noexec | mounts[0] /m: a mount of cgroups is private, whatever its options say",
        ),
        (json!({"destination": "/m", "type": "ext4", "source": "s", "options": ["bind"]}), "bind /b/s on /m"),
        (
            json!({"destination": "/m", "options": ["bind"]}),
            "! mounts[0] /m: source \"\" is not an absolute path",
        ),
        (
            json!({"destination": "/proc", "type": "tmpfs"}),
            "! mounts[0]: \"/proc\" cannot be mounted because it is inside /proc",
        ),
        (
            json!({"destination": "/x/../proc/sys", "type": "tmpfs"}),
            "! mounts[0]: \"/proc/sys\" cannot be mounted because it is inside /proc",
        ),
        (
            json!({"destination": "/m", "type": "proc", "options": ["tmpcopyup"]}),
            "! mounts[0] /m: tmpcopyup is an option of tmpfs",
        ),
    ] {
        check(&mount, wanted);
    }
}

#[test]
fn id_maps_of_a_mount() {
    let map =
        json!([{"containerID": 0, "hostID": 1000, "size": 5}, {"containerID": 9, "hostID": 1, "size": 1}]);
    let mount = |uids: &Value, gids: &Value, words: &[&str]| json!({"destination": "/m", "source": "/s", "options": words, "uidMappings": uids, "gidMappings": gids});
    let one = json!([{"containerID": 0, "hostID": 2000, "size": 1}]);
    let maps = "mapped uid 0:1000:5 uid 9:1:1 gid 0:2000:1";
    check(&mount(&map, &one, &["bind"]), &format!("bind /s on /m {maps}"));
    check(&mount(&map, &one, &["rbind", "ridmap"]), &format!("rbind /s on /m {maps} all"));
    check(
        &mount(&map, &json!([]), &["bind", "idmap"]),
        "! mounts[0] /m: uidMappings and gidMappings need each other",
    );
    let far = json!([{"containerID": 0, "hostID": u32::MAX, "size": 2}]);
    check(&mount(&map, &far, &["bind"]), "! mounts[0] /m: gidMappings reaches beyond the last id");
    let users = |d: &mut Value| {
        d["linux"]["namespaces"].as_array_mut().expect("a list").push(json!({"type": "user"}));
        d["linux"]["uidMappings"] = one.clone();
        d["linux"]["gidMappings"] = one.clone();
    };
    let none = json!([]);
    assert_eq!(line_of(&users, &mount(&none, &none, &["bind", "idmap"])), "bind /s on /m private mapped");
    assert_eq!(
        line_of(&users, &mount(&map, &one, &["bind", "idmap"])),
        format!("bind /s on /m private {maps}")
    );
}

#[test]
fn propagation_of_the_root() {
    let bind = json!({"destination": "/m", "source": "/s", "options": ["rbind", "rshared"]});
    for (asked, root, end, line) in [
        ("", "", "pivot", "slave, then shared all early"),
        ("private", "", "pivot", "slave, then shared all early"),
        ("rslave", " slave", "pivot", "slave, then shared all early"),
        ("unbindable", "", "pivot\n  root unbindable", "slave, then shared all early"),
        ("shared", "", "pivot\n  root shared", "shared early"),
        ("rshared", "", "pivot\n  root shared all", "shared early"),
    ] {
        let mut document = document();
        document["mounts"] = json!([bind]);
        document["linux"]["rootfsPropagation"] = json!(asked);
        let spec: Spec = serde_json::from_value(document).expect("a document");
        let options = Options { bundle: "/b".into(), ..Options::default() };
        let planned = plan("x", &spec, &Rootfs::Directory("/b/rootfs".into()), &host_v2(), &options);
        let text = print(&planned.expect("a plan").plan);
        assert!(
            text.contains(&format!("\n  propagate private /\n  root /b/rootfs{root}\n")),
            "{asked}: {text}"
        );
        assert!(text.contains(&format!("\n  {end}\nprocess\n")), "{asked}: {text}");
        assert!(text.contains(&format!("\n  rbind /s on /m {line}\n")), "{asked}: {text}");
    }
}

#[test]
fn what_is_made_read_only_comes_late() {
    let dev = json!({"destination": "/dev", "type": "tmpfs", "options": ["ro", "mode=755"]});
    let mut document = document();
    document["mounts"] = json!([dev, {"destination": "/m", "source": "/b/rootfs/dev", "options": ["bind"]}]);
    document["linux"]["mountLabel"] = json!("a:b:c:d");
    let spec: Spec = serde_json::from_value(document).expect("a document");
    let options = Options { bundle: "/b".into(), no_pivot: true, ..Options::default() };
    let root = Rootfs::Directory("/b/rootfs".into());
    let warnings = plan("x", &spec, &root, &host_v2(), &options).expect("a plan").warnings;
    assert_eq!(warnings, ["linux.mountLabel \"a:b:c:d\" has no effect: this kernel does not run SELinux"]);
    let mut facts = host_v2();
    facts.selinux = true;
    let text = print(&plan("x", &spec, &root, &facts, &options).expect("a plan").plan);
    assert!(
        text.contains("\n  root /b/rootfs on /b/rootfs\n  mount tmpfs on /dev [mode=755,context=a:b:c:d]\n"),
        "{text}"
    );
    assert!(text.contains("/proc/kcore\n  set ro /dev\n  read-only"), "{text}");
    assert!(text.contains("\n  chroot\nprocess"), "{text}");
}

#[test]
fn later_words_win() {
    let read = |words: &str| {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        Mounting::of(&words)
    };
    let m = read("ro nosuid rw size=1k noatime");
    assert_eq!((m.set, m.clear), (bit::NOSUID | bit::NOATIME, bit::RDONLY | bit::ATIME));
    assert_eq!(m.data, ["size=1k"]);
    let m = read("rro rrw rbind bind");
    assert_eq!((m.set_all, m.clear_all, m.bind, m.recursive), (0, bit::RDONLY, true, true));
}

#[test]
fn what_is_listed_is_understood() {
    assert!(super::MOUNT_OPTIONS.is_sorted());
    for word in super::MOUNT_OPTIONS {
        let mounting = Mounting::of(&[word.to_owned()]);
        let flags = ["sync", "dirsync", "lazytime", "mand"];
        assert!(mounting.data.iter().all(|left| flags.contains(&left.as_str())), "{word}");
    }
}
