//! Every step of a start fails once; afterwards the host is as it was.

use testkit::{Census, Daemon, wait_for};

pub(crate) fn every_step_of_a_start() {
    let d = Daemon::start();
    d.busybox();
    let empty = Census::of(&d);
    let mut failures = 0;
    for step in 1.. {
        assert!(step < 500, "the last step is never reached");
        let label = format!("berth.fault-step={step}");
        let said = d.berth(&[
            "run",
            "--rm",
            "--annotation",
            &label,
            "-p",
            "18400:80",
            "-v",
            "/v",
            "--memory",
            "64m",
            "busybox",
            "true",
        ]);
        if said.code == 0 {
            break;
        }
        failures += 1;
        assert!(matches!(said.code, 125..=127), "step {step}: {} {}", said.code, said.err);
        assert!(said.err.contains("fault"), "step {step}: {}", said.err);
        wait_for(&format!("nothing to be left of step {step}"), || Census::of(&d) == empty);
    }
    assert!(failures > 30, "only {failures} steps failed: is the fault loop built in?");
    assert_eq!(d.berth(&["ps", "-aq"]).ok(), "");
    assert_eq!(d.berth(&["volume", "ls", "-q"]).ok(), "");
}
