//! `list`, `ps`.

use serde_json::json;

use super::arguments::Arguments;
use super::output::{Complaint, say};
use super::records::{Root, name_of};
use crate::kernel::read_file;

pub(super) fn list(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &["format", "f"])?;
    arguments.only(&["format", "f", "quiet", "q"])?;
    root.must_exist()?;
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
    if arguments.value(&["format", "f"]) == Some("json") {
        let documents: Vec<_> = records.iter().map(|r| r.document(r.status())).collect();
        return say(format_args!("{}", json!(documents))).map(|()| 0);
    }
    say(format_args!("{:<23} {:<11} {:<11} {:<31} CREATED", "ID", "PID", "STATUS", "BUNDLE"))?;
    for record in records {
        let status = record.status();
        let pid = if record.alive() { record.pid } else { 0 };
        say(format_args!(
            "{:<23} {pid:<11} {:<11} {:<31} {}",
            record.id,
            name_of(status),
            record.bundle,
            record.created
        ))?;
    }
    Ok(0)
}

pub(super) fn ps(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &["format", "f"])?;
    arguments.only(&["format", "f"])?;
    let id = arguments.words.first().ok_or_else(|| Complaint::new("the container's id is missing"))?;
    let pids = crate::pids(&root.load(id)?.plan)?;
    if arguments.value(&["format", "f"]) == Some("json") {
        return say(format_args!("{}", json!(pids))).map(|()| 0);
    }
    say(format_args!("{:<8}{:<10}{:<10}CMD", "UID", "PID", "PPID"))?;
    for pid in pids {
        let status = read_file(&format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(name));
            line.and_then(|l| l.split_whitespace().next()).unwrap_or("?").to_owned()
        };
        let command = read_file(&format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
        say(format_args!("{:<8}{pid:<10}{:<10}{}", field("Uid:"), field("PPid:"), command.trim_end()))?;
    }
    Ok(0)
}
