//! Commands about containers: a table.

use super::{Act, Arity, Command, ask, run_flags};
use crate::commands::{
    archives, attach, change, commit, each, exec, inspect, logs, prune, ps, run, start, stats, top,
};
use crate::flags::{Flag, bytes, check, many, missing, number, one, switch};

const FORMAT: Flag = one("format", "Go template, or 'json'; lists also take 'table TEMPLATE'");
const FILTER: Flag =
    many("filter", "Show only what fits (name=value)").short('f').word("filter").checked(check::filter);
const DETACH_KEYS: Flag = one("detach-keys", "Keys that detach the terminal");
const NO_TRUNC: Flag = switch("no-trunc", "Do not cut anything short");

const fn several(
    names: &'static [&'static str],
    about: &'static str,
    flags: &'static [&'static [Flag]],
    act: Act,
) -> Command {
    let usage =
        if flags.is_empty() { "CONTAINER [CONTAINER...]" } else { "[OPTIONS] CONTAINER [CONTAINER...]" };
    Command { names, usage, about, flags, arity: Arity::AtLeast(1), mixed: true, act }
}

/// The table.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["run", "container run"],
        usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
        about: "Create a container from an image and start it",
        flags: &[run_flags::RUN, run_flags::BOTH],
        arity: Arity::AtLeast(1),
        mixed: false,
        act: ask!(run::run),
    },
    Command {
        names: &["create", "container create"],
        usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
        about: "Create a container from an image",
        flags: &[run_flags::BOTH],
        arity: Arity::AtLeast(1),
        mixed: false,
        act: ask!(run::create),
    },
    several(
        &["start", "container start"],
        "Start containers that do not run",
        &[&[
            switch("attach", "Show its output and pass signals on").short('a'),
            switch("interactive", "Pass stdin on").short('i'),
            DETACH_KEYS,
            missing("checkpoint"),
            missing("checkpoint-dir"),
        ]],
        ask!(start::start),
    ),
    Command {
        names: &["ps", "container ls", "container list", "container ps"],
        usage: "[OPTIONS]",
        about: "List containers",
        flags: &[&[
            switch("all", "Show those that do not run, too").short('a'),
            FILTER,
            FORMAT,
            number("last", "Show the n youngest, whether they run or not").short('n'),
            switch("latest", "Show the youngest, whether it runs or not").short('l'),
            NO_TRUNC,
            switch("quiet", "Print IDs only").short('q'),
            switch("size", "Show how much they have written").short('s'),
        ]],
        arity: Arity::None,
        mixed: true,
        act: ask!(ps::ps),
    },
    Command {
        names: &["inspect"],
        usage: "[OPTIONS] NAME|ID [NAME|ID...]",
        about: "Show everything about containers, images, volumes or networks",
        flags: &[&[
            one("format", "Go template, or 'json'").short('f'),
            one("type", "Look only among: container, image, network, volume"),
            switch("size", "Count how much containers have written").short('s'),
        ]],
        arity: Arity::AtLeast(1),
        mixed: true,
        act: ask!(inspect::any),
    },
    several(
        &["container inspect"],
        "Show everything about containers",
        &[&[
            one("format", "Go template, or 'json'").short('f'),
            switch("size", "Count how much they have written").short('s'),
        ]],
        ask!(inspect::container),
    ),
    Command {
        names: &["logs", "container logs"],
        usage: "[OPTIONS] CONTAINER",
        about: "Show what a container has printed",
        flags: &[&[
            switch("details", "Show the log driver's extra fields"),
            switch("follow", "Go on as it prints more").short('f'),
            one("since", "Begin at a time (2026-01-02T13:23:37Z) or so long ago (42m)"),
            one("tail", "How many lines from the end (default all)").short('n'),
            switch("timestamps", "Show when each line was printed").short('t'),
            one("until", "End at a time or so long ago"),
        ]],
        arity: Arity::Exactly(1),
        mixed: true,
        act: ask!(logs::logs),
    },
    Command {
        names: &["attach", "container attach"],
        usage: "[OPTIONS] CONTAINER",
        about: "Connect the terminal to a running container",
        flags: &[&[
            DETACH_KEYS,
            switch("no-stdin", "Leave stdin alone"),
            switch("sig-proxy", "Pass signals on (default true)"),
        ]],
        arity: Arity::Exactly(1),
        mixed: true,
        act: ask!(attach::attach),
    },
    Command {
        names: &["exec", "container exec"],
        usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
        about: "Run one more program in a running container",
        flags: &[&[
            switch("detach", "Leave it in the background").short('d'),
            DETACH_KEYS,
            many("env", "Environment variable").short('e').checked(check::env),
            many("env-file", "File with environment variables"),
            switch("interactive", "Keep stdin open").short('i'),
            switch("privileged", "Give it all capabilities"),
            switch("tty", "Give it a terminal").short('t'),
            one("user", "User and group (name|uid[:group|gid])").short('u'),
            one("workdir", "Working directory").short('w'),
        ]],
        arity: Arity::AtLeast(2),
        mixed: false,
        act: ask!(exec::exec),
    },
    Command {
        names: &["top", "container top"],
        usage: "CONTAINER [ps OPTIONS]",
        about: "Show a container's processes",
        flags: &[],
        arity: Arity::AtLeast(1),
        mixed: false,
        act: ask!(top::top),
    },
    Command {
        names: &["stats", "container stats"],
        usage: "[OPTIONS] [CONTAINER...]",
        about: "Show what containers use, live",
        flags: &[&[
            switch("all", "Show those that do not run, too").short('a'),
            FORMAT,
            switch("no-stream", "Print once and leave"),
            NO_TRUNC,
        ]],
        arity: Arity::Any,
        mixed: true,
        act: ask!(stats::stats),
    },
    several(
        &["stop", "container stop"],
        "Ask containers to stop, and kill those that do not",
        &[&[
            one("signal", "Signal to ask with").short('s'),
            number("timeout", "Seconds to wait before killing").short('t'),
            number("time", "").alias_of("timeout"),
        ]],
        ask!(each::stop),
    ),
    several(
        &["restart", "container restart"],
        "Stop containers and start them again",
        &[&[
            one("signal", "Signal to ask with").short('s'),
            number("timeout", "Seconds to wait before killing").short('t'),
            number("time", "").alias_of("timeout"),
        ]],
        ask!(each::restart),
    ),
    several(
        &["kill", "container kill"],
        "Send containers a signal",
        &[&[one("signal", "Signal to send (default KILL)").short('s')]],
        ask!(each::kill),
    ),
    several(&["pause", "container pause"], "Freeze containers", &[], ask!(each::pause)),
    several(&["unpause", "container unpause"], "Let frozen containers go on", &[], ask!(each::unpause)),
    several(
        &["wait", "container wait"],
        "Wait for containers to end and print their exit codes",
        &[],
        ask!(each::wait),
    ),
    several(
        &["rm", "container rm", "container remove"],
        "Remove containers",
        &[&[
            switch("force", "Kill those that run").short('f'),
            missing("link"),
            switch("volumes", "Remove their anonymous volumes, too").short('v'),
        ]],
        ask!(each::rm),
    ),
    Command {
        names: &["rename", "container rename"],
        usage: "CONTAINER NEW_NAME",
        about: "Give a container another name",
        flags: &[],
        arity: Arity::Exactly(2),
        mixed: true,
        act: ask!(change::rename),
    },
    several(
        &["update", "container update"],
        "Change the limits of containers",
        &[&[
            missing("blkio-weight"),
            number("cpu-period", "Length of a scheduling period in microseconds"),
            number("cpu-quota", "Processor time per period in microseconds"),
            missing("cpu-rt-period"),
            missing("cpu-rt-runtime"),
            number("cpu-shares", "Weight of the container's processor time").short('c'),
            one("cpus", "How many processors it may use").word("decimal").checked(check::cpus),
            one("cpuset-cpus", "Processors it may run on (0-3, 0,1)"),
            one("cpuset-mems", "Memory nodes it may use (0-3, 0,1)"),
            missing("kernel-memory"),
            bytes("memory", "Most memory it may use").short('m'),
            bytes("memory-reservation", "Memory to leave it when the host runs short"),
            bytes("memory-swap", "Most memory and swap together; -1 for any amount of swap")
                .checked(check::bytes_or_unlimited),
            number("pids-limit", "Most processes it may have; -1 for any number"),
            one("restart", "When to start it again"),
        ]],
        ask!(change::update),
    ),
    Command {
        names: &["port", "container port"],
        usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
        about: "Show a container's published ports",
        flags: &[],
        arity: Arity::Between(1, 2),
        mixed: true,
        act: ask!(change::port),
    },
    Command {
        names: &["diff", "container diff"],
        usage: "CONTAINER",
        about: "Show what a container changed in its root (A added, C changed, D deleted)",
        flags: &[],
        arity: Arity::Exactly(1),
        mixed: true,
        act: ask!(commit::diff),
    },
    Command {
        names: &["commit", "container commit"],
        usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
        about: "Make an image of what a container changed",
        flags: &[&[
            one("author", "Who made it").short('a'),
            many("change", "Dockerfile instruction to apply").short('c'),
            one("message", "Note for the image's history").short('m'),
            switch("pause", "Pause the container meanwhile (default true)").short('p'),
        ]],
        arity: Arity::Between(1, 2),
        mixed: true,
        act: ask!(commit::commit),
    },
    Command {
        names: &["export", "container export"],
        usage: "[OPTIONS] CONTAINER",
        about: "Write a container's root as an archive",
        flags: &[&[one("output", "File to write instead of stdout").short('o')]],
        arity: Arity::Exactly(1),
        mixed: true,
        act: ask!(archives::export),
    },
    Command {
        names: &["container prune"],
        usage: "[OPTIONS]",
        about: "Remove all containers that do not run",
        flags: &[&[
            many("filter", "Prune only what fits (name=value)").word("filter").checked(check::filter),
            switch("force", "Do not ask").short('f'),
        ]],
        arity: Arity::None,
        mixed: true,
        act: ask!(prune::containers),
    },
];
