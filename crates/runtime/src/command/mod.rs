//! The OCI runtime command line: runc's commands, options and words, on this crate.
//!
//! Each invocation is one process that does one thing; what must outlast it lies in the state directory.

mod arguments;
mod create;
mod document;
mod events;
mod exec;
mod filters;
mod foreground;
mod help;
mod hooks;
mod lifecycle;
mod listing;
mod output;
mod records;
mod rootless;
mod specification;
mod stats;
mod update;

use arguments::Arguments;
pub(crate) use foreground::next_signal;
use output::{Complaint, Log};

/// Options before the command that take a value.
const GLOBAL_VALUES: [&str; 5] = ["root", "log", "log-format", "criu", "rootless"];

/// Runs one command; `arguments` begin with the program's name. The answer is the exit code.
pub fn main(arguments: &[String]) -> i32 {
    let rest = arguments.get(1..).unwrap_or_default();
    let (global, rest) = match Arguments::leading(rest, &GLOBAL_VALUES) {
        Ok(split) => split,
        Err(complaint) => return complaint.report(&Log::default()),
    };
    let log = Log::of(&global);
    log.debug(&format!(
        "berth-runtime {}, process {}: {rest:?}",
        env!("CARGO_PKG_VERSION"),
        std::process::id()
    ));
    let code = run(&global, rest).unwrap_or_else(|complaint| complaint.report(&log));
    log.debug(&format!("exit code {code}"));
    code
}

/// Says why this invocation could not begin, where its caller wants to read it. The answer is the exit code.
pub fn fail(arguments: &[String], error: &crate::Error) -> i32 {
    let global = Arguments::leading(arguments.get(1..).unwrap_or_default(), &GLOBAL_VALUES);
    let log = global.map_or_else(|_| Log::default(), |(global, _)| Log::of(&global));
    Complaint::from(error.clone()).report(&log)
}

/// Will this invocation have a process of ours enter a container?
pub fn enters(words: &[String]) -> bool {
    let command = Arguments::leading(words, &GLOBAL_VALUES).ok().and_then(|(_, rest)| rest.first());
    command.is_some_and(|c| matches!(c.as_str(), "create" | "run" | "exec"))
}

fn run(global: &Arguments, rest: &[String]) -> Result<i32, Complaint> {
    let Some((command, rest)) = rest.split_first() else {
        if global.has("version") || global.has("v") {
            return specification::version();
        }
        return help::print(None);
    };
    let asked = help::is_asked(command, rest);
    if command == "help" || asked {
        let topic = if asked { Some(command) } else { rest.first() };
        return help::print(topic.map(String::as_str));
    }
    let root = records::Root::of(global)?;
    let act: Act = match command.as_str() {
        "create" => create::create,
        "run" => create::run,
        "start" => create::start,
        "state" => lifecycle::state,
        "kill" => lifecycle::kill,
        "delete" => lifecycle::delete,
        "pause" => |root, rest| lifecycle::freeze(root, rest, true),
        "resume" => |root, rest| lifecycle::freeze(root, rest, false),
        "exec" => exec::exec,
        "list" => listing::list,
        "ps" => listing::ps,
        "events" => events::events,
        "update" => update::update,
        "spec" => |_, rest| specification::spec(rest),
        "features" => |_, _| specification::features(),
        "checkpoint" | "restore" => {
            return Err(Complaint::new(format!("{command} is not supported yet")));
        }
        other => return Err(Complaint::new(format!("{other:?} is not a command; see `berth-runtime help`"))),
    };
    act(&root, rest)
}

/// A command. Called through a pointer, each has a stack of its own size; together they would all have the largest one's.
type Act = fn(&records::Root, &[String]) -> Result<i32, Complaint>;
