//! What a container wrote: told, written out, made an image of; and nothing half done when the daemon is killed in between.

use std::fs;
use std::process::Command;
use std::time::Duration;

use testkit::{Daemon, is_reference, tar_of, wait_for};

const BASE: &[(&str, &[u8], u32)] = &[
    ("d/", b"", 0o755),
    ("d/one", b"1", 0o644),
    ("d/sub/", b"", 0o755),
    ("d/sub/two", b"2", 0o644),
    ("e/", b"", 0o755),
    ("e/h", b"h", 0o644),
    ("f/", b"", 0o755),
    ("f/file", b"f", 0o644),
    ("g", b"g", 0o644),
];
const ACTS: &str = "echo n > /new; touch /etc/passwd; rm -r /d; mkdir /d; echo z > /d/z; rm -r /f; echo file > /f; rm /g; mkdir /g; \
    echo k > /g/k; rm /e/h; mkdir -p /q/w; echo e > /q/w/e; ln /q/w/e /q/w/f; mkdir /bin/x; chmod 700 /tmp; mknod /q/p p; \
    ln -s aaa /q/s; echo v > /vol/data/v; mkdir /gone; rmdir /gone";
/// As dockerd tells it, sorted by path.
const CHANGES: &str = "A /bin/x|A /d/z|A /g/k|A /new|A /q|A /q/p|A /q/s|A /q/w|A /q/w/e|A /q/w/f|A /vol|A /vol/data|C /bin|C /d|C /e|C /etc|C /etc/passwd|C /f|C /g|C /tmp|D /d/one|D /d/sub|D /e/h";

/// A daemon with an image `base:1`, and the container `c1` that changed it.
fn changed() -> Daemon {
    let d = Daemon::start();
    d.busybox();
    // One tree on the other: the busybox image with more files in it.
    d.berth(&["create", "--name", "make", "busybox", "true"]).ok();
    let exported = export(&d, "make");
    let mut all = tar::Builder::new(Vec::new());
    for archive in [exported.as_slice(), tar_of(BASE).as_slice()] {
        for entry in tar::Archive::new(archive).entries().unwrap() {
            let entry = entry.unwrap();
            let mut header = entry.header().clone();
            let path = entry.path().unwrap().into_owned();
            let known = [
                "dev",
                "proc",
                "sys",
                "etc/hosts",
                "etc/hostname",
                "etc/resolv.conf",
                "etc/mtab",
                ".dockerenv",
            ];
            if known.iter().any(|name| path.starts_with(name)) {
                continue;
            }
            match entry.link_name().unwrap() {
                Some(link) => all.append_link(&mut header, &path, &link).unwrap(),
                None => all.append_data(&mut header, &path, entry).unwrap(),
            }
        }
    }
    let tar = all.into_inner().unwrap();
    assert_eq!(d.feed(&["import", "-c", "CMD [\"sh\"]", "-", "base:1"], &tar).code, 0);
    d.berth(&["run", "--name", "c1", "-v", "v1:/vol/data", "base:1", "sh", "-c", ACTS]).ok();
    d
}

fn export(d: &Daemon, name: &str) -> Vec<u8> {
    let said = d.command(&["export", name]).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    said.stdout
}

/// Every name of an archive, with what it is.
fn listed(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(archive);
    let line = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let entry = entry.unwrap();
        let header = entry.header();
        let link = entry.link_name().unwrap().map(|link| link.display().to_string()).unwrap_or_default();
        let path = entry.path().unwrap().display().to_string();
        format!(
            "{path} {:?} {:o} {} {link}",
            header.entry_type(),
            header.mode().unwrap() & 0o7777,
            entry.size()
        )
    };
    let mut lines: Vec<String> = archive.entries().unwrap().map(line).collect();
    lines.sort();
    lines
}

pub(crate) fn changes_are_told() {
    let d = changed();
    let mut lines: Vec<String> = d.berth(&["diff", "c1"]).ok().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines.join("|"), CHANGES);
    d.berth(&["run", "--name", "c2", "base:1", "cat", "/etc/passwd"]).ok();
    assert_eq!(d.berth(&["diff", "c2"]).ok(), "");
    let missing = d.berth(&["diff", "nope"]);
    assert!(missing.code == 1 && missing.err.contains("No such container: nope"), "{}", missing.err);
}

