//! The Python client of Docker (PyPI: docker), in a virtual environment of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use testkit::Daemon;

const SCRIPT: &str = include_str!("docker_py.py");

/// A virtual environment with the client in it, made once.
pub(crate) fn environment() -> &'static Path {
    let environment = Path::new("/var/tmp/berth-test-python");
    if !environment.join("ready").exists() {
        // PyPI is reached from the machine's first network namespace only.
        let script = "python3 -m venv \"$0\" && nsenter --net=\"$BERTH_TEST_OUTSIDE\" \"$0/bin/pip\" -q install docker && touch \"$0/ready\"";
        let status = Command::new("sh").args(["-c", script]).arg(environment).status().unwrap();
        assert!(status.success(), "a virtual environment with the package docker");
    }
    environment
}

pub(crate) fn python_client() {
    let environment = environment();
    let d = Daemon::start();
    d.busybox();
    let mut python = Command::new(environment.join("bin/python"));
    python.args(["-c", SCRIPT]).env("DOCKER_HOST", d.host()).stdin(Stdio::null());
    let output = python.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.ends_with("all done\n"), "{out}\n{err}");
}
