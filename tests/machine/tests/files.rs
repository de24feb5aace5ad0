//! Mounts: what a container sees of the host, and what it leaves there.

use std::fs;

use testkit::Daemon;

use crate::bundle_mounts::Mounted;

pub(crate) fn bind_mounts() {
    let d = Daemon::start();
    d.busybox();
    let host = d.directory().join("shared");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("in"), "from the host").unwrap();
    let spec = format!("{}:/data", host.display());
    assert_eq!(
        d.berth(&["run", "--rm", "-v", &spec, "busybox", "sh", "-c", "cat /data/in; echo back > /data/out"])
            .ok(),
        "from the host"
    );
    assert_eq!(fs::read_to_string(host.join("out")).unwrap(), "back\n");
    let read_only = d.berth(&["run", "--rm", "-v", &format!("{spec}:ro"), "busybox", "touch", "/data/x"]);
    assert!(read_only.err.contains("Read-only"), "{}", read_only.err);
    let file = format!("type=bind,source={},target=/etc/one,readonly", host.join("in").display());
    assert_eq!(
        d.berth(&["run", "--rm", "--mount", &file, "busybox", "cat", "/etc/one"]).ok(),
        "from the host"
    );
    let missing =
        d.berth(&["run", "--rm", "--mount", "type=bind,source=/no/such/path,target=/x", "busybox", "true"]);
    assert_eq!(missing.code, 125);
    assert!(missing.err.contains("bind source path does not exist"), "{}", missing.err);
    assert!(
        fs::read_to_string("/proc/self/mountinfo").unwrap().lines().all(|l| !l.contains("/data")),
        "the host sees no mount"
    );
}

/// Mounts that come later reach the other side as far as the bind's word says.
pub(crate) fn mounts_travel_through_binds() {
    let d = Daemon::start();
    d.busybox();
    let host = d.directory().join("shared");
    fs::create_dir(&host).unwrap();
    let mut mounted = Mounted::new();
    mounted.add(&["-t", "tmpfs", "shared"], &host);
    mounted.add(&["--make-shared"], &host);
    for (word, into, out) in [("rprivate", false, false), ("rslave", true, false), ("rshared", true, true)] {
        let (there, back) = (host.join(format!("{word}-in")), host.join(format!("{word}-out")));
        fs::create_dir(&there).unwrap();
        fs::create_dir(&back).unwrap();
        let spec = format!("{}:/data:{word}", host.display());
        d.berth(&["run", "-d", "--name", word, "--privileged", "-v", &spec, "busybox", "sleep", "1000"]).ok();
        mounted.add(&["-t", "tmpfs", "later"], &there);
        let seen = d.berth(&["exec", word, "cat", "/proc/self/mountinfo"]).ok();
        let at = |table: &str, place: &str| table.lines().any(|line| line.split(' ').nth(4) == Some(place));
        assert_eq!(at(&seen, &format!("/data/{word}-in")), into, "{word}: {seen}");
        d.berth(&["exec", word, "mount", "-t", "tmpfs", "back", &format!("/data/{word}-out")]).ok();
        let reached = at(&fs::read_to_string("/proc/self/mountinfo").unwrap(), &back.display().to_string());
        assert_eq!(reached, out, "{word}");
        if reached {
            assert!(std::process::Command::new("umount").arg(&back).status().unwrap().success());
        }
        d.berth(&["rm", "-f", word]).ok();
    }
}

pub(crate) fn volumes_outlive_containers() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["run", "--rm", "-v", "kept:/v", "busybox", "sh", "-c", "echo 1 > /v/f"]).ok();
    assert_eq!(d.berth(&["run", "--rm", "-v", "kept:/v:ro", "busybox", "cat", "/v/f"]).ok(), "1");
    assert!(d.berth(&["volume", "ls", "-q"]).ok().lines().any(|l| l == "kept"));
    d.berth(&["create", "--name", "user", "-v", "kept:/v", "busybox", "true"]).ok();
    let used = d.berth(&["volume", "rm", "kept"]);
    assert_eq!(used.code, 1);
    assert!(used.err.contains("volume is in use"), "{}", used.err);
    d.berth(&["rm", "user"]).ok();
    d.berth(&["volume", "rm", "kept"]).ok();
}

