//! Nothing lost: the daemon and the supervisor are killed, containers and their words go on.

use std::time::Duration;

use testkit::{Census, Daemon, Ran, wait_for};

/// Prints a number every millisecond or so, then exits with 7.
fn counter(lines: u32) -> String {
    format!("i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo $i; usleep 1000; done; exit 7")
}

#[track_caller]
fn each_line_once(said: &Ran, lines: u32) {
    let numbers: Vec<u32> = said.out.lines().map(|l| l.parse().unwrap_or(0)).collect();
    let first_wrong = numbers.iter().zip(1..).find(|(n, i)| **n != *i);
    assert_eq!(first_wrong, None, "a line was lost or doubled");
    assert_eq!(numbers.len(), lines as usize);
}

fn nap(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

pub(crate) fn daemon_killed_ten_times() {
    let mut d = Daemon::start();
    d.busybox();
    d.berth(&["run", "-d", "--name", "c1", "busybox", "sh", "-c", &counter(3000)]).ok();
    d.berth(&["run", "-di", "--name", "echo", "busybox", "cat"]).ok();
    let pid = d.berth(&["inspect", "-f", "{{.State.Pid}}", "c1"]).ok();
    for _ in 0..10 {
        nap(150);
        d.kill();
        nap(50);
        d.up();
    }
    assert_eq!(d.berth(&["inspect", "-f", "{{.State.Pid}}", "echo"]).code, 0);
    assert_eq!(d.berth(&["wait", "c1"]).ok(), "7", "the true exit code");
    each_line_once(&d.berth(&["logs", "c1"]), 3000);
    assert_ne!(pid, "0");
    d.talk(&["attach", "echo"], b"still there\n", "still there");
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("kill -9");
}

pub(crate) fn supervisor_killed() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["run", "-d", "--name", "c1", "busybox", "sh", "-c", &counter(3000)]).ok();
    d.berth(&["run", "-di", "--name", "echo", "busybox", "cat"]).ok();
    for _ in 0..5 {
        nap(200);
        wait_for("a supervisor", || d.supervisor().is_some());
        let old = d.supervisor().expect("a supervisor");
        kill(old);
        wait_for("a new supervisor", || d.supervisor().is_some_and(|new| new != old));
    }
    let code = d.berth(&["wait", "c1"]).ok();
    each_line_once(&d.berth(&["logs", "c1"]), 3000);
    // PIDFD_GET_INFO tells a non-parent from Linux 6.15 on; before that the code is unknown, which Docker's clients see as 255… never as a wrong one.
    assert!(code == "7" || code == "255", "{code}");
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|n| n.trim().parse::<u32>().unwrap_or(0));
    if (numbers.next(), numbers.next()) >= (Some(6), Some(15)) {
        assert_eq!(code, "7");
    }
    d.talk(&["attach", "echo"], b"still there\n", "still there");
    assert_eq!(d.berth(&["run", "--rm", "busybox", "echo", "new ones start"]).ok(), "new ones start");
    d.berth(&["exec", "echo", "true"]).ok();
}

/// Nobody is left who holds anything of them, but they themselves.
pub(crate) fn both_killed_at_once() {
    let mut d = Daemon::start();
    d.busybox();
    d.berth(&["run", "-d", "--name", "c1", "busybox", "sh", "-c", &counter(3000)]).ok();
    d.berth(&["run", "-di", "--name", "echo", "busybox", "cat"]).ok();
    d.berth(&["run", "-d", "--name", "again", "--restart", "always", "busybox", "sleep", "1000"]).ok();
    let pid = |name: &str| d.berth(&["inspect", "-f", "{{.State.Pid}}", name]).ok();
    let pids = ["c1", "echo", "again"].map(pid);
    for _ in 0..3 {
        nap(200);
        // The daemon's socket is there before its supervisor is.
        wait_for("a supervisor", || d.supervisor().is_some());
        let supervisor = d.supervisor().expect("a supervisor");
        d.kill();
        kill(supervisor);
        nap(200);
        d.up();
    }
    let pid = |name: &str| d.berth(&["inspect", "-f", "{{.State.Pid}}", name]).ok();
    assert_eq!(["c1", "echo", "again"].map(pid), pids);
    d.talk(&["attach", "echo"], b"still there\n", "still there");
    let code = d.berth(&["wait", "c1"]).ok();
    assert!(code == "7" || code == "255", "the true one or none: {code}");
    each_line_once(&d.berth(&["logs", "c1"]), 3000);
    kill(pids[2].parse().expect("a pid"));
    wait_for("the policy", || {
        d.berth(&["exec", "again", "ip", "address", "show", "eth0"]).out.contains("inet ")
    });
}

