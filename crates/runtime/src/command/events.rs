//! `events`: use of resources and lack of memory as JSON lines, in runc's form.

use std::io::Write;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::output::Complaint;
use super::records::{Record, Root};
use super::stats::stats;
use crate::MemoryWatch;
use crate::error::Tried;

pub(super) fn events(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &["interval"])?;
    arguments.only(&["stats", "interval"])?;
    let interval = interval(arguments.value(&["interval"]).unwrap_or("5s"))?;
    let record = root.load(arguments.id()?)?;
    if !record.alive() {
        return Err(Complaint::new(format!("container with id {} is not running", record.id)));
    }
    if arguments.has("stats") {
        print(&record, "stats", Some(stats(&record.plan)))?;
        return Ok(0);
    }
    watch(&record, interval).map(|()| 0)
}

/// How often an end that nothing tells of is looked for.
const GLANCE: Duration = Duration::from_millis(100);

/// Until the container ends.
fn watch(record: &Record, interval: Duration) -> Result<(), Complaint> {
    let gone = || Complaint::new("container not running");
    let pid = Pid::from_raw(record.pid).ok_or_else(gone)?;
    let (init, silent) = match pidfd_open(pid, PidfdFlags::empty()) {
        // Without pidfds nothing tells of its end: it is looked for.
        Err(Errno::NOSYS) => (eventfd(0, EventfdFlags::CLOEXEC).tried(|| "wait for events")?, true),
        other => (other.map_err(|_| gone())?, false),
    };
    let memory = crate::watch_memory(&record.plan)?;
    let mut kills = crate::oom_kills(&record.plan).unwrap_or(0);
    let mut due = Instant::now() + interval;
    loop {
        let left = due.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(if silent { left.min(GLANCE) } else { left }).ok();
        let mut watched = vec![PollFd::new(&init, PollFlags::IN)];
        if let Some(memory) = &memory {
            watched.push(PollFd::from_borrowed_fd(memory.fd(), PollFlags::IN | PollFlags::PRI));
        }
        match poll(&mut watched, left.as_ref()) {
            Err(Errno::INTR) => continue,
            other => other.tried(|| "wait for events")?,
        };
        let over = !watched[0].revents().is_empty() || silent && !record.alive();
        // A watched file is always readable; only this is news of it.
        let news = |memory: &MemoryWatch| match memory {
            MemoryWatch::Counter(_) => PollFlags::IN,
            MemoryWatch::Events(_) => PollFlags::PRI,
        };
        let low = memory.as_ref().filter(|m| watched.get(1).is_some_and(|w| w.revents().intersects(news(m))));
        drop(watched);
        if let Some(memory) = low {
            memory.clear();
            let now = crate::oom_kills(&record.plan);
            // The counter of v1 comes before the kill, and once more when the cgroup goes.
            let tell = match memory {
                MemoryWatch::Counter(_) => now.is_ok(),
                MemoryWatch::Events(_) => now.as_ref().is_ok_and(|now| *now > kills),
            };
            if tell {
                print(record, "oom", None)?;
            }
            kills = now.unwrap_or(kills);
        }
        if over {
            // On v2 the news of a kill may come after the end of who was killed.
            let late = matches!(memory, Some(MemoryWatch::Events(_)));
            if late && crate::oom_kills(&record.plan).is_ok_and(|now| now > kills) {
                print(record, "oom", None)?;
            }
            return Ok(());
        }
        if Instant::now() >= due {
            print(record, "stats", Some(stats(&record.plan)))?;
            due = Instant::now() + interval;
        }
    }
}

/// One line, its keys in the order that readers without a parser look for.
fn print(record: &Record, kind: &str, data: Option<Value>) -> Result<(), Complaint> {
    let data = data.map(|data| format!(",\"data\":{data}")).unwrap_or_default();
    let line = format!("{{\"type\":\"{kind}\",\"id\":{}{data}}}\n", json!(record.id));
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(|e| Complaint::io("write an event", &e))
}

/// Go's form of durations: numbers with units, such as `1m30s` or `1.5s`.
fn interval(text: &str) -> Result<Duration, Complaint> {
    const UNITS: [(&str, f64); 8] = [
        ("ns", 1.0),
        ("us", 1e3),
        ("µs", 1e3),
        ("μs", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
        ("m", 6e10),
        ("h", 3.6e12),
    ];
    let wrong = || Complaint::new(format!("--interval {text:?} is not a duration like 5s"));
    let mut nanoseconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) =
            rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?);
        let (unit, after) =
            after.split_at(after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len()));
        let scale = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1;
        nanoseconds += number.parse::<f64>().map_err(|_| wrong())? * scale;
        rest = after;
    }
    if nanoseconds < 1.0 {
        return Err(Complaint::new("duration interval must be greater than 0"));
    }
    Ok(Duration::from_nanos(nanoseconds as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, milliseconds) in [
            ("5s", Some(5000)),
            ("100ms", Some(100)),
            ("1m30s", Some(90_000)),
            ("1.5s", Some(1500)),
            ("1h", Some(3_600_000)),
            ("2000us", Some(2)),
            ("0s", None),
            ("", None),
            ("5", None),
            ("s", None),
            ("-1s", None),
            ("1x", None),
            ("1.2.3s", None),
        ] {
            let read = interval(text).ok().map(|d| d.as_millis());
            assert_eq!(read, milliseconds, "{text}");
        }
    }
}
