//! The tree of commands: which words lead to which command, what it takes, what help says.

mod containers;
mod help;
mod images;
mod missing;
mod registries;
mod registry;
mod run_flags;
mod system;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use types::Kind;

use crate::error::{Error, Result};
use crate::flags::{self, Flag, Matches, one, switch};
use crate::wire::Client;

pub(crate) use help::{command as command_help, group as group_help, root as root_help};

/// One call of a command, read.
pub(crate) struct Call {
    /// The words that led here: `run`, `container ls`.
    pub(crate) path: &'static str,
    /// Its flags.
    pub(crate) flags: Matches,
    /// What is no flag.
    pub(crate) args: Vec<String>,
    /// The daemon.
    pub(crate) client: Client,
    /// The directory of the user's settings.
    pub(crate) settings: PathBuf,
    /// `--platform`, or what `DOCKER_DEFAULT_PLATFORM` says for commands that bring images here.
    pub(crate) platform: String,
}

/// What a command does: its exit code, or why it failed.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<u8>>>>;

/// How many words a command takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arity {
    /// Any number.
    Any,
    /// None at all.
    None,
    /// So many.
    Exactly(usize),
    /// So many or more.
    AtLeast(usize),
    /// So many or fewer.
    AtMost(usize),
    /// From one number to another.
    Between(usize, usize),
}

/// What a command leads to.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    /// A request to the daemon.
    Ask(fn(Call) -> Answer),
    /// Being the daemon.
    Daemon,
    /// Being a registry, or something about one.
    Registry(fn(&Matches) -> Result<distribution::Command>),
    /// Looking after a data root: the daemon's when one has it open.
    Store,
}

/// A command.
pub(crate) struct Command {
    /// Every path to it, its own name first. A management form is two words.
    pub(crate) names: &'static [&'static str],
    /// What follows the name in the usage line.
    pub(crate) usage: &'static str,
    /// What it does, in one line.
    pub(crate) about: &'static str,
    /// Its flags.
    pub(crate) flags: &'static [&'static [Flag]],
    /// How many words it takes.
    pub(crate) arity: Arity,
    /// Flags may stand after words.
    pub(crate) mixed: bool,
    /// What it does.
    pub(crate) act: Act,
}

/// The flags before any command.
pub(crate) const GLOBAL: &[Flag] = &[
    flags::many("host", "Daemon to connect to (unix:///path or tcp://host:port)").short('H'),
    one("config", "Directory of client settings (default ~/.docker)"),
    switch("debug", "Say more").short('D').hidden(),
    one("log-level", "Least severe message to print").short('l').hidden(),
    switch("version", "Print the version and leave").short('v'),
    flags::missing("context").short('c'),
    flags::missing_switch("tls"),
    flags::missing_switch("tlsverify"),
    flags::missing("tlscacert"),
    flags::missing("tlscert"),
    flags::missing("tlskey"),
];

/// Groups of management commands and what they are about.
pub(crate) const GROUPS: &[(&str, &str)] = &[
    ("container", "Manage containers"),
    ("image", "Manage images"),
    ("manifest", "Manage lists of images for several platforms"),
    ("network", "Manage networks"),
    ("registry", "Be a registry"),
    ("store", "Look after the images on disk"),
    ("system", "Manage the engine"),
    ("volume", "Manage volumes"),
];

/// Every command there is.
pub(crate) fn commands() -> impl Iterator<Item = &'static Command> {
    containers::COMMANDS
        .iter()
        .chain(images::COMMANDS)
        .chain(registries::COMMANDS)
        .chain(registry::COMMANDS)
        .chain(system::COMMANDS)
}

