//! Commands about the engine: a table.

use super::{Act, Arity, Command, ask};
use crate::commands::{collect, disk, events, prune, system};
use crate::flags::{Flag, bytes, check, many, one, switch};

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
        flags: &[&[
            one("format", "Go template, or 'json'"),
            switch("verbose", "Show each by itself, and where the data root's bytes are").short('v'),
        ]],
        arity: Arity::None,
        mixed: true,
        act: ask!(disk::df),
    },
    Command {
        names: &["store check"],
        usage: "[OPTIONS]",
        about: "Check blobs, layers and names (exit 0: all is well, 1: all was repaired, 2: something is damaged)",
        flags: &[&[
            one("data-root", "Directory of the images (default the daemon's, else /var/lib/berth)"),
            switch("repair", "Repair: unpack again, or pull again"),
        ]],
        arity: Arity::None,
        mixed: true,
        act: Act::Store,
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
    Command {
        names: &["system prune"],
        usage: "[OPTIONS]",
        about: "Remove what nobody uses: containers, networks, images",
        flags: &[&[
            switch("all", "All images that no container uses, not only those without a name").short('a'),
            switch("volumes", "Also anonymous volumes"),
            many("filter", "Prune only what fits (name=value)").word("filter").checked(check::filter),
            switch("force", "Do not ask").short('f'),
        ]],
        arity: Arity::None,
        mixed: true,
        act: ask!(prune::system),
    },
    Command {
        names: &["system gc"],
        usage: "[OPTIONS]",
        about: "Remove the images that were used longest ago, until they fit a budget",
        flags: &[&[
            bytes("budget", "Room for images (default: the daemon's --image-budget)"),
            switch("dry-run", "Only say what would go"),
        ]],
        arity: Arity::None,
        mixed: true,
        act: ask!(collect::gc),
    },
];