pub(crate) fn an_image_of_a_container() {
    let d = changed();
    let words = ["commit", "-a", "me", "-m", "a note", "-c", "ENV A=b", "-c", "LABEL l=m", "c1", "made:1"];
    let id = d.berth(&words).ok();
    assert!(id.starts_with("sha256:"), "{id}");
    let see = |format: &str| d.berth(&["image", "inspect", "-f", format, "made:1"]).ok();
    assert_eq!(see("{{.Id}}"), id);
    assert_eq!(
        see("{{.Author}} {{.Comment}} {{.Config.Env}} {{.Config.Labels}}"),
        "me a note [A=b] map[l:m]"
    );
    assert_eq!(see("{{json .Config.Cmd}}"), serde_json::to_string(&["sh", "-c", ACTS]).unwrap());
    let history =
        d.berth(&["history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}", "made:1"]).ok();
    assert_eq!(history.lines().next(), Some(format!("sh -c {ACTS}|a note").as_str()));
    assert_eq!(history.lines().count(), 2);
    let census = "cat /new /d/z /f /g/k /q/w/f; ls /d /e /g /q /q/w; stat -c %a /tmp; ls /vol/data | wc -l";
    let told = d.berth(&["run", "--rm", "made:1", "sh", "-c", census]).ok();
    assert_eq!(
        told.split_whitespace().collect::<Vec<_>>().join(" "),
        "n z file k e /d: z /e: /g: k /q: p s w /q/w: e f 700 0"
    );
    // An entrypoint takes the command away; a second commit of the same is the same layer.
    d.berth(&["commit", "-c", "ENTRYPOINT [\"/bin/echo\", \"hi\"]", "c1", "made:2"]).ok();
    assert_eq!(d.berth(&["run", "--rm", "made:2"]).ok(), "hi");
    let layers = |name: &str| d.berth(&["image", "inspect", "-f", "{{json .RootFS.Layers}}", name]).ok();
    assert_eq!(layers("made:1"), layers("made:2"));
    // A container that changed nothing gives an image of the same layers.
    d.berth(&["run", "--name", "c2", "base:1", "true"]).ok();
    d.berth(&["commit", "c2", "same:1"]).ok();
    if !is_reference() {
        assert_eq!(layers("same:1"), layers("base:1"));
    }
}

pub(crate) fn running_containers_are_committed() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&[
        "run",
        "-d",
        "--name",
        "c1",
        "busybox",
        "sh",
        "-c",
        "while :; do date +%N > /tick; usleep 1000; done",
    ])
    .ok();
    let status = || d.berth(&["inspect", "-f", "{{.State.Status}}", "c1"]).ok();
    wait_for("its first file", || d.berth(&["exec", "c1", "cat", "/tick"]).code == 0);
    for (pause, name) in [("--pause=true", "paused"), ("--pause=false", "running")] {
        d.berth(&["commit", pause, "c1", name]).ok();
        assert_eq!(status(), "running");
        d.berth(&["run", "--rm", name, "cat", "/tick"]).ok();
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let until = (now + 1).to_string();
    let events = d
        .berth(&[
            "events",
            "--since",
            "1h",
            "--until",
            &until,
            "--filter",
            "container=c1",
            "--format",
            "{{.Action}}",
        ])
        .ok();
    let told: Vec<&str> =
        events.lines().filter(|line| ["pause", "unpause", "commit"].contains(line)).collect();
    // Docker lets it go only when the image is there.
    let wanted = match is_reference() {
        true => ["pause", "commit", "unpause", "commit"],
        false => ["pause", "unpause", "commit", "commit"],
    };
    assert_eq!(told, wanted);
    d.berth(&["pause", "c1"]).ok();
    d.berth(&["commit", "c1", "frozen"]).ok();
    assert_eq!(status(), "paused", "one that was paused stays so");
    d.berth(&["rm", "-f", "c1"]).ok();
}

