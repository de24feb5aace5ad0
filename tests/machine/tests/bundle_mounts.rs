//! Mounts of a bundle, judged by the container's own mount table.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use testkit::Bundle;

/// A line of mountinfo (proc_pid_mountinfo(5)).
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) place: String,
    /// Options of the mount.
    pub(crate) own: String,
    /// `shared:7 master:3` without the numbers.
    pub(crate) peers: String,
    pub(crate) kind: String,
    pub(crate) source: String,
    /// Options of the file system.
    pub(crate) fs: String,
}

pub(crate) fn table(text: &str) -> Vec<Line> {
    let read = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let (left, right): (Vec<&str>, Vec<&str>) = (left.split(' ').collect(), right.split(' ').collect());
        let peers = left.get(6..)?.iter().map(|p| p.split(':').next().unwrap_or_default());
        let word = |list: &[&str], at: usize| list.get(at).map(|w| (*w).to_owned());
        Some(Line {
            place: word(&left, 4)?,
            own: word(&left, 5)?,
            peers: peers.filter(|p| *p != "propagate_from").collect::<Vec<_>>().join(" "),
            kind: word(&right, 0)?,
            source: word(&right, 1)?,
            fs: word(&right, 2)?,
        })
    };
    text.lines().filter_map(read).collect()
}

/// The topmost mount at a place.
#[track_caller]
pub(crate) fn at<'a>(table: &'a [Line], place: &str) -> &'a Line {
    table.iter().rev().find(|line| line.place == place).unwrap_or_else(|| panic!("no {place} in {table:#?}"))
}

pub(crate) fn add(document: &mut Value, mount: Value) {
    document["mounts"].as_array_mut().unwrap().push(mount);
}

pub(crate) fn mount(destination: &str, kind: &str, source: &Path, options: &[&str]) -> Value {
    json!({"destination": destination, "type": kind, "source": source, "options": options})
}

/// Mounts of the test's own namespace, gone at the end of the test.
pub(crate) struct Mounted(Vec<PathBuf>);

