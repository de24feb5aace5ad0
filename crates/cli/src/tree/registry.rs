//! Commands of the registry that Berth itself is: a table.

use super::{Act, Arity, Command};
use crate::registry;

/// The table.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["registry serve"],
        usage: "[OPTIONS]",
        about: "Be a registry: the OCI distribution specification over HTTP or HTTPS, until SIGTERM",
        flags: &[registry::SERVE],
        arity: Arity::None,
        mixed: true,
        act: Act::Registry(registry::serve),
    },
    Command {
        names: &["registry garbage-collect"],
        usage: "[OPTIONS]",
        about: "Remove what nothing in a registry names any more",
        flags: &[registry::COLLECT],
        arity: Arity::None,
        mixed: true,
        act: Act::Registry(registry::collect),
    },
    Command {
        names: &["registry check"],
        usage: "[OPTIONS]",
        about: "Read every content of a registry, and tell what is broken",
        flags: &[registry::CHECK],
        arity: Arity::None,
        mixed: true,
        act: Act::Registry(registry::check),
    },
];