pub(crate) fn roots_are_exported() {
    let d = changed();
    let stopped = listed(&export(&d, "c1"));
    for line in [
        "new Regular 644 2 ",
        "q/p Fifo 644 0 ",
        "q/s Symlink 777 0 aaa",
        "q/w/f Link 644 0 q/w/e",
        "tmp/ Directory 700 0 ",
    ] {
        assert!(stopped.iter().any(|known| known == line), "{line:?} is not in {stopped:#?}");
    }
    let gone = ["d/one", "e/h", "f/", "vol/data/v", ".wh."];
    assert!(!stopped.iter().any(|line| gone.iter().any(|name| line.starts_with(name))), "{stopped:#?}");
    d.berth(&["commit", "c1", "made:1"]).ok();
    d.berth(&["run", "-d", "--name", "c2", "made:1", "sleep", "1000"]).ok();
    let same = |lines: &[String]| {
        lines.iter().filter(|l| !l.starts_with("dev/") && !l.starts_with("etc/")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(same(&listed(&export(&d, "c2"))), same(&stopped), "of a running one");
    let file = d.directory().join("c1.tar");
    d.berth(&["export", "-o", &file.display().to_string(), "c1"]).ok();
    assert_eq!(d.feed(&["import", "-", "flat:1"], &fs::read(&file).unwrap()).code, 0);
    assert_eq!(d.berth(&["run", "--rm", "flat:1", "cat", "/q/w/f"]).ok(), "e");
    let missing = d.berth(&["export", "nope"]);
    assert!(missing.code == 1 && missing.err.contains("No such container: nope"), "{}", missing.err);
    d.berth(&["rm", "-f", "c2"]).ok();
}

pub(crate) fn nonsense_is_refused() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["create", "--name", "c1", "busybox", "true"]).ok();
    for (words, sentence) in [
        (vec!["commit", "nope"], "No such container: nope"),
        (vec!["commit", "c1", "UPPER"], "repository name (library/UPPER) must be lowercase"),
        (vec!["commit", "-c", "RUN ls", "c1"], "run is not a valid change command"),
        (
            vec!["commit", "c1", "a@sha256:0000000000000000000000000000000000000000000000000000000000000000"],
            "refusing to create a tag with a digest reference",
        ),
    ] {
        let said = d.berth(&words);
        assert_eq!(said.code, 1, "{words:?}: {}", said.out);
        assert!(said.err.contains(sentence), "{words:?}: {}", said.err);
    }
    assert_eq!(d.berth(&["images", "-q"]).ok().lines().count(), 1, "none of them made an image");
}

/// What is below a directory, by name; nothing when it is not there.
fn entries(d: &Daemon, place: &str) -> Vec<String> {
    let found = fs::read_dir(d.data_root().join(place)).into_iter().flatten().flatten();
    found.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

pub(crate) fn killed_while_it_commits() {
    let mut d = Daemon::start();
    d.busybox();
    let fill = "dd if=/dev/urandom of=/big bs=1M count=24 2>/dev/null; mkdir /many; i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo $i > /many/$i; done; exec sleep 1000";
    d.berth(&["run", "-d", "--name", "c1", "busybox", "sh", "-c", fill]).ok();
    wait_for("its files", || d.berth(&["exec", "c1", "test", "-e", "/many/500"]).code == 0);
    let kept = (entries(&d, "blobs/sha256").len(), entries(&d, "overlay/l").len());
    for round in 0..12 {
        let mut commit: Command = d.command(&["commit", "c1", "half"]);
        let mut client =
            commit.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(3 + round * 45));
        d.kill();
        let _ = client.wait();
        d.up();
        wait_for("the container to go on", || {
            d.berth(&["inspect", "-f", "{{.State.Status}}", "c1"]).ok() == "running"
        });
        assert_eq!(entries(&d, "ingest"), Vec::<String>::new(), "round {round}");
        // All or nothing: an image that is there works.
        if d.berth(&["image", "inspect", "half"]).code == 0 {
            assert_eq!(d.berth(&["run", "--rm", "half", "cat", "/many/500"]).ok(), "500");
            d.berth(&["rmi", "half"]).ok();
        }
        let now = (entries(&d, "blobs/sha256").len(), entries(&d, "overlay/l").len());
        assert_eq!(now, kept, "round {round} left something");
    }
    assert_eq!(d.berth(&["exec", "c1", "cat", "/many/7"]).ok(), "7");
    d.berth(&["rm", "-f", "c1"]).ok();
}
