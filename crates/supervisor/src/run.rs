//! The way in: the arguments, the process's own surroundings, then the loop.

use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::clock;
use crate::error::{Error, chain};
use crate::root::Root;
use crate::supervisor::{Fixed, Supervisor};
use crate::upgrade::read_handover;

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    root: String,
    resume: Option<i32>,
    upgrade: Option<String>,
}

/// Runs `supervisor --root <dir>`; `args` are the words after `supervisor`. Comes back when it was told to end.
///
/// `supervisor --root <dir> --upgrade <program>` has the one that runs there become that program, with everything it holds.
#[must_use]
pub fn run(args: &[String]) -> ExitCode {
    let done = parse(args).and_then(|arguments| match &arguments.upgrade {
        Some(program) => crate::ask::upgrade(&arguments.root, program),
        None => serve(arguments),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain!("{}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn parse(args: &[String]) -> Result<Arguments, Error> {
    let mut words = args.iter();
    let mut arguments = Arguments { root: String::new(), resume: None, upgrade: None };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| Error::invalid(format!("{word} needs a value")))?;
        match word.as_str() {
            "--root" => arguments.root.clone_from(value),
            "--upgrade" => arguments.upgrade = Some(value.clone()),
            "--resume" => arguments.resume = value.parse().ok(),
            _ => return Err(Error::invalid(format!("unknown argument {word}"))),
        }
    }
    if !arguments.root.starts_with('/') {
        return Err(Error::invalid("--root wants an absolute path"));
    }
    Ok(arguments)
}

fn serve(arguments: Arguments) -> Result<(), Error> {
    let handed = arguments.resume.map(read_handover).transpose()?;
    settle_in();
    let root = Root::open(&arguments.root)?;
    let mut supervisor = match handed {
        Some((handover, fixed, inherited)) => {
            let mut supervisor = Supervisor::new(root, fixed)?;
            supervisor.resume(handover, inherited)?;
            supervisor
        }
        None => {
            let lock = root.lock()?;
            let listener = root.listen()?;
            let instance = (clock::wall_ns() as u64).max(1);
            let mut supervisor = Supervisor::new(root, Fixed { lock, listener, instance })?;
            supervisor.load()?;
            supervisor
        }
    };
    supervisor.run()
}

/// A session of its own, no signals from a terminal, the last to be killed for memory, all descriptors it may have. What the
/// kernel refuses here is not needed.
fn settle_in() {
    const SIGHUP: i32 = 1;
    const SIGPIPE: i32 = 13;
    let _ = rustix::process::setsid();
    let _ = sys::signal::ignore(SIGHUP);
    let _ = sys::signal::ignore(SIGPIPE);
    let _ = rustix::process::chdir("/");
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let _ = runtime::set_own_oom_score(-999);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let parsed = parse(&words("--root /run/x --resume 7")).expect("good");
        assert_eq!(parsed, Arguments { root: "/run/x".into(), resume: Some(7), upgrade: None });
        for bad in ["", "--root", "--root x", "--bad /x"] {
            assert!(parse(&words(bad)).is_err(), "{bad}");
        }
    }
}