pub(crate) fn image_volumes_are_filled() {
    let d = Daemon::start();
    let said = d.feed(&["import", "-c", "VOLUME /etc", "-", "withvolume"], &testkit::busybox_tar());
    assert_eq!(said.code, 0, "{}", said.err);
    d.berth(&["run", "-d", "--name", "v1", "withvolume", "sleep", "100"]).ok();
    assert!(d.berth(&["exec", "v1", "cat", "/etc/passwd"]).ok().contains("alice"), "copied from the image");
    let volumes = d.berth(&["volume", "ls", "-q"]).ok();
    assert_eq!(volumes.len(), 64, "one anonymous volume: {volumes}");
    d.berth(&["rm", "-f", "-v", "v1"]).ok();
    assert_eq!(d.berth(&["volume", "ls", "-q"]).ok(), "");
    d.berth(&["run", "--rm", "withvolume", "true"]).ok();
    assert_eq!(d.berth(&["volume", "ls", "-q"]).ok(), "", "--rm takes anonymous volumes along");
}

pub(crate) fn tmpfs_mounts() {
    let d = Daemon::start();
    d.busybox();
    let said = d
        .berth(&[
            "run",
            "--rm",
            "--tmpfs",
            "/t:size=1m,mode=1777",
            "busybox",
            "sh",
            "-c",
            "grep ' /t ' /proc/mounts; dd if=/dev/zero of=/t/x bs=1k count=2048 2>&1 | grep -c 'No space'",
        ])
        .ok();
    assert!(said.contains("tmpfs /t tmpfs") && said.contains("size=1024k") && said.ends_with('1'), "{said}");
    let shm = d.berth(&["run", "--rm", "busybox", "grep", " /dev/shm ", "/proc/mounts"]).ok();
    assert!(shm.contains("size=65536k"), "{shm}");
}

pub(crate) fn read_only_root() {
    let d = Daemon::start();
    d.busybox();
    let said = d.berth(&[
        "run",
        "--rm",
        "--read-only",
        "--tmpfs",
        "/tmp",
        "busybox",
        "sh",
        "-c",
        "touch /x; touch /tmp/x && echo tmp",
    ]);
    assert!(said.err.contains("Read-only"), "{}", said.err);
    assert_eq!(said.out, "tmp\n");
}

pub(crate) fn writes_stay_in_the_container() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["run", "--rm", "busybox", "sh", "-c", "echo changed > /etc/passwd; rm -r /home"]).ok();
    assert!(d.berth(&["run", "--rm", "busybox", "cat", "/etc/passwd"]).ok().contains("alice"));
    d.berth(&["run", "--name", "w1", "busybox", "sh", "-c", "echo kept >> /etc/motd"]).ok();
    d.berth(&["start", "-a", "w1"]).ok();
    let out = d.berth(&["create", "--name", "z1", "busybox", "cat", "/etc/motd"]).ok();
    assert_eq!(d.berth(&["start", "-a", &out]).code, 1, "another container does not see it");
}

/// Image paths that point outside: nothing on the host is made or mounted (CVE-2018-15664, CVE-2021-30465 family).
pub(crate) fn hostile_targets() {
    let d = Daemon::start();
    let canary = d.directory().join("canary");
    fs::create_dir(&canary).unwrap();
    let link = format!("-> {}", canary.display());
    let busybox = fs::read("/bin/busybox").or_else(|_| fs::read("/usr/bin/busybox")).unwrap();
    let tar = testkit::tar_of(&[
        ("bin/", b"", 0o755),
        ("bin/busybox", &busybox, 0o755),
        ("evil", link.as_bytes(), 0o777),
        ("up", b"-> ../../../../..", 0o777),
    ]);
    let said = d.feed(&["import", "-", "hostile"], &tar);
    assert_eq!(said.code, 0, "{}", said.err);
    let run = d.berth(&[
        "run",
        "--rm",
        "--tmpfs",
        "/evil/made",
        "-w",
        "/evil/work",
        "-v",
        "v:/up/tmp/deep",
        "hostile",
        "/bin/busybox",
        "true",
    ]);
    assert!(run.code == 0 || run.code >= 125, "{} {}", run.code, run.err);
    assert_eq!(fs::read_dir(&canary).unwrap().count(), 0, "the canary is untouched");
}
