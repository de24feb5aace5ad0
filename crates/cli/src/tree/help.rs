//! Help texts, laid out as Docker's.

use super::{Command, GLOBAL, GROUPS, commands, usage_line};
use crate::{flags, terminal};

/// Commands that a newcomer looks for first.
const COMMON: &[&str] = &[
    "run", "exec", "ps", "images", "pull", "push", "load", "import", "login", "logout", "search", "logs",
    "version", "info", "daemon",
];

/// Help on everything.
pub(crate) fn root() -> String {
    let common = commands().filter(|c| COMMON.contains(&c.names[0]));
    let mut common: Vec<_> = common.map(|c| (c.names[0], c.about)).collect();
    common.sort_by_key(|(name, _)| COMMON.iter().position(|n| n == name));
    let mut rest: Vec<_> = commands()
        .flat_map(|c| c.names.iter().find(|n| !n.contains(' ')).map(|n| (*n, c.about)))
        .filter(|(name, _)| !COMMON.contains(name))
        .collect();
    rest.sort_unstable();
    format!(
        "Usage:  berth [OPTIONS] COMMAND\n\nA container engine: Docker's commands and API, quick starts, nothing lost\n\n\
         Common Commands:\n{}\nManagement Commands:\n{}\nCommands:\n{}\nGlobal Options:\n{}\n\
         Run 'berth COMMAND --help' for more information on a command.\n",
        rows(&common),
        rows(GROUPS),
        rows(&rest),
        flags::help_table(&[GLOBAL], terminal::width()),
    )
}

/// Help on a group of management commands.
pub(crate) fn group(name: &str) -> String {
    let about = GROUPS.iter().find(|(group, _)| *group == name).map_or("", |(_, about)| *about);
    let mut list: Vec<_> = commands()
        .flat_map(|c| c.names.iter().find_map(|n| Some((n.strip_prefix(name)?.strip_prefix(' ')?, c.about))))
        .collect();
    list.sort_unstable();
    format!(
        "Usage:  berth {name} COMMAND\n\n{about}\n\nCommands:\n{}\nRun 'berth {name} COMMAND --help' for more information on a command.\n",
        rows(&list)
    )
}

/// Help on one command.
pub(crate) fn command(command: &Command, path: &str) -> String {
    let mut text = format!("Usage:  {}\n\n{}\n", usage_line(command, path), command.about);
    if command.names.len() > 1 {
        let mut names: Vec<String> = command.names.iter().map(|name| format!("berth {name}")).collect();
        names.sort_unstable();
        text += &format!("\nAliases:\n  {}\n", names.join(", "));
    }
    let table = flags::help_table(command.flags, terminal::width());
    if !table.is_empty() {
        text += &format!("\nOptions:\n{table}");
    }
    text
}

fn rows(list: &[(&str, &str)]) -> String {
    let width = list.iter().map(|(name, _)| name.len()).max().unwrap_or_default().max(9);
    list.iter().map(|(name, about)| format!("  {name:width$}   {about}\n")).collect()
}
