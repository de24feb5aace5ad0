//! The log after a death at every stage of a batch.

use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{CWD, Mode, OFlags};

use super::*;

struct Bench {
    directory: PathBuf,
    rules: Log,
    ledger: Ledger,
    slot: usize,
}

impl Bench {
    fn new(name: &str, max_bytes: u64) -> Self {
        let directory = std::env::temp_dir().join(format!("berth-log-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("directory");
        let rules =
            Log { path: directory.join("log").to_string_lossy().into_owned(), max_bytes, max_files: 3 };
        let mut ledger = open(&directory);
        let slot = ledger.take_slot().expect("slot");
        Self { directory, rules, ledger, slot }
    }

    fn log(&self) -> ContainerLog {
        ContainerLog::open(&self.ledger, self.slot, &self.rules).expect("log")
    }

    /// As a new supervisor does after a death.
    fn revive(&mut self) {
        self.ledger = open(&self.directory);
        self.ledger.load().expect("load");
        let rules = self.rules.clone();
        recover(&mut self.ledger, |_| Some(rules.clone())).expect("recover");
    }

    /// The lines of all files, oldest first, quotes and metadata taken off.
    fn lines(&self) -> Vec<String> {
        let mut text = String::new();
        for suffix in [".2", ".1", ""] {
            text += &std::fs::read_to_string(format!("{}{suffix}", self.rules.path)).unwrap_or_default();
        }
        let content = |line: &str| line.split('"').nth(3).map(str::to_owned).unwrap_or_default();
        text.lines().map(content).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn open(directory: &std::path::Path) -> Ledger {
    let directory = rustix::fs::openat(CWD, directory, OFlags::DIRECTORY, Mode::empty()).expect("open");
    Ledger::open(directory.as_fd()).expect("ledger")
}

fn pipe(content: &[u8]) -> OwnedFd {
    let (read, write) = rustix::pipe::pipe().expect("pipe");
    std::fs::File::from(write).write_all(content).expect("write");
    read
}

#[test]
fn whole_batches() {
    let mut bench = Bench::new("whole", 0);
    let mut log = bench.log();
    let mut buffer = vec![0; BATCH_BYTES];
    let source = pipe(b"one\ntwo\nthr");
    let source = Source::Pipe(source.as_fd());
    assert_eq!(log.batch(&mut bench.ledger, Stream::Out, source, &mut buffer), Ok(11));
    assert_eq!(log.batch(&mut bench.ledger, Stream::Out, source, &mut buffer), Ok(0));
    assert_eq!(bench.lines(), ["one\\n", "two\\n"]);
    drop(log);
    bench.revive();
    let mut log = bench.log();
    assert_eq!(log.open_line(Stream::Out), b"thr");
    let source = pipe(b"ee\n");
    log.batch(&mut bench.ledger, Stream::Out, Source::Pipe(source.as_fd()), &mut buffer).expect("batch");
    let source = pipe(b"end");
    log.batch(&mut bench.ledger, Stream::Err, Source::Pipe(source.as_fd()), &mut buffer).expect("batch");
    log.flush(&mut bench.ledger, Stream::Err);
    assert_eq!(bench.lines(), ["one\\n", "two\\n", "three\\n", "end"]);
}

/// Dies after the intent, after the splice, after half of the entries, after all, after the open line.
#[test]
fn death_at_every_stage() {
    for stage in 0..5 {
        let mut bench = Bench::new(&format!("stage{stage}"), 0);
        let mut buffer = vec![0; BATCH_BYTES];
        let mut log = bench.log();
        let source = pipe(b"first\nop");
        log.batch(&mut bench.ledger, Stream::Out, Source::Pipe(source.as_fd()), &mut buffer).expect("batch");
        let source = pipe(b"en\nthird\nrest");
        let source = Source::Pipe(source.as_fd());
        let intent = log.intent(&mut bench.ledger, Stream::Out, Intent::WRITE);
        bench.ledger.put_intent(&intent).expect("intent");
        if stage >= 1 {
            bench.ledger.fill(source).expect("fill");
        }
        if stage >= 2 {
            let mut printed = Vec::new();
            entry::print(&mut printed, [b"op", b"en"], true, Stream::Out, intent.at_ns);
            entry::print(&mut printed, [b"", b"third"], true, Stream::Out, intent.at_ns);
            let end = if stage == 2 { printed.len() / 2 } else { printed.len() };
            log.append(intent.log_offset, &printed[..end]);
        }
        if stage >= 4 {
            log.open[0].bytes = b"rest".to_vec();
            log.put_open_line(&bench.ledger, 0);
        }
        drop(log);
        bench.revive();
        let mut log = bench.log();
        if stage == 0 {
            log.batch(&mut bench.ledger, Stream::Out, source, &mut buffer).expect("batch");
        }
        log.flush(&mut bench.ledger, Stream::Out);
        assert_eq!(bench.lines(), ["first\\n", "open\\n", "third\\n", "rest"], "stage {stage}");
    }
}

/// Dies in a batch that rotates, before, amidst and after the names are moved.
#[test]
fn death_in_a_rotation() {
    for stage in 0..4 {
        let mut bench = Bench::new(&format!("rotation{stage}"), 170);
        let mut buffer = vec![0; BATCH_BYTES];
        let mut log = bench.log();
        let source = pipe(b"1\n2\n3\n4\n");
        log.batch(&mut bench.ledger, Stream::Out, Source::Pipe(source.as_fd()), &mut buffer).expect("batch");
        let source = pipe(b"5\n6\n");
        let intent = log.intent(&mut bench.ledger, Stream::Out, Intent::WRITE);
        bench.ledger.put_intent(&intent).expect("intent");
        bench.ledger.fill(Source::Pipe(source.as_fd())).expect("fill");
        (log.progress.part, log.progress.done) = (intent.serial, 0);
        bench.ledger.put_progress(log.slot, &log.progress).expect("progress");
        let path = &bench.rules.path;
        if stage >= 1 {
            std::fs::rename(format!("{path}.1"), format!("{path}.2")).expect("rename");
        }
        if stage >= 2 {
            std::fs::rename(path, format!("{path}.1")).expect("rename");
        }
        if stage >= 3 {
            std::fs::write(path, "").expect("new file");
        }
        drop(log);
        bench.revive();
        assert_eq!(bench.lines(), ["1\\n", "2\\n", "3\\n", "4\\n", "5\\n", "6\\n"], "stage {stage}");
    }
}

/// Dies behind the second rotation of one batch: what is left to do begins where that rotation was.
#[test]
fn death_behind_several_rotations() {
    let mut bench = Bench::new("rotations", 170);
    let mut buffer = vec![0; BATCH_BYTES];
    let mut log = bench.log();
    let source = pipe(b"1\n2\n3\n4\n5\n6\n");
    log.batch(&mut bench.ledger, Stream::Out, Source::Pipe(source.as_fd()), &mut buffer).expect("batch");
    let expected = bench.lines();
    assert_eq!(expected.len(), 6);
    // As before the last write and the last progress.
    let unfinished = Progress { serial: 0, part: 0, done: 0, ..log.progress };
    bench.ledger.put_progress(bench.slot, &unfinished).expect("progress");
    std::fs::write(&bench.rules.path, "").expect("truncate");
    drop(log);
    bench.revive();
    assert_eq!(bench.lines(), expected);
}
