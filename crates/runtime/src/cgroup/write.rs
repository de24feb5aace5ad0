//! Limits: single files, changes of several together, and what is in force.

use plan::cgroup::Present;
use protocol::Plan;
use protocol::plan::Write;
use rustix::io::Errno;

use crate::error::Error;
use crate::kernel::{read_file, write_file};

/// Changes limits, all or none: on a refusal the values before are written back.
///
/// # Errors
/// The first refusal, by the name of the request field.
pub fn apply_writes(writes: &[Write]) -> Result<(), Error> {
    let mut before: Vec<(&str, String)> = Vec::new();
    let mut left: Vec<&Write> = writes.iter().map(resolve).collect();
    loop {
        let mut refused = Vec::new();
        let mut first = None;
        for write in &left {
            // Limits depend on each other (memory, and memory with swap; quota and period): the refused one is tried again after
            // the others.
            if let Err(error) = apply_write(write, &mut before) {
                refused.push(*write);
                first = first.or(Some(error));
            }
        }
        match first {
            None => return Ok(()),
            Some(error) if refused.len() == left.len() => {
                for (path, value) in before.iter().rev() {
                    let _ = write_file(path, value);
                }
                return Err(error);
            }
            Some(_) => left = refused,
        }
    }
}

fn apply_write<'a>(write: &'a Write, before: &mut Vec<(&'a str, String)>) -> Result<(), Error> {
    let value = read_file(&write.path).unwrap_or_default();
    set(write)?;
    before.push((&write.path, value.lines().next().unwrap_or_default().to_owned()));
    Ok(())
}

/// The write that there is a file for.
pub(crate) fn resolve(write: &Write) -> &Write {
    match &write.otherwise {
        Some(other) if rustix::fs::stat(&*write.path).err() == Some(Errno::NOENT) => resolve(other),
        _ => write,
    }
}

/// Writes one file; the error names the field that asked.
fn set(write: &Write) -> Result<(), Error> {
    write_file(&write.path, &write.value).map_err(|errno| refusal(write, errno))
}

/// A refused write, by the field that asked, with what the error number alone does not tell.
pub(crate) fn refusal(write: &Write, errno: Errno) -> Error {
    let field = if write.field.is_empty() { String::new() } else { format!("{}: ", write.field) };
    let path = &write.path;
    let hint = match errno {
        Errno::NOENT => " (this kernel has no such limit, or its controller is not enabled here)".to_owned(),
        Errno::BUSY => path
            .strip_suffix("memory.limit_in_bytes")
            .and_then(|place| read_file(&format!("{place}memory.usage_in_bytes")).ok())
            .map(|usage| format!(" ({} bytes are in use)", usage.trim()))
            .unwrap_or_default(),
        _ => String::new(),
    };
    Error::kernel(&format!("{field}write {} to {path}{hint}", write.value), errno)
}

/// What is in force now, as far as a change of limits depends on it.
#[must_use]
pub fn present(plan: &Plan) -> Present {
    // v1 has a file for each, and the kernel compares them itself.
    let cgroup = plan.cgroup.as_ref().filter(|c| c.hierarchies.is_empty() && !c.unified.is_empty());
    let Some(cgroup) = cgroup else { return Present::default() };
    let read = |file: &str| read_file(&format!("{}/{file}", cgroup.unified)).ok();
    let limit = |text: String| match text.split_whitespace().next() {
        Some("max") => Some(-1),
        number => number.and_then(|n| n.parse::<i64>().ok()),
    };
    let memory_limit = read("memory.max").and_then(limit);
    let both = match (memory_limit, read("memory.swap.max").and_then(limit)) {
        (Some(memory @ 0..), Some(swap @ 0..)) => memory.checked_add(swap),
        (_, Some(..0)) => Some(-1),
        _ => None,
    };
    Present {
        memory_usage: read("memory.current").and_then(|t| t.trim().parse().ok()),
        memory_limit,
        memory_and_swap: both,
        cpu_quota: read("cpu.max").and_then(limit),
    }
}
