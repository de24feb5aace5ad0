//! From an argument list to a command that has run.
#![allow(clippy::disallowed_methods, reason = "the door reads the environment")]

use std::io::Write;
use std::process::ExitCode;

use types::Kind;

use crate::account;
use crate::commands::store;
use crate::daemon::{self, DaemonOptions};
use crate::error::{Error, Result};
use crate::tree::{self, Act, Call, Found};
use crate::wire::{Client, Endpoint};

/// What is left to do for the program.
#[derive(Debug)]
pub enum Outcome {
    /// Exit with this code.
    Exit(u8),
    /// Be the daemon.
    Daemon(Box<DaemonOptions>),
    /// Be a registry, or do something about one.
    Registry(Box<distribution::Command>),
    /// Check the images of a data root that no daemon has open, and show what was found.
    CheckStore(CheckOptions),
}

/// What to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOptions {
    /// The data root.
    pub data_root: String,
    /// Whether to repair what can be repaired.
    pub repair: bool,
}

/// Runs the command that `argv` (without the program's name) asks for. Errors are printed here.
#[must_use]
pub fn main(argv: &[String]) -> Outcome {
    match dispatch(argv) {
        Ok(outcome) => outcome,
        Err(error) => {
            if !error.is_silent() {
                let _ = writeln!(std::io::stderr(), "{error}");
            }
            Outcome::Exit(error.exit_code())
        }
    }
}

fn dispatch(argv: &[String]) -> Result<Outcome> {
    let (globals, help, used) = tree::read_globals(argv)?;
    let mut words = &argv[used..];
    if globals.is("version") {
        return say(concat!("Berth version ", env!("CARGO_PKG_VERSION"), "\n"));
    }
    let asked_by_word = words.first().is_some_and(|word| word == "help");
    if asked_by_word {
        words = &words[1..];
    }
    if words.is_empty() {
        return say(&tree::root_help());
    }
    let (command, path, used) =
        match tree::find(words).map_err(|e| if asked_by_word { no_topic(words) } else { e })? {
            Found::Group(name) => return group(name, &words[1..]),
            Found::Command(command, path, used) => (command, path, used),
        };
    if help || asked_by_word {
        return say(&tree::command_help(command, path));
    }
    let Some((flags, args)) = tree::read(command, path, &words[used..])? else {
        return say(&tree::command_help(command, path));
    };
    match command.act {
        Act::Daemon => {
            if flags.is("own-session") {
                let _ = rustix::process::setsid();
            }
            return Ok(Outcome::Daemon(Box::new(daemon::options(&flags, globals.list("host")))));
        }
        Act::Registry(read) => return Ok(Outcome::Registry(Box::new(read(&flags)?))),
        Act::Ask(_) | Act::Store => {}
    }
    let client = client(globals.list("host"))?;
    let settings = account::directory(globals.given("config"), &variable);
    let given = flags.given("platform").map(str::to_owned);
    let platform = given.or_else(|| variable("DOCKER_DEFAULT_PLATFORM")).unwrap_or_default();
    let call = Call { path, flags, args, client, settings, platform };
    match command.act {
        Act::Ask(act) => run(act(call)).map(Outcome::Exit),
        _ => check_store(call),
    }
}

fn check_store(call: Call) -> Result<Outcome> {
    let data_root = call.flags.given("data-root").filter(|path| !path.is_empty()).map(str::to_owned);
    let repair = call.flags.is("repair");
    let asked = run(async { store::ask(call, data_root.as_deref()).await })?;
    let data_root = data_root.unwrap_or_else(|| daemon::DEFAULT_DATA_ROOT.to_owned());
    Ok(asked.map_or(Outcome::CheckStore(CheckOptions { data_root, repair }), Outcome::Exit))
}

/// Prints what a check found, a document of Berth's API, or why there was none. Output that nobody reads changes nothing.
#[must_use]
pub fn show_check(found: std::result::Result<serde_json::Value, impl std::fmt::Display>) -> ExitCode {
    let code = match found {
        Ok(found) => store::show(&found).unwrap_or_else(|error| error.exit_code()),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "berth store check: {error}");
            2
        }
    };
    ExitCode::from(code)
}

/// A group without a command: help, or a complaint about the flag that stands there.
fn group(name: &str, rest: &[String]) -> Result<Outcome> {
    match rest.first().map(String::as_str) {
        None | Some("--help" | "-h") => say(&tree::group_help(name)),
        Some(flag) => Err(Error::new(format!(
            "unknown flag: {flag}\n\nUsage:  berth {name} COMMAND\n\nRun 'berth {name} --help' for more information"
        ))
        .code(125)),
    }
}

fn no_topic(words: &[String]) -> Error {
    Error::new(format!("unknown help topic: {}", words.join(" ")))
}

/// What the environment says, if it says anything.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn client(hosts: &[String]) -> Result<Client> {
    if hosts.len() > 1 {
        return Err(Error::new("Specify only one -H"));
    }
    if let Some(context) = variable("DOCKER_CONTEXT").filter(|name| name != "default" && hosts.is_empty()) {
        let text = format!(
            "berth: the context {context:?} of DOCKER_CONTEXT can't be used: name the daemon with DOCKER_HOST"
        );
        return Err(Error::new(text).of(Kind::Unimplemented).code(125));
    }
    let host = variable("DOCKER_HOST");
    if variable("DOCKER_TLS_VERIFY").is_some() && host.as_deref().is_some_and(|h| h.starts_with("tcp")) {
        let text =
            "berth: DOCKER_TLS_VERIFY is set, but TLS is not available yet: use a unix socket, or unset it";
        return Err(Error::new(text).of(Kind::Unimplemented).code(125));
    }
    let endpoint = Endpoint::choose(hosts.first().map(String::as_str), host.as_deref())?;
    Ok(Client::new(endpoint, variable("DOCKER_API_VERSION")))
}

/// Runs a command on this thread. Whatever still copies when it is done is left to the process's end.
fn run<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(format!("the command can't start: {e}")).of(Kind::Internal).because(e))?;
    let outcome = runtime.block_on(answer);
    runtime.shutdown_background();
    outcome
}

fn say(text: &str) -> Result<Outcome> {
    crate::stream::print(text)?;
    Ok(Outcome::Exit(0))
}
