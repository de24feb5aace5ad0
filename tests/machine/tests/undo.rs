//! Every step of a start fails once; afterwards the host is as it was.

use testkit::{Census, Daemon, wait_for};

/// The engine's own steps, by name; those of the plan have numbers.
const ENGINE: [&str; 6] = ["look up", "plan", "claim", "publish", "files", "supervisor"];

/// Starts a container with this annotation; true when it failed on purpose and nothing is left of it.
fn fails(d: &Daemon, annotation: &str, empty: &Census) -> bool {
    let words = [
        "run",
        "--rm",
        "--annotation",
        annotation,
        "-p",
        "18400:80",
        "-v",
        "/v",
        "--memory",
        "64m",
        "busybox",
        "true",
    ];
    let said = d.berth(&words);
    if said.code == 0 {
        return false;
    }
    assert!(matches!(said.code, 125..=127), "{annotation}: {} {}", said.code, said.err);
    assert!(said.err.contains("fault"), "{annotation}: {}", said.err);
    wait_for(&format!("nothing to be left after {annotation}"), || Census::of(d) == *empty);
    true
}

pub(crate) fn every_step_of_a_start() {
    let d = Daemon::start();
    d.busybox();
    let empty = Census::of(&d);
    for step in ENGINE {
        assert!(
            fails(&d, &format!("berth.fault-engine-step={step}"), &empty),
            "the step {step:?} did not fail"
        );
    }
    let steps = (0..500).take_while(|step| fails(&d, &format!("berth.fault-step={step}"), &empty)).count();
    assert!((30..500).contains(&steps), "{steps} steps failed");
    assert_eq!(d.berth(&["ps", "-aq"]).ok(), "");
    assert_eq!(d.berth(&["volume", "ls", "-q"]).ok(), "");
    assert!(empty.is_empty(), "{empty:?}");
}
