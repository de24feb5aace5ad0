//! The Python client of Docker and registries.

use std::process::{Command, Stdio};

use testkit::{Daemon, Registry};

const SCRIPT: &str = include_str!("registry_py.py");

pub(crate) fn python_client() {
    let python = crate::docker_py::environment().join("bin/python");
    let d = Daemon::start();
    d.busybox();
    let _open = Registry::start(5000, &[]);
    let _closed = Registry::start(5001, &[("kim", "secret")]);
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT]).env("DOCKER_HOST", d.host()).env("DOCKER_CONFIG", d.directory());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.ends_with("all done\n"), "{out}\n{err}");
}
