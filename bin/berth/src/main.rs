//! `berth`: the command line, and the daemon when it is asked for.

use std::error::Error;
use std::process::ExitCode;

use cli::Outcome;

fn main() -> ExitCode {
    let argv: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    match cli::main(&argv) {
        Outcome::Exit(code) => ExitCode::from(code),
        Outcome::Daemon(options) => daemon(*options),
    }
}

fn daemon(options: cli::DaemonOptions) -> ExitCode {
    let options = server::DaemonOptions {
        hosts: options.hosts,
        data_root: options.data_root.into(),
        exec_root: options.exec_root.into(),
        group: options.group,
        cgroup_parent: options.cgroup_parent,
        bridge: options.bridge,
        bridge_address: options.bridge_address,
        runtime: options.runtime.map(Into::into),
        pidfile: options.pidfile.map(Into::into),
        log_level: options.log_level,
        temporary: options.temporary,
    };
    match server::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("berth daemon: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error and what caused it, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
