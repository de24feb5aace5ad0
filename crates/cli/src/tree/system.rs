//! Commands about the engine: a table.

use super::{Act, Arity, Command, ask};
use crate::commands::{events, system};
use crate::flags::{Flag, check, many, missing_switch, one};

const FORMAT: Flag = one("format", "Go template, or 'json'").short('f');

/// The table.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["events", "system events"],
        usage: "[OPTIONS]",
        about: "Show what happens, live",
        flags: &[&[
            many("filter", "Show only what fits (name=value)")
                .short('f')
                .word("filter")
                .checked(check::filter),
            one("format", "Go template, or 'json'"),
            one("since", "Begin at a time or so long ago"),
            one("until", "End at a time"),
        ]],
        arity: Arity::None,
        mixed: true,
        act: ask!(events::events),
    },
    Command {
        names: &["info", "system info"],
        usage: "[OPTIONS]",
        about: "Show the state of the engine and its host",
        flags: &[&[FORMAT]],
        arity: Arity::None,
        mixed: true,
        act: ask!(system::info),
    },
    Command {
        names: &["version"],
        usage: "[OPTIONS]",
        about: "Show the versions of client and daemon",
        flags: &[&[FORMAT]],
        arity: Arity::None,
        mixed: true,
        act: ask!(system::version),
    },
    Command {
        names: &["system df"],
        usage: "[OPTIONS]",
        about: "Show how much room images, containers and volumes take",
        flags: &[&[one("format", "Go template, or 'json'"), missing_switch("verbose").short('v')]],
        arity: Arity::None,
        mixed: true,
        act: ask!(system::df),
    },
    Command {
        names: &["daemon"],
        usage: "[OPTIONS]",
        about: "Be the daemon",
        flags: &[crate::daemon::FLAGS],
        arity: Arity::None,
        mixed: true,
        act: Act::Daemon,
    },
];
