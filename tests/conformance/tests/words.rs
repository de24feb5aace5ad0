//! What the docker command line prints and how it exits, against Berth as against dockerd. The table was written by dockerd.

use testkit::Daemon;

/// After `$` the words of a command, `_` for a blank inside of one; then what it printed and its exit code. A mark in front of a
/// line says whose it is: `o` dockerd 20.10, `n` Berth (in the words of a younger dockerd, or its own); blank both.
const TABLE: &str = include_str!("words.txt");

pub(crate) fn as_dockerd() {
    let mark = if std::env::var_os("BERTH_REFERENCE").is_some() { 'o' } else { 'n' };
    let d = Daemon::start();
    d.busybox();
    let mut said = Vec::new();
    for command in TABLE.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let words: Vec<String> = command.split(' ').map(|word| word.replace('_', " ")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ran = d.docker(&words);
        said.push(format!("$ {command}"));
        let text = plain(&format!("{}{}", ran.out, ran.err));
        said.extend(text.lines().filter(|line| is_telling(line)).map(str::to_owned));
        said.push(format!("exit {}", ran.code));
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

/// Lines that say something of this command alone.
fn is_telling(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with("Run 'docker ") && !line.starts_with("See 'docker ")
}

/// Without what differs from run to run (ids), and without the names of the layers of dockerd that an error came through.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_id = matches!(bare.len(), 12 | 64) && bare.bytes().all(|b| b.is_ascii_hexdigit());
        plain += &if is_id { word.replace(bare, "ID") } else { word.to_owned() };
    }
    for layer in [
        "failed to create shim task: ",
        "OCI runtime create failed: ",
        "OCI runtime exec failed: ",
        "runc create failed: ",
        "exec failed: ",
        "unable to start container process: ",
        "error during container init: ",
    ] {
        plain = plain.replace(layer, "");
    }
    plain.replace(": unknown\n", "\n").replace(": unknown\r\n", "\r\n")
}
