//! `berth logs`: what was said, all of it, in order.

use testkit::{Daemon, wait_for};

pub(crate) fn streams_and_tail() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&[
        "run",
        "--name",
        "c1",
        "busybox",
        "sh",
        "-c",
        "for i in 1 2 3 4 5; do echo $i; done; sleep 0.2; echo bad >&2",
    ])
    .ok();
    let said = d.berth(&["logs", "c1"]);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("1\n2\n3\n4\n5\n", "bad\n"));
    assert_eq!(d.berth(&["logs", "--tail", "3", "c1"]).out, "4\n5\n", "the third is on stderr");
    assert_eq!(d.berth(&["logs", "--tail", "0", "c1"]).out, "");
    let none = d.berth(&["logs", "nothing"]);
    assert_eq!(none.code, 1);
}

pub(crate) fn follow_until_the_end() {
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
        "for i in $(seq 1 50); do echo $i; sleep 0.01; done",
    ])
    .ok();
    let text = d.berth(&["logs", "-f", "c1"]).ok();
    assert_eq!(
        text.lines().map(|l| l.parse::<u32>().unwrap()).collect::<Vec<_>>(),
        (1..=50).collect::<Vec<_>>()
    );
}

pub(crate) fn timestamps_and_since() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["run", "--name", "c1", "busybox", "sh", "-c", "echo one; sleep 1.2; echo two"]).ok();
    let text = d.berth(&["logs", "-t", "c1"]).ok();
    let stamps: Vec<&str> = text.lines().filter_map(|l| l.split_once(' ').map(|(t, _)| t)).collect();
    assert!(stamps.iter().all(|t| t.ends_with('Z') && t.contains('T')), "{text}");
    assert_eq!(d.berth(&["logs", "--since", stamps[1], "c1"]).out, "two\n");
    assert_eq!(d.berth(&["logs", "--until", stamps[0], "c1"]).out, "one\n");
}

pub(crate) fn rotation_is_bounded() {
    let d = Daemon::start();
    d.busybox();
    let id = d
        .berth(&[
            "run",
            "-d",
            "--name",
            "c1",
            "--log-opt",
            "max-size=20k",
            "--log-opt",
            "max-file=3",
            "busybox",
            "sh",
            "-c",
            "for i in $(seq 1 3000); do echo line $i; done",
        ])
        .ok();
    d.berth(&["wait", "c1"]).ok();
    let directory = d.data_root().join("containers").join(&id);
    let logs = std::fs::read_dir(directory)
        .unwrap()
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().contains("json.log"));
    let sizes: Vec<u64> = logs.map(|e| e.metadata().unwrap().len()).collect();
    assert!(sizes.len() == 3 && sizes.iter().all(|s| *s <= 21_000), "{sizes:?}");
    let text = d.berth(&["logs", "c1"]).ok();
    let numbers: Vec<u32> = text.lines().map(|l| l.trim_start_matches("line ").parse().unwrap()).collect();
    assert_eq!(numbers.last(), Some(&3000));
    assert!(numbers.windows(2).all(|w| w[1] == w[0] + 1), "no gap and no double within what is kept");
}

pub(crate) fn partial_lines() {
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
        "printf no-newline; printf '\\377\\n'; head -c 40000 /dev/zero | tr '\\0' x; echo",
    ])
    .ok();
    d.berth(&["wait", "c1"]).ok();
    wait_for("the log", || {
        let text = d.berth(&["logs", "c1"]).out;
        text.starts_with("no-newline") && text.lines().nth(1).is_some_and(|l| l.len() == 40000)
    });
}

/// A disk without room costs entries, and nothing else: no container waits or dies, what fits is there, and it goes on when there is room.
pub(crate) fn full_disk() {
    let small = std::env::temp_dir().join(format!("{}logs", testkit::mark()));
    std::fs::create_dir_all(&small).unwrap();
    let path = small.to_str().unwrap().to_owned();
    let run = |words: &[&str]| std::process::Command::new(words[0]).args(&words[1..]).status().unwrap();
    assert!(run(&["mount", "-t", "tmpfs", "-o", "size=96m,nr_inodes=4000", "full", &path]).success());
    {
        let d = Daemon::start_with(&["--data-root", &format!("{path}/data")], &[]);
        d.busybox();
        let supervisor = d.supervisor();
        let say = "i=0; while :; do i=$((i+1)); echo line $i; usleep 2000; done";
        for (name, size) in [("short", "4k"), ("long", "100m")] {
            let limit = format!("max-size={size}");
            let flags = ["run", "-d", "--name", name, "--log-opt", &limit, "--log-opt", "max-file=9"];
            d.berth(&[&flags[..], &["busybox", "sh", "-c", say]].concat()).ok();
        }
        let last = |name: &str| -> u32 {
            let text = d.berth(&["logs", "--tail", "1", name]).out;
            text.trim().trim_start_matches("line ").parse().unwrap_or(0)
        };
        wait_for("lines", || last("short") > 50 && last("long") > 50);
        // Neither a block nor an inode is left; the logs are to be rotated meanwhile. The daemon may give up its ballast: again.
        let fill = |round: u32| {
            let junk = format!("{path}/junk{round}-");
            let script = format!(
                "i=0; while true > {junk}$i; do i=$((i+1)); done; dd if=/dev/zero of={junk}0 bs=4k; true"
            );
            std::process::Command::new("sh").args(["-c", &script]).output().unwrap()
        };
        for round in 0..10 {
            let filled = fill(round);
            assert!(String::from_utf8_lossy(&filled.stderr).contains("No space left"));
            std::thread::sleep(std::time::Duration::from_millis(150));
        }
        for name in ["short", "long"] {
            assert_eq!(
                d.berth(&["inspect", "-f", "{{.State.Running}}", name]).ok(),
                "true",
                "while it is full"
            );
        }
        let full = [last("short"), last("long")];
        assert!(run(&["sh", "-c", &format!("rm {path}/junk*")]).success());
        wait_for("lines after it was full", || last("short") > full[0] + 400 && last("long") > full[1] + 400);
        for name in ["short", "long"] {
            d.berth(&["kill", name]).ok();
            let text = d.berth(&["logs", name]).out;
            let numbers: Vec<u32> =
                text.lines().map(|l| l.trim_start_matches("line ").parse().unwrap()).collect();
            assert!(numbers.windows(2).all(|w| w[0] < w[1]), "whole lines, in order, none twice");
            assert!(name == "short" || numbers.windows(2).any(|w| w[0] + 1 < w[1]), "it was full");
        }
        assert_eq!(d.supervisor(), supervisor);
    }
    assert!(run(&["umount", &path]).success());
    std::fs::remove_dir(&small).unwrap();
}
