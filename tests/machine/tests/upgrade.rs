//! The supervisor replaces itself in place: same pid, children and descriptors kept.

use testkit::{Daemon, wait_for};

fn upgrade(d: &Daemon) {
    let before = d.supervisor().expect("a supervisor");
    let program = std::env::var_os("BERTH_RUNTIME").unwrap_or_else(|| "berth-runtime".into());
    let mut ask = std::process::Command::new(&program);
    ask.arg("supervisor").arg("--root").arg(d.exec_root()).arg("--upgrade").arg(&program);
    let asked = ask.output().expect("berth-runtime");
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    wait_for("the same supervisor", || d.supervisor() == Some(before));
}

pub(crate) fn in_place_with_a_terminal() {
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
        "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo $i; usleep 1000; done; exit 7",
    ])
    .ok();
    d.berth(&["run", "-dit", "--name", "t1", "busybox", "sh", "-c", "read line; echo got:$line; exit 5"])
        .ok();
    for _ in 0..5 {
        upgrade(&d);
    }
    assert_eq!(d.berth(&["wait", "c1"]).ok(), "7");
    let text = d.berth(&["logs", "c1"]).ok();
    let numbers: Vec<u32> = text.lines().map(|l| l.parse().unwrap_or(0)).collect();
    assert_eq!(numbers, (1..=2000).collect::<Vec<_>>());
    d.berth(&["exec", "t1", "true"]).ok();
    d.berth(&["kill", "t1"]).ok();
    assert_eq!(d.berth(&["wait", "t1"]).ok(), "137", "it is still the parent");
}

pub(crate) fn in_place_with_a_hundred() {
    let d = Daemon::start();
    d.busybox();
    let ids: Vec<String> = (0..100)
        .map(|_| d.berth(&["run", "-d", "--network", "none", "busybox", "sleep", "1000"]).ok())
        .collect();
    upgrade(&d);
    assert_eq!(d.berth(&["ps", "-q"]).ok().lines().count(), 100);
    let all: Vec<&str> = ids.iter().map(String::as_str).collect();
    d.berth(&[&["kill"], all.as_slice()].concat()).ok();
    let codes = d.berth(&[&["wait"], all.as_slice()].concat()).ok();
    assert!(codes.lines().count() == 100 && codes.lines().all(|c| c == "137"), "{codes}");
}
