//! `list`, `ps`.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use serde_json::json;

use super::arguments::Arguments;
use super::output::{Complaint, say};
use super::records::{Record, Root, name_of};
use crate::kernel::read_file;

/// The words of `--format`. True: JSON.
fn is_json(arguments: &Arguments) -> Result<bool, Complaint> {
    match arguments.value(&["format", "f"]) {
        None | Some("table") => Ok(false),
        Some("json") => Ok(true),
        Some(_) => Err(Complaint::new("invalid format option")),
    }
}

pub(super) fn list(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &["format", "f"])?;
    arguments.only(&["format", "f", "quiet", "q"])?;
    root.must_exist()?;
    let json = is_json(&arguments)?;
    let loaded = root.ids().into_iter().filter_map(|id| match root.load(&id) {
        Err(complaint) => {
            complaint.warn(&root.log);
            None
        }
        loaded => loaded.ok(),
    });
    let records: Vec<_> = loaded.collect();
    if arguments.has("quiet") || arguments.has("q") {
        return records.iter().try_for_each(|r| say(format_args!("{}", r.id))).map(|()| 0);
    }
    if json {
        let documents = records.iter().map(|record| {
            let mut document = record.document(record.status());
            document["owner"] = json!(owner(record));
            document
        });
        return say(format_args!("{}", json!(documents.collect::<Vec<_>>()))).map(|()| 0);
    }
    say(format_args!("{}", table(records.iter().map(row)))).map(|()| 0)
}

const HEAD: [&str; 6] = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];

fn row(record: &Record) -> [String; 6] {
    let status = record.status();
    let pid = if record.alive() { record.pid } else { 0 };
    [
        record.id.clone(),
        pid.to_string(),
        name_of(status).to_owned(),
        record.bundle.clone(),
        record.created.clone(),
        owner(record),
    ]
}

/// Columns as wide as their widest word and three spaces, at least twelve.
fn table(rows: impl Iterator<Item = [String; 6]>) -> String {
    let rows: Vec<[String; 6]> = std::iter::once(HEAD.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEAD.len()).map(|column| (width(column) + 3).max(12)).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<String>().trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Whose the container is: the user who owns its state.
fn owner(record: &Record) -> String {
    let Ok(uid) = std::fs::metadata(&record.directory).map(|m| m.uid()) else { return String::new() };
    let users = read_file("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("#{uid}"))
}

/// The container's processes, by the host's `ps`, whose options come after the id.
pub(super) fn ps(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let (arguments, words) = Arguments::leading(rest, &["format", "f"])?;
    arguments.only(&["format", "f"])?;
    let json = is_json(&arguments)?;
    let (id, options) = words.split_first().ok_or_else(|| Complaint::new("the container's id is missing"))?;
    let record = root.load(id)?;
    let pids = match crate::pids(&record.plan) {
        // With the last process, its cgroup may have gone.
        Err(_) if !record.alive() => Vec::new(),
        other => other?,
    };
    if json {
        return say(format_args!("{}", json!(pids))).map(|()| 0);
    }
    let default = ["-ef".to_owned()];
    let words = if options.is_empty() { &default[..] } else { options };
    let text = match Command::new("ps").args(words).output() {
        Ok(output) if output.status.success() => chosen(&String::from_utf8_lossy(&output.stdout), &pids)?,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Complaint::new(format!(
                "ps {}: {}: {}",
                words.join(" "),
                output.status,
                said.trim()
            )));
        }
        Err(error) if error.kind() == ErrorKind::NotFound && options.is_empty() => own_table(&pids),
        Err(error) => return Err(Complaint::io("run ps", &error)),
    };
    say(format_args!("{text}")).map(|()| 0)
}

/// The head and those lines whose PID is one of these.
fn chosen(output: &str, pids: &[i32]) -> Result<String, Complaint> {
    let mut lines = output.lines();
    let head = lines.next().unwrap_or_default();
    let column = head.split_whitespace().position(|title| title == "PID");
    let column = column.ok_or_else(|| Complaint::new("couldn't find PID field in ps output"))?;
    let ours = lines.filter(|line| {
        let pid = line.split_whitespace().nth(column).and_then(|word| word.parse().ok());
        pid.is_some_and(|pid: i32| pids.contains(&pid))
    });
    Ok(std::iter::once(head).chain(ours).collect::<Vec<_>>().join("\n"))
}

/// Where there is no `ps`.
fn own_table(pids: &[i32]) -> String {
    let row = |pid: &i32| {
        let status = read_file(&format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(name));
            line.and_then(|l| l.split_whitespace().next()).unwrap_or("?").to_owned()
        };
        let command = read_file(&format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
        format!("{:<8}{pid:<10}{:<10}{}", field("Uid:"), field("PPid:"), command.trim_end())
    };
    let head = format!("{:<8}{:<10}{:<10}CMD", "UID", "PID", "PPID");
    std::iter::once(head).chain(pids.iter().map(row)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_ps() {
        let said =
            "UID   PID  PPID CMD\nroot    1     0 init\nroot   12     1 sleep 1\nroot  112     1 sleep 12\n";
        assert_eq!(
            chosen(said, &[12, 7]).ok().as_deref(),
            Some("UID   PID  PPID CMD\nroot   12     1 sleep 1")
        );
        assert!(chosen("COMMAND\n", &[1]).is_err());
    }

    #[test]
    fn columns() {
        let row = ["a-rather-long-id", "7", "running", "/b", "now", "root"].map(str::to_owned);
        assert_eq!(
            table(std::iter::once(row)),
            "ID                 PID         STATUS      BUNDLE      CREATED     OWNER\n\
             a-rather-long-id   7           running     /b          now         root"
        );
    }
}