/// Where words lead.
pub(crate) enum Found {
    /// To a command; how many words its name took.
    Command(&'static Command, &'static str, usize),
    /// To a group alone.
    Group(&'static str),
}

/// Follows the words to a command.
pub(crate) fn find(words: &[String]) -> Result<Found> {
    let first = words.first().map(String::as_str).unwrap_or_default();
    let group = GROUPS.iter().find(|(name, _)| *name == first).map(|(name, _)| *name);
    let Some(group) = group else {
        let found = commands().find_map(|c| Some((c, *c.names.iter().find(|name| **name == first)?)));
        return match found {
            Some((command, name)) => Ok(Found::Command(command, name, 1)),
            None => {
                Err(missing::command(first)
                    .unwrap_or_else(|| unknown(&format!("berth {first}"), "berth", "")))
            }
        };
    };
    let Some(second) = words.get(1).filter(|word| !word.starts_with('-')) else {
        return Ok(Found::Group(group));
    };
    let path = format!("{group} {second}");
    for command in commands() {
        if command.names.contains(&path.as_str()) {
            let own =
                command.names.iter().find(|name| name.split(' ').next() == Some(group) && name.contains(' '));
            return Ok(Found::Command(command, own.copied().unwrap_or(command.names[0]), 2));
        }
    }
    Err(missing::command(&path).unwrap_or_else(|| {
        unknown(&format!("berth {path}"), &format!("berth {group}"), &format!("Usage:  berth {group}\n\n"))
    }))
}

fn unknown(path: &str, above: &str, usage: &str) -> Error {
    Error::new(format!("berth: unknown command: {path}\n\n{usage}Run '{above} --help' for more information"))
}

/// Reads a command's own arguments. Nothing means that help was asked for.
pub(crate) fn read(command: &Command, path: &str, argv: &[String]) -> Result<Option<(Matches, Vec<String>)>> {
    let parsed = flags::parse(command.flags, command.mixed, argv)
        .map_err(|refusal| refused(refusal, command, path))?;
    if parsed.help || parsed.matches.is("help") {
        return Ok(None);
    }
    match arity_complaint(command.arity, parsed.args.len()) {
        None => Ok(Some((parsed.matches, parsed.args))),
        Some((complaint, hint)) => Err(Error::new(format!(
            "berth: 'berth {path}' {complaint}\n\nUsage:  {}\n\n{hint} 'berth {path} --help' for more information",
            usage_line(command, path)
        ))),
    }
}

/// What stands after `Usage:  `.
pub(crate) fn usage_line(command: &Command, path: &str) -> String {
    format!("berth {path} {}", command.usage).trim_end().to_owned()
}

fn refused(refusal: flags::Refusal, command: &Command, path: &str) -> Error {
    match refusal {
        flags::Refusal::Syntax(reason) => Error::new(format!(
            "{reason}\n\nUsage:  {}\n\nRun 'berth {path} --help' for more information",
            usage_line(command, path)
        ))
        .code(125),
        flags::Refusal::Missing(long) => {
            Error::in_command(&missing::flag(long), path).of(Kind::Unimplemented)
        }
    }
}

/// The flags before the command: what was read, and how many words they took.
pub(crate) fn read_globals(argv: &[String]) -> Result<(Matches, bool, usize)> {
    let parsed = flags::parse(&[GLOBAL], false, argv).map_err(|refusal| match refusal {
        flags::Refusal::Syntax(reason) => Error::new(format!(
            "{reason}\n\nUsage:  berth [OPTIONS] COMMAND [ARG...]\n\nRun 'berth --help' for more information"
        ))
        .code(125),
        flags::Refusal::Missing(long) => {
            Error::new(format!("berth: {}", missing::flag(long))).of(Kind::Unimplemented).code(125)
        }
    })?;
    let used = argv.len() - parsed.args.len();
    Ok((parsed.matches, parsed.help, used))
}

/// What is wrong with a number of words, and how Docker's hint begins there.
fn arity_complaint(arity: Arity, count: usize) -> Option<(String, &'static str)> {
    let words = |n: usize| format!("{n} argument{}", if n == 1 { "" } else { "s" });
    match arity {
        Arity::None if count > 0 => Some(("accepts no arguments".to_owned(), "Run")),
        Arity::Exactly(n) if count != n => Some((format!("requires {}", words(n)), "Run")),
        Arity::AtLeast(n) if count < n => Some((format!("requires at least {}", words(n)), "See")),
        Arity::AtMost(n) if count > n => Some((format!("requires at most {}", words(n)), "Run")),
        Arity::Between(least, most) if count < least || count > most => {
            Some((format!("requires at least {least} and at most {}", words(most)), "Run"))
        }
        _ => None,
    }
}

/// A command's function as a table holds it.
macro_rules! ask {
    ($path:path) => {
        $crate::tree::Act::Ask(|call| Box::pin($path(call)))
    };
}
pub(crate) use ask;

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(line: &str) -> String {
        let argv: Vec<String> = line.split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect();
        let read_all =
            || -> Result<String> {
                match find(&argv)? {
                    Found::Group(name) => Ok(format!("group {name}")),
                    Found::Command(command, path, used) => Ok(read(command, path, &argv[used..])?
                        .map_or("help".to_owned(), |_| format!("call {path}"))),
                }
            };
        read_all().unwrap_or_else(|e| {
            format!("{} {}", e.exit_code(), e.to_string().lines().next().unwrap_or_default())
        })
    }

    #[test]
    fn words_lead_to_commands() {
        for (line, out) in [
            ("run alpine", "call run"),
            ("container run alpine -x", "call container run"),
            ("container ps", "call container ls"),
            ("image list", "call image ls"),
            ("ps --help", "help"),
            ("container", "group container"),
            ("run", "1 berth: 'berth run' requires at least 1 argument"),
            ("ps x", "1 berth: 'berth ps' accepts no arguments"),
            ("exec x", "1 berth: 'berth exec' requires at least 2 arguments"),
            ("rename x", "1 berth: 'berth rename' requires 2 arguments"),
            ("foo", "1 berth: unknown command: berth foo"),
            ("container foo", "1 berth: unknown command: berth container foo"),
            ("run --foo x", "125 unknown flag: --foo"),
            (
                "run --gpus all x",
                "125 berth: --gpus is not available yet: Berth hands devices over one by one, with --device",
            ),
            (
                "build .",
                "1 berth: 'build' is not available yet: build with another tool and bring the image in with 'berth load'",
            ),
            ("run -h", "125 flag needs an argument: 'h' in -h"),
        ] {
            assert_eq!(outcome(line), out, "{line}");
        }
    }

    #[test]
    fn every_flag_and_path_is_there_once() {
        let mut paths = std::collections::BTreeSet::new();
        for command in commands() {
            for name in command.names {
                assert!(paths.insert(*name), "{name} is there twice");
            }
            let mut seen = std::collections::BTreeSet::new();
            for flag in command.flags.iter().flat_map(|table| table.iter()) {
                assert!(seen.insert(flag.long.to_owned()), "{}: --{}", command.names[0], flag.long);
                if let Some(short) = flag.short {
                    assert!(seen.insert(format!("-{short}")), "{}: -{short}", command.names[0]);
                }
            }
        }
    }
}
