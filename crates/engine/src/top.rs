//! `top`: the host's `ps`, cut down to a container's processes.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::{Error, Result};

/// Titles and rows, as `ps` printed them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) titles: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// Runs `ps` with these arguments and keeps the rows of `pids`. Blocks while `ps` runs.
pub(crate) fn run(arguments: &str, pids: &BTreeSet<i32>) -> Result<Table> {
    let words: Vec<&str> = match arguments.trim() {
        "" => vec!["-ef"],
        text => text.split_whitespace().collect(),
    };
    check(&words)?;
    let output = Command::new("ps")
        .args(&words)
        .stdin(Stdio::null())
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .output()
        .map_err(|e| Error::io("cannot run ps on the host", e))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        // What follows the first line tells how ps is called, not what is wrong.
        return Err(Error::invalid(format!("ps: {}", text.trim().lines().next().unwrap_or_default())));
    }
    choose(&String::from_utf8_lossy(&output.stdout), pids)
}

/// Refuses what would keep the PID column away, as Docker does.
fn check(words: &[&str]) -> Result<()> {
    match words.iter().find(|w| w.contains('=') && w.contains("pid")) {
        Some(word) => Err(Error::invalid(format!("specifying \"{word}\" is not allowed"))),
        None => Ok(()),
    }
}

fn choose(text: &str, pids: &BTreeSet<i32>) -> Result<Table> {
    let mut lines = text.lines();
    let titles: Vec<String> = lines.next().unwrap_or("").split_whitespace().map(str::to_owned).collect();
    let column = titles
        .iter()
        .position(|t| t == "PID")
        .ok_or_else(|| Error::invalid("Couldn't find PID field in ps output"))?;
    let mut rows = Vec::new();
    for line in lines {
        let row = fields(line, titles.len());
        if row.get(column).and_then(|pid| pid.parse().ok()).is_some_and(|pid: i32| pids.contains(&pid)) {
            rows.push(row);
        }
    }
    Ok(Table { titles, rows })
}

/// Splits a line into so many fields; the last one keeps its spaces.
fn fields(line: &str, count: usize) -> Vec<String> {
    let mut fields = Vec::new();
    let mut rest = line.trim();
    while fields.len() + 1 < count && !rest.is_empty() {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        fields.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    if !rest.is_empty() {
        fields.push(rest.to_owned());
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_containers_rows() {
        let text = "UID        PID  PPID CMD\nroot         1     0 /sbin/init  x\nroot        12     1 sleep   9 9\n";
        let table = choose(text, &BTreeSet::from([12])).expect("table");
        assert_eq!(table.titles, ["UID", "PID", "PPID", "CMD"]);
        assert_eq!(table.rows, [["root", "12", "1", "sleep   9 9"]]);
        assert!(choose("UID CMD\n", &BTreeSet::new()).is_err());
        assert!(check(&["-o", "pid=x"]).is_err() && check(&["-o", "pid,cmd"]).is_ok());
    }
}