pub(crate) fn terminal_survives_both() {
    let mut d = Daemon::start();
    d.busybox();
    d.berth(&["run", "-dit", "--name", "t1", "busybox", "sh"]).ok();
    // One after the other: what both hold is lost only when both die before either could be replaced.
    kill(d.supervisor().expect("a supervisor"));
    wait_for("the next supervisor to hold it", || d.berth(&["exec", "t1", "true"]).code == 0);
    d.kill();
    d.up();
    let said = d.feed(&["exec", "-i", "t1", "sh", "-c", "echo to-the-terminal > /dev/console"], b"");
    assert_eq!(said.code, 0, "{}", said.err);
    wait_for("the terminal's output", || d.berth(&["logs", "t1"]).out.contains("to-the-terminal"));
}

pub(crate) fn exits_while_nobody_watched() {
    let mut d = Daemon::start();
    d.busybox();
    d.berth(&[
        "run",
        "-d",
        "--name",
        "c1",
        "-p",
        "18200:80",
        "busybox",
        "sh",
        "-c",
        "sleep 0.5; echo last words; exit 9",
    ])
    .ok();
    d.berth(&["run", "-d", "--rm", "--name", "gone", "busybox", "sleep", "0.5"]).ok();
    d.berth(&[
        "run",
        "-d",
        "--name",
        "again",
        "--restart",
        "on-failure:3",
        "busybox",
        "sh",
        "-c",
        "echo life; sleep 0.2; exit 1",
    ])
    .ok();
    d.kill();
    nap(3000);
    d.up();
    wait_for("the exit to be told", || {
        d.berth(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "c1"]).ok() == "exited 9"
    });
    assert_eq!(d.berth(&["logs", "c1"]).ok(), "last words");
    wait_for("--rm", || d.berth(&["inspect", "gone"]).code == 1);
    wait_for("the policy without a daemon", || d.berth(&["logs", "again"]).out == "life\nlife\nlife\nlife\n");
    let state = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}";
    assert_eq!(d.berth(&["inspect", "-f", state, "again"]).ok(), "exited 1 3");
    d.berth(&["run", "--rm", "-p", "18200:80", "busybox", "true"]).ok();
}

pub(crate) fn restarts_are_counted_once() {
    let mut d = Daemon::start();
    d.busybox();
    let say = "echo life; sleep 0.3; exit 1";
    d.berth(&["run", "-d", "--name", "c1", "--restart", "always", "busybox", "sh", "-c", say]).ok();
    for _ in 0..3 {
        d.kill();
        nap(1200);
        d.up();
    }
    let state = || d.berth(&["inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "c1"]).ok();
    let lives = || d.berth(&["logs", "c1"]).out.lines().count();
    // Between two lives both stand still.
    wait_for("as many restarts as lives", || {
        let before = lives();
        state() == format!("running {}", before - 1) && lives() == before
    });
    d.berth(&["rm", "-f", "c1"]).ok();
}

/// Removed in the very moment in which its policy starts it, a container is gone all the same.
pub(crate) fn removed_while_restarting() {
    let d = Daemon::start();
    d.busybox();
    let empty = Census::of(&d);
    for round in 0..25 {
        let names: Vec<String> = (0..4).map(|n| format!("r{n}")).collect();
        for name in &names {
            d.berth(&[
                "run",
                "-d",
                "--name",
                name,
                "--restart",
                "always",
                "--network",
                "none",
                "busybox",
                "sleep",
                "0",
            ])
            .ok();
        }
        nap(60 + round * 4);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        d.berth(&[&["rm", "-f"], &names[..]].concat()).ok();
    }
    wait_for("nothing to be left", || Census::of(&d) == empty);
    assert!(empty.is_empty(), "{empty:?}");
}

pub(crate) fn published_port_keeps_answering() {
    let mut d = Daemon::start();
    d.busybox();
    d.berth(&[
        "run",
        "-d",
        "--name",
        "s1",
        "-p",
        "18300:80",
        "busybox",
        "sh",
        "-c",
        "nc -ll -p 80 -e /bin/echo pong",
    ])
    .ok();
    let ask = || {
        let address = "127.0.0.1:18300".parse().unwrap();
        let stream = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut &stream, &mut text).ok()?;
        Some(text)
    };
    wait_for("the first answer", || ask().as_deref() == Some("pong\n"));
    for _ in 0..3 {
        d.kill();
        for _ in 0..10 {
            assert_eq!(ask().as_deref(), Some("pong\n"), "while no daemon runs");
        }
        d.up();
        assert_eq!(ask().as_deref(), Some("pong\n"), "after the new one came");
    }
    kill(d.supervisor().expect("a supervisor"));
    assert_eq!(ask().as_deref(), Some("pong\n"), "while no supervisor runs");
}

/// The database is gone or rubbish: containers, running or not, are known by the copies of their records.
pub(crate) fn database_lost() {
    let mut d = Daemon::start();
    d.busybox();
    let serve = "echo mine > /marker; while true; do echo here | nc -l -p 80; done";
    d.berth(&["run", "-d", "--name", "web", "-p", "18201:80", "busybox", "sh", "-c", serve]).ok();
    d.berth(&["run", "-d", "--rm", "--name", "brief", "busybox", "sleep", "1000"]).ok();
    d.berth(&["create", "--name", "made", "busybox", "echo", "made"]).ok();
    let pid = d.berth(&["inspect", "-f", "{{.State.Pid}}", "web"]).ok();
    for rubbish in [None, Some("this is no database")] {
        d.kill();
        for tail in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(d.data_root().join(format!("berth.db{tail}")));
        }
        if let Some(text) = rubbish {
            std::fs::write(d.data_root().join("berth.db"), text).unwrap();
        }
        d.up();
        assert_eq!(d.berth(&["inspect", "-f", "{{.State.Pid}}", "web"]).ok(), pid, "{rubbish:?}");
        assert_eq!(d.berth(&["exec", "web", "cat", "/marker"]).ok(), "mine");
        let mut said = String::new();
        let answer = std::net::TcpStream::connect("127.0.0.1:18201");
        std::io::Read::read_to_string(&mut answer.expect("the published port"), &mut said).unwrap();
        assert_eq!(said, "here\n");
        let names = d.berth(&["ps", "-a", "--format", "{{.Names}}: {{.State}}"]).ok();
        assert_eq!(names, "made: created\nbrief: running\nweb: running");
        assert_eq!(d.log().matches("its copy was taken").count(), if rubbish.is_some() { 6 } else { 3 });
        assert_eq!(d.berth(&["run", "--rm", "busybox", "echo", "well"]).ok(), "well");
    }
    assert_eq!(d.berth(&["start", "-a", "made"]).ok(), "made");
    d.berth(&["stop", "-t", "0", "brief"]).ok();
    wait_for("--rm", || d.berth(&["inspect", "brief"]).code == 1);
}

