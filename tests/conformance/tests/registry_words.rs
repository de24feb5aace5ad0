//! What both command lines say about registries, of Berth as of dockerd. The table was written by the docker command line and dockerd.

use std::process::{Command, Stdio};

use testkit::{Daemon, Registry};

/// As in `words.txt`: after `$` the words of a command, then what it printed and its exit code; `o` marks what dockerd 20.10 says, `n`
/// what Berth's daemon says, a blank both.
const TABLE: &str = include_str!("registry_words.txt");

/// The docker command line.
pub(crate) fn by_docker() {
    check("docker");
}

/// Berth's command line, which drives dockerd as well.
pub(crate) fn by_berth() {
    check(&std::env::var("BERTH").unwrap_or_else(|_| "berth".to_owned()));
}

fn check(client: &str) {
    let mark = if testkit::is_reference() { 'o' } else { 'n' };
    let d = Daemon::start();
    let _open = Registry::start(5000, &[]);
    let _closed = Registry::start(5001, &[("kim", "secret")]);
    d.busybox();
    let settings = d.directory().join("settings");
    let run = |words: &[&str]| {
        let mut command = Command::new(client);
        command.args(words).env("DOCKER_HOST", d.host()).env("DOCKER_CONFIG", &settings).stdin(Stdio::null());
        let output = command.output().unwrap_or_else(|e| panic!("{client}: {e}"));
        let text =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (text, output.status.code().unwrap_or(-1))
    };
    for name in ["127.0.0.1:5000/box:1", "127.0.0.1:5000/box:2", "127.0.0.1:5001/box:1"] {
        assert_eq!(run(&["tag", "busybox", name]).1, 0);
    }
    let file = settings.join("config.json").display().to_string();
    let mut said = Vec::new();
    for command in TABLE.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let words: Vec<&str> = command.split(' ').collect();
        let (text, code) = run(&words);
        said.push(format!("$ {command}"));
        let text = text.replace(&file, "SETTINGS");
        said.extend(text.lines().filter(|line| is_telling(line)).map(plain));
        said.push(format!("exit {code}"));
    }
    let wanted: Vec<&str> = TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            if line.starts_with("$ ") { Some(line) } else { line.strip_prefix([' ', mark])?.get(1..) }
        })
        .collect();
    let first = said.iter().zip(&wanted).find(|(said, wanted)| said != *wanted);
    assert!(said == wanted, "first other: {first:?}\nall that was said:\n{}", said.join("\n"));
}

/// Lines that say something of this command alone, and steps that come or not as fast as the machine is.
fn is_telling(line: &str) -> bool {
    const PASSING: &[&str] = &[
        ": Waiting",
        ": Verifying Checksum",
        ": Download complete",
        ": Pulling fs layer",
        ": Pull complete",
        ": Already exists",
    ];
    let is_help = line.starts_with("Run '") || line.starts_with("See '") || line.starts_with(" Info -> ");
    !line.trim().is_empty() && !is_help && !PASSING.iter().any(|step| line.ends_with(step))
}

/// Without what differs from run to run, and from one command line to the other.
fn plain(line: &str) -> String {
    let mut plain = Vec::new();
    let mut words = line.split(' ').peekable();
    while let Some(word) = words.next() {
        let bare = word.trim_end_matches(':');
        let is_hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
        plain.push(match bare {
            _ if bare.len() == 12 && is_hex(bare) => word.replace(bare, "LAYER"),
            _ => match word.split_once("sha256:") {
                Some((before, _)) => format!("{before}DIGEST"),
                None => word.to_owned(),
            },
        });
        if word == "size:" && words.next().is_some() {
            plain.push("SIZE".to_owned());
        }
    }
    let text = plain.join(" ");
    match text.strip_prefix("berth: ") {
        Some(rest) => format!("docker: {rest}"),
        None => text,
    }
}