impl Mounted {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn add(&mut self, words: &[&str], place: &Path) {
        assert!(Command::new("mount").args(words).arg(place).status().unwrap().success(), "{words:?}");
        if !words.iter().any(|w| w.starts_with("--make")) {
            self.0.push(place.to_owned());
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        for place in self.0.iter().rev() {
            let _ = Command::new("umount").arg("-l").arg(place).status();
        }
    }
}

const SHOW: &str = "cat /proc/self/mountinfo";

/// Source with a mount below it, both shared.
fn tree(b: &Bundle, mounted: &mut Mounted) -> PathBuf {
    let source = b.directory().join("source");
    fs::create_dir(&source).unwrap();
    mounted.add(&["-t", "tmpfs", "source"], &source);
    mounted.add(&["--make-private"], &source);
    fs::create_dir(source.join("sub")).unwrap();
    mounted.add(&["-t", "tmpfs", "sub"], &source.join("sub"));
    mounted.add(&["--make-rshared"], &source);
    source
}

/// Options; those of the bind and of the mount below it; and their peers.
const BINDS: [(&str, &str, &str, &str, &str); 36] = [
    ("bind", "rw,relatime", "", "", ""),
    ("rbind", "rw,relatime", "rw,relatime", "", ""),
    ("rbind ro", "ro,relatime", "rw,relatime", "", ""),
    ("rbind ro rw", "rw,relatime", "rw,relatime", "", ""),
    ("rbind nosuid", "rw,nosuid,relatime", "rw,relatime", "", ""),
    ("rbind nodev", "rw,nodev,relatime", "rw,relatime", "", ""),
    ("rbind noexec", "rw,noexec,relatime", "rw,relatime", "", ""),
    ("rbind nosymfollow", "rw,relatime,nosymfollow", "rw,relatime", "", ""),
    ("rbind noatime", "rw,noatime", "rw,relatime", "", ""),
    ("rbind nodiratime", "rw,nodiratime,relatime", "rw,relatime", "", ""),
    ("rbind strictatime", "rw", "rw,relatime", "", ""),
    ("rbind norelatime nostrictatime async loud silent defaults", "rw,relatime", "rw,relatime", "", ""),
    ("rbind rro", "ro,relatime", "ro,relatime", "", ""),
    ("rbind rro rw", "rw,relatime", "ro,relatime", "", ""),
    (
        "rbind rnosuid rnodev rnoexec",
        "rw,nosuid,nodev,noexec,relatime",
        "rw,nosuid,nodev,noexec,relatime",
        "",
        "",
    ),
    ("rbind rnosymfollow", "rw,relatime,nosymfollow", "rw,relatime,nosymfollow", "", ""),
    ("rbind rnoatime", "rw,noatime", "rw,noatime", "", ""),
    ("rbind rnoatime rnodiratime", "rw,noatime,nodiratime", "rw,noatime,nodiratime", "", ""),
    ("rbind rstrictatime", "rw", "rw", "", ""),
    ("rbind rrelatime", "rw,relatime", "rw,relatime", "", ""),
    ("rbind rnoatime ratime", "rw,relatime", "rw,relatime", "", ""),
    ("rbind rnorelatime", "rw,relatime", "rw,relatime", "", ""),
    ("rbind rstrictatime rnostrictatime", "rw,relatime", "rw,relatime", "", ""),
    ("rbind rro rrw rnosuid rsuid rnodev rdev rnoexec rexec", "rw,relatime", "rw,relatime", "", ""),
    ("rbind rnodiratime rdiratime rnosymfollow rsymfollow", "rw,relatime", "rw,relatime", "", ""),
    ("rbind private", "rw,relatime", "rw,relatime", "", ""),
    ("rbind rprivate", "rw,relatime", "rw,relatime", "", ""),
    ("rbind slave", "rw,relatime", "rw,relatime", "master", "master"),
    ("rbind rslave", "rw,relatime", "rw,relatime", "master", "master"),
    ("rbind shared", "rw,relatime", "rw,relatime", "shared master", "master"),
    ("rbind rshared", "rw,relatime", "rw,relatime", "shared master", "shared master"),
    ("rbind rslave rshared", "rw,relatime", "rw,relatime", "shared master", "shared master"),
    ("rbind rshared private", "rw,relatime", "rw,relatime", "", "shared master"),
    ("rbind unbindable", "rw,relatime", "rw,relatime", "unbindable", ""),
    ("rbind runbindable", "rw,relatime", "rw,relatime", "unbindable", "unbindable"),
    ("rbind rslave unbindable", "rw,relatime", "rw,relatime", "unbindable", "master"),
];

pub(crate) fn every_word_of_a_bind() {
    let (b, mut mounted) = (Bundle::new(), Mounted::new());
    let source = tree(&b, &mut mounted);
    for users in [false, true] {
        let mut document = b.document(SHOW);
        for (index, (words, ..)) in BINDS.iter().enumerate() {
            let words: Vec<&str> = words.split(' ').collect();
            add(&mut document, mount(&format!("/m/{index}"), "none", &source, &words));
        }
        if users {
            own_users(&mut document);
        }
        let table = table(&b.run(&document).ok());
        for (index, (words, own, below, peers, peers_below)) in BINDS.iter().enumerate() {
            let found = at(&table, &format!("/m/{index}"));
            assert_eq!((found.own.as_str(), found.peers.as_str()), (*own, *peers), "{words}, users {users}");
            let place = format!("/m/{index}/sub");
            if below.is_empty() {
                assert!(table.iter().all(|line| line.place != place), "{words}");
                continue;
            }
            let found = at(&table, &place);
            assert_eq!(
                (found.own.as_str(), found.peers.as_str()),
                (*below, *peers_below),
                "below {words}, users {users}"
            );
        }
    }
}

/// A user namespace whose root is the host's, so that nothing of the bundle has to change its owner.
fn own_users(document: &mut Value) {
    let map = json!([{"containerID": 0, "hostID": 0, "size": 100_000}]);
    document["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    document["linux"]["uidMappings"] = map.clone();
    document["linux"]["gidMappings"] = map;
}

pub(crate) fn every_word_of_a_file_system() {
    let table_of = |cases: &[(&str, &str, &str)]| {
        let b = Bundle::new();
        let mut document = b.document(SHOW);
        fs::create_dir_all(b.inside("t/9")).unwrap();
        fs::set_permissions(b.inside("t/9"), fs::Permissions::from_mode(0o2710)).unwrap();
        for (index, (words, ..)) in cases.iter().enumerate() {
            let words: Vec<&str> = words.split(' ').filter(|w| !w.is_empty()).collect();
            add(&mut document, mount(&format!("/t/{index}"), "tmpfs", Path::new("tmpfs"), &words));
        }
        let said = b.run(&document);
        (table(&said.out), said)
    };
    let cases = [
        ("", "rw,relatime", "rw"),
        ("ro mode=755", "ro,relatime", "rw,mode=755"),
        ("sync nodev", "rw,nodev,relatime", "rw,sync"),
        ("dirsync", "rw,relatime", "rw,dirsync"),
        ("lazytime", "rw,relatime", "rw,lazytime"),
        ("sync async lazytime nolazytime nomand", "rw,relatime", "rw"),
        ("size=64k nr_inodes=9 mode=1750", "rw,relatime", "rw,size=64k,nr_inodes=9,mode=1750"),
        ("rnosuid rnoexec noatime", "rw,nosuid,noexec,noatime", "rw"),
        ("mode=700 uid=5 gid=6", "rw,relatime", "rw,mode=700,uid=5,gid=6"),
        ("strictatime", "rw", "rw,mode=2710"),
        ("rslave rshared", "rw,relatime", "rw"),
    ];
    let (table, said) = table_of(&cases);
    for (index, (words, own, fs)) in cases.iter().enumerate() {
        let found = at(&table, &format!("/t/{index}"));
        let found_fs = found.fs.replace(",inode64", "");
        assert_eq!((found.own.as_str(), found_fs.as_str()), (*own, *fs), "{words}: {}", said.err);
    }
    assert_eq!(at(&table, "/t/10").peers, "shared");
}

/// What one word promises happens: mounts that come later travel, or do not.
pub(crate) fn mounts_travel_as_asked() {
    for (root, word, into, out) in [
        ("shared", "rshared", true, true),
        ("", "rshared", true, false),
        ("", "rslave", true, false),
        ("rslave", "rslave", true, false),
        ("", "rprivate", false, false),
    ] {
        let (b, mut mounted) = (Bundle::new(), Mounted::new());
        let source = tree(&b, &mut mounted);
        fs::create_dir(source.join("later")).unwrap();
        fs::create_dir(source.join("inner")).unwrap();
        let mut document = b.document("sleep 1000");
        add(&mut document, mount("/m", "bind", &source, &["rbind", word]));
        document["linux"]["rootfsPropagation"] = json!(root);
        let admin = json!(["CAP_SYS_ADMIN"]);
        document["process"]["capabilities"] =
            json!({"bounding": admin, "effective": admin, "permitted": admin});
        b.write(&document);
        b.runtime(&["run", "-d", "c1"]).ok();
        mounted.add(&["-t", "tmpfs", "later"], &source.join("later"));
        let seen = b.runtime(&["exec", "c1", "grep", "-c", " /m/later ", "/proc/self/mountinfo"]).out;
        assert_eq!(seen.trim() == "1", into, "{word} in a {root:?} root: {seen}");
        b.runtime(&["exec", "c1", "mount", "-t", "tmpfs", "inner", "/m/inner"]).ok();
        let place = source.join("inner").display().to_string();
        let host = table(&fs::read_to_string("/proc/self/mountinfo").unwrap());
        let reached = host.iter().any(|line| line.place == place);
        if reached {
            mounted.0.push(source.join("inner"));
        }
        assert_eq!(reached, out, "{word} in a {root:?} root");
        b.runtime(&["delete", "--force", "c1"]).ok();
    }
}

pub(crate) fn propagation_of_the_root() {
    let (b, mut mounted) = (Bundle::new(), Mounted::new());
    // The root lies on a shared mount, as it does on most hosts.
    mounted.add(&["--bind", &b.directory().display().to_string()], b.directory());
    mounted.add(&["--make-private"], b.directory());
    mounted.add(&["--make-shared"], b.directory());
    for (word, peers, below) in [
        ("private", "", ""),
        ("rprivate", "", ""),
        ("slave", "master", ""),
        ("rslave", "master", ""),
        ("shared", "shared", ""),
        ("rshared", "shared", "shared"),
        ("unbindable", "unbindable", ""),
        ("runbindable", "unbindable", "unbindable"),
    ] {
        let mut document = b.document(SHOW);
        document["linux"]["rootfsPropagation"] = json!(word);
        let table = table(&b.run(&document).ok());
        assert_eq!(at(&table, "/").peers, peers, "{word}");
        assert_eq!(at(&table, "/dev").peers, below, "{word}");
        // With the root where hooks can see it, nothing of it may travel to the host.
        document["hooks"] = json!({"createRuntime": [{"path": "/bin/true"}]});
        let table = self::table(&b.run(&document).ok());
        assert_eq!(at(&table, "/").peers, peers, "{word} with a hook");
        let host = self::table(&fs::read_to_string("/proc/self/mountinfo").unwrap());
        let root = b.inside("").display().to_string();
        assert!(
            host.iter().all(|line| !line.place.starts_with(root.trim_end_matches('/'))),
            "{word}: {host:#?}"
        );
    }
    let mut document = b.document(SHOW);
    document["linux"]["rootfsPropagation"] = json!("sideways");
    let said = b.run(&document);
    assert!(said.code == 1 && said.err.contains("linux.rootfsPropagation: \"sideways\""), "{}", said.err);
}

/// Everything that can lie in a directory can be bound.
pub(crate) fn every_kind_of_file_is_bound() {
    let b = Bundle::new();
    let file = |name: &str| b.directory().join(name);
    fs::write(file("text"), "text").unwrap();
    fs::create_dir(file("directory")).unwrap();
    symlink("text", file("link")).unwrap();
    let _socket = UnixListener::bind(file("socket")).unwrap();
    assert!(Command::new("mkfifo").arg(file("fifo")).status().unwrap().success());
    assert!(Command::new("mknod").arg(file("node")).args(["c", "1", "5"]).status().unwrap().success());
    let names = ["text", "directory", "link", "socket", "fifo", "node"];
    let mut document = b.document("stat -c '%n %F' /x/* /y; readlink /copy; cat /copy-of-text /x/link");
    for name in names {
        // By the bundle, too: relative sources begin there.
        add(&mut document, mount(&format!("/x/{name}"), "none", Path::new(name), &["bind", "ro"]));
    }
    add(&mut document, mount("y", "bind", &file("text"), &["bind"]));
    for place in ["/copy", "/copy", "/copy-of-text"] {
        let source = file(if place == "/copy" { "link" } else { "text" });
        add(&mut document, mount(place, "bind", &source, &["bind", "copy-symlink"]));
    }
    let said = b.run(&document).ok();
    fs::remove_file(b.inside("copy")).unwrap();
    fs::write(b.inside("copy"), "").unwrap();
    let refused = b.run(&document);
    assert!(refused.code == 1 && refused.err.contains("make link /copy: file exists"), "{}", refused.err);
    let wanted = "/x/directory directory\n/x/fifo fifo\n/x/link regular file\n/x/node character special file\n\
                  /x/socket socket\n/x/text regular file\n/y regular file\ntext\ntexttext";
    assert_eq!(said, wanted);
}

pub(crate) fn overlays_and_copies() {
    let b = Bundle::new();
    let long = "d".repeat(120);
    let directories: Vec<String> =
        ["a", "b", "c"].iter().map(|n| format!("{}/{long}{n}", b.directory().display())).collect();
    for directory in &directories {
        fs::create_dir(directory).unwrap();
        fs::write(Path::new(directory).join(&directory[directory.len() - 1..]), "x").unwrap();
    }
    for name in ["upper", "work", "l1", "l2", &format!("{long}u"), &format!("{long}w")] {
        fs::create_dir(b.directory().join(name)).unwrap();
    }
    let at = |name: &str| b.directory().join(name).display().to_string();
    fs::write(b.directory().join("l1/low"), "low").unwrap();
    fs::create_dir_all(b.inside("image/below")).unwrap();
    fs::write(b.inside("image/file"), "from the image").unwrap();
    fs::set_permissions(b.inside("image/below"), fs::Permissions::from_mode(0o777)).unwrap();
    symlink("file", b.inside("image/link")).unwrap();
    let script = "ls /o; cat /o/low; echo; echo new > /o/new; ls /long; echo up > /long/up; cat /image/link; echo; stat -c %a /image/below; \
                  echo more > /image/more && ls /image; echo no > /fixed/x 2>/dev/null || cat /fixed/file";
    let mut document = b.document(script);
    let short = [
        format!("lowerdir={}:{}", at("l1"), at("l2")),
        format!("upperdir={}", at("upper")),
        format!("workdir={}", at("work")),
    ];
    let short: Vec<&str> = short.iter().map(String::as_str).collect();
    add(&mut document, mount("/o", "overlay", Path::new("overlay"), &short));
    let long = [
        format!("lowerdir={}", directories.join(":")),
        format!("upperdir={}", at(&format!("{long}u"))),
        format!("workdir={}", at(&format!("{long}w"))),
    ];
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    add(&mut document, mount("/long", "overlay", Path::new("overlay"), &long));
    add(&mut document, mount("/image", "tmpfs", Path::new("tmpfs"), &["tmpcopyup"]));
    fs::create_dir(b.inside("fixed")).unwrap();
    fs::write(b.inside("fixed/file"), "fixed").unwrap();
    add(&mut document, mount("/fixed", "tmpfs", Path::new("tmpfs"), &["tmpcopyup", "ro"]));
    let said = b.run(&document).ok();
    assert_eq!(
        said.split_whitespace().collect::<Vec<_>>().join(" "),
        "low low a b c from the image 777 below file link more fixed"
    );
    assert_eq!(fs::read_to_string(b.directory().join("upper/new")).unwrap(), "new\n");
    assert!(!b.inside("image/more").exists());
}

fn id_map(inside: u32, outside: u32, count: u32) -> Value {
    json!([{"containerID": inside, "hostID": outside, "size": count}])
}

pub(crate) fn owners_are_mapped() {
    let (b, mut mounted) = (Bundle::new(), Mounted::new());
    let source = b.directory().join("source");
    for (place, uid, gid) in [("one", 100, 200), ("two", 101, 201)] {
        fs::create_dir_all(source.join("sub")).unwrap();
        fs::write(source.join(place), place).unwrap();
        chown(source.join(place), Some(uid), Some(gid)).unwrap();
    }
    let sub = b.directory().join("below");
    fs::create_dir(&sub).unwrap();
    fs::write(sub.join("three"), "three").unwrap();
    chown(sub.join("three"), Some(100), Some(200)).unwrap();
    mounted.add(&["--bind", &sub.display().to_string()], &source.join("sub"));
    let mapped = |place: &str, words: &[&str], uids: Value, gids: Value| {
        let mut mount = mount(place, "none", &source, words);
        mount["uidMappings"] = uids;
        mount["gidMappings"] = gids;
        mount
    };
    let script = "stat -c '%u:%g' /a/one /a/two /a/sub/three /b/one /b/sub/three /c/one; echo x > /d/new; stat -c %u:%g /d/new";
    for users in [false, true] {
        // Outside, a container without a user namespace of its own sees what the map says; with one, what that makes of it.
        let base = if users { 100_000 } else { 0 };
        let mut document = b.document(script);
        add(&mut document, mapped("/a", &["rbind"], id_map(0, base, 1000), id_map(0, base + 10, 1000)));
        add(
            &mut document,
            mapped("/b", &["rbind", "ridmap"], id_map(100, base + 7, 2), id_map(200, base + 8, 2)),
        );
        add(
            &mut document,
            mapped("/c", &["bind", "idmap"], id_map(100, base + 7, 2), id_map(200, base + 8, 2)),
        );
        add(&mut document, mapped("/d", &["bind", "idmap"], id_map(0, base, 9), id_map(0, base, 9)));
        let said = if users {
            let map = id_map(0, 100_000, 65_536);
            document["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
            document["linux"]["uidMappings"] = map.clone();
            document["linux"]["gidMappings"] = map;
            b.run(&document).ok()
        } else {
            b.run(&document).ok()
        };
        let below = if users { "65534:65534" } else { "100:200" };
        let wanted = format!("100:210 101:211 {below} 7:8 7:8 7:8 0:0");
        assert_eq!(said.replace('\n', " "), wanted, "users {users}");
        let new = fs::metadata(source.join("new")).unwrap();
        assert_eq!((new.uid(), new.gid()), (0, 0), "users {users}: the map works both ways");
    }
    let mut document = b.document("stat -c %u:%g /a/one /a/sub/three");
    let map = id_map(0, 100_000, 65_536);
    document["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    document["linux"]["uidMappings"] = map.clone();
    document["linux"]["gidMappings"] = map;
    add(&mut document, mount("/a", "none", &source, &["rbind", "idmap"]));
    assert_eq!(b.run(&document).ok(), "100:200\n65534:65534", "the container's own map, for the one mount");
    let last = document["mounts"].as_array().unwrap().len() - 1;
    document["mounts"][last]["options"] = json!(["rbind", "ridmap"]);
    assert_eq!(b.run(&document).ok(), "100:200\n100:200");
}

pub(crate) fn owners_that_cannot_be_mapped() {
    let b = Bundle::new();
    let refused = |change: &dyn Fn(&mut Value), wanted: &str| {
        let mut document = b.document("true");
        add(&mut document, mount("/a", "none", Path::new("/proc/self"), &["bind", "idmap"]));
        let mount = &mut document["mounts"][4];
        mount["uidMappings"] = id_map(0, 5, 1);
        mount["gidMappings"] = id_map(0, 5, 1);
        change(mount);
        let said = b.run(&document);
        assert!(said.code == 1 && said.err.contains(wanted), "{:?} does not say {wanted:?}", said.err);
        assert_eq!(b.runtime(&["list", "-q"]).out, "", "{wanted}: nothing is left");
    };
    refused(&|_| {}, "mounts[4]: map the owners of /proc/self for /a: the file system cannot have id maps");
    refused(&|m| m["gidMappings"] = json!([]), "mounts[4] /a: uidMappings and gidMappings need each other");
    refused(
        &|m| (m["uidMappings"], m["gidMappings"]) = (json!([]), json!([])),
        "mounts[4] /a: idmap needs uidMappings and gidMappings, or a user namespace",
    );
    refused(
        &|m| {
            m["type"] = json!("tmpfs");
            m["options"] = json!([]);
        },
        "mounts[4] /a: only a bind mount can have id maps",
    );
    refused(
        &|m| {
            m["uidMappings"] = json!([{"containerID": 0, "hostID": 0, "size": 9}, {"containerID": 3, "hostID": 20, "size": 1}])
        },
        "mounts[4]: make a user namespace for the id maps of /a: write its uid_map",
    );
}