/// A creation that the daemon did not live to finish goes with the volume it had made; one that was removed without its volume
/// left that to whoever wants it.
pub(crate) fn half_made_creation() {
    let mut d = Daemon::start();
    d.busybox();
    d.berth(&["create", "--name", "kept", "-v", "/data", "busybox"]).ok();
    d.berth(&["rm", "kept"]).ok();
    let kept = d.berth(&["volume", "ls", "-q"]).ok();
    d.kill();
    let (id, volume) = ("ab".repeat(32), "cd".repeat(32));
    let directory = d.data_root().join("containers").join(&id);
    std::fs::create_dir(&directory).unwrap();
    let home = d.data_root().join("volumes").join(&volume);
    std::fs::create_dir_all(home.join("_data")).unwrap();
    let note = format!(r#"{{"name":"{volume}","created":"","anonymous":true,"container":"{id}"}}"#);
    std::fs::write(home.join("volume.json"), note).unwrap();
    d.up();
    assert_eq!(d.berth(&["volume", "ls", "-q"]).ok(), kept);
    assert!(!directory.exists() && !home.exists());
}

/// What another version wrote, perhaps: the container is not shown, but goes on, and is back when its record can be read.
pub(crate) fn unreadable_record() {
    let mut d = Daemon::start();
    d.busybox();
    let id = d
        .berth(&["run", "-d", "--name", "c1", "busybox", "sh", "-c", "echo mine > /marker; sleep 1000"])
        .ok();
    let pid = d.berth(&["inspect", "-f", "{{.State.Pid}}", "c1"]).ok();
    let record = d.data_root().join("containers").join(&id).join("record.json");
    let good = std::fs::read(&record).unwrap();
    d.kill();
    for tail in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(d.data_root().join(format!("berth.db{tail}")));
    }
    std::fs::write(&record, r#"{"id":{"from":"tomorrow"}}"#).unwrap();
    d.up();
    assert_eq!(d.berth(&["inspect", "c1"]).code, 1);
    assert!(d.log().contains("it is left alone"), "{}", d.log());
    d.kill();
    std::fs::write(&record, good).unwrap();
    d.up();
    assert_eq!(d.berth(&["inspect", "-f", "{{.State.Pid}}", "c1"]).ok(), pid);
    assert_eq!(d.berth(&["exec", "c1", "cat", "/marker"]).ok(), "mine");
}
