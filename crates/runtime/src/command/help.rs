//! `help`, `--help`, and `COMMAND --help`: what each command takes.

use super::output::{Complaint, say};

/// One command.
struct Topic {
    name: &'static str,
    /// What stands behind the name.
    takes: &'static str,
    what: &'static str,
    /// Options with their words, one a line.
    options: &'static str,
}

const GLOBAL: &str = "\
   --root DIR                where states are kept (default: /run/berth-runtime)
   --log FILE                write warnings and errors there
   --log-format text|json    in this form (default: text)
   --debug                   tell what is done, too
   --rootless true|false|auto
   --systemd-cgroup          refused: there is no systemd cgroup driver
   --help, -h    --version, -v";

const OF_CREATE: &str = "\
   --bundle, -b DIR          the bundle (default: .)
   --console-socket PATH     send the terminal's master side there
   --pidfd-socket PATH       send a pidfd of the first process there
   --pid-file FILE           write the first process's pid there
   --preserve-fds N          give the program N more descriptors, from 3 on
   --no-pivot                cover the old root instead of leaving it
   --no-new-keyring          keep the caller's session keyring";

const TOPICS: [Topic; 16] = [
    Topic {
        name: "create",
        takes: "ID",
        what: "make a container from a bundle; `start` runs its program",
        options: OF_CREATE,
    },
    Topic { name: "start", takes: "ID", what: "run the program of a created container", options: "" },
    Topic {
        name: "run",
        takes: "ID",
        what: "create and start, and wait for the end",
        options: "   --detach, -d              do not wait\n   --keep                    keep the state after the end\n   --no-subreaper            accepted: this program never is one\n   and those of create",
    },
    Topic { name: "state", takes: "ID", what: "print the container's state as JSON", options: "" },
    Topic {
        name: "kill",
        takes: "ID [SIGNAL]",
        what: "send a signal, TERM by default",
        options: "   --all, -a                 to every process of the container",
    },
    Topic {
        name: "delete",
        takes: "ID",
        what: "remove a stopped container",
        options: "   --force, -f               kill it first; no error when there is none",
    },
    Topic {
        name: "exec",
        takes: "ID COMMAND [ARGUMENT…]",
        what: "run one more process in a container",
        options: "\
   --process, -p FILE        a process document instead of a command
   --cwd DIR    --env, -e NAME=VALUE    --user, -u UID[:GID]    --additional-gids, -g GID
   --tty, -t    --detach, -d    --console-socket PATH    --pidfd-socket PATH    --pid-file FILE
   --cap, -c NAME            one more capability
   --no-new-privs    --apparmor PROFILE    --process-label LABEL
   --cgroup [CONTROLLER:]PATH    below the container's own
   --preserve-fds N    --ignore-paused
   --privileged              every capability, no filter",
    },
    Topic { name: "pause", takes: "ID", what: "freeze a container", options: "" },
    Topic { name: "resume", takes: "ID", what: "let a frozen container go on", options: "" },
    Topic {
        name: "update",
        takes: "ID",
        what: "change limits",
        options: "\
   --resources, -r FILE      a resources document (- is stdin)
   --memory    --memory-reservation    --memory-swap    --pids-limit    --blkio-weight
   --cpu-period    --cpu-quota    --cpu-burst    --cpu-share    --cpu-rt-period    --cpu-rt-runtime
   --cpu-idle    --cpuset-cpus    --cpuset-mems    --l3-cache-schema    --mem-bw-schema",
    },
    Topic {
        name: "list",
        takes: "",
        what: "list containers",
        options: "   --format, -f table|json\n   --quiet, -q               ids only",
    },
    Topic {
        name: "ps",
        takes: "ID [ps options]",
        what: "list a container's processes",
        options: "   --format, -f table|json",
    },
    Topic {
        name: "events",
        takes: "ID",
        what: "print a container's use of resources as JSON lines",
        options: "   --stats                   once\n   --interval TIME           how often (default: 5s)",
    },
    Topic {
        name: "spec",
        takes: "",
        what: "write a document to begin with",
        options: "   --bundle, -b DIR          there (default: .)\n   --rootless                for an ordinary user",
    },
    Topic { name: "features", takes: "", what: "print what is supported as JSON", options: "" },
    Topic { name: "help", takes: "[COMMAND]", what: "print this, or what a command takes", options: "" },
];

/// Is help asked for among the words of a command that takes options anywhere? An exec's own command may have such an option, too.
pub(super) fn is_asked(command: &str, words: &[String]) -> bool {
    let mut own = words.iter().take_while(|word| command != "exec" || word.starts_with('-'));
    own.any(|word| matches!(word.as_str(), "-h" | "-help" | "--help"))
}

/// All commands, or one.
pub(super) fn print(command: Option<&str>) -> Result<i32, Complaint> {
    let Some(command) = command else {
        let lines = TOPICS.iter().map(|t| format!("   {:<9} {}\n", t.name, t.what)).collect::<String>();
        return say(format_args!(
            "NAME:\n   berth-runtime - an OCI runtime: containers from bundles\n\nUSAGE:\n   berth-runtime [options] COMMAND [options] …\n\n\
             COMMANDS:\n{lines}   supervisor the resident parent of a daemon's containers\n\nGLOBAL OPTIONS:\n{GLOBAL}"
        ))
        .map(|()| 0);
    };
    let topic = TOPICS.iter().find(|topic| topic.name == command);
    let topic = topic.ok_or_else(|| Complaint::new(format!("No help topic for '{command}'")))?;
    let options =
        if topic.options.is_empty() { String::new() } else { format!("\n\nOPTIONS:\n{}", topic.options) };
    say(format_args!(
        "NAME:\n   berth-runtime {} - {}\n\nUSAGE:\n   berth-runtime {} [options] {}{options}",
        topic.name, topic.what, topic.name, topic.takes
    ))
    .map(|()| 0)
}

#[cfg(test)]
mod tests {
    use super::is_asked;

    #[test]
    fn help_is_asked_of_the_runtime_only() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (command, text, asked) in [
            ("create", "-h", true),
            ("create", "--bundle /b id --help", true),
            ("exec", "-t --help", true),
            ("exec", "c1 ls --help", false),
            ("kill", "c1 KILL", false),
        ] {
            assert_eq!(is_asked(command, &words(text)), asked, "{command} {text}");
        }
    }
}
