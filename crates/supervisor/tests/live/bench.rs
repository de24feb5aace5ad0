//! A supervisor of our own in a directory of our own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio as Std};
use std::sync::atomic::{AtomicU32, Ordering};

use protocol::plan::Process;
use protocol::{Ask, Attach, Event, Exit, Happening, Log, Plan, Start, Stdio, Target, Tell};

use crate::wire::Wire;

static COUNT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Bench {
    pub(crate) root: String,
    pub(crate) supervisor: Child,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root: PathBuf = std::env::temp_dir().join(format!("berth-live-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&root).expect("directory");
        let root = root.to_string_lossy().into_owned();
        Self { supervisor: begin(&root, &[]), root }
    }

    /// One that dies when it enters the system call `name` for the `count`th time.
    pub(crate) fn dying_at(name: &str, count: u32) -> Self {
        let mut bench = Self::new();
        bench.kill();
        let inject = format!("inject={name}:signal=SIGKILL:when={count}");
        bench.supervisor = begin(&bench.root, &["strace", "-qq", "-o", "/dev/null", "-e", &inject]);
        bench
    }

    /// Kills it (if it is alive), below its tracer, and waits for its end.
    pub(crate) fn bury(&mut self) {
        let pid = self.supervisor.id();
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            if let Some(pid) = rustix::process::Pid::from_raw(child) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
    }

    pub(crate) fn connect(&self) -> Wire {
        let mut wire = Wire::connect(&self.root);
        wire.done(Ask::Adopt(protocol::Adopt { held: Vec::new(), more: false }));
        wire
    }

    pub(crate) fn kill(&mut self) {
        self.supervisor.kill().expect("kill");
        self.supervisor.wait().expect("wait");
    }

    pub(crate) fn revive(&mut self) {
        self.supervisor = begin(&self.root, &[]);
    }

    pub(crate) fn log_path(&self, id: &str) -> String {
        format!("{}/{id}.log", self.root)
    }

    pub(crate) fn start(&self, id: &str, script: &str) -> Start {
        let process = Process {
            args: ["/bin/sh", "-c", script].map(str::to_owned).into(),
            env: vec!["PATH=/usr/bin:/bin".into()],
            cwd: "/".into(),
            ..Process::default()
        };
        Start {
            plan: Some(Plan { id: id.into(), process: Some(process), ..Plan::default() }),
            stdio: Some(Stdio::default()),
            log: Some(Log { path: self.log_path(id), max_bytes: 0, max_files: 1 }),
            ..Start::default()
        }
    }

    /// The contents of the log's lines with their streams, over all files.
    pub(crate) fn log(&self, id: &str) -> Vec<(String, String)> {
        let path = self.log_path(id);
        let older = (1..100).rev().map(|n| format!("{path}.{n}"));
        let mut lines = Vec::new();
        for file in older.chain([path.clone()]) {
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            for line in text.lines() {
                let field = |name: &str| {
                    let start = line.find(&format!("\"{name}\":\"")).expect(line) + name.len() + 4;
                    line[start..start + line[start..].find('"').expect(line)].to_owned()
                };
                lines.push((field("stream"), field("log")));
            }
        }
        lines
    }
}

fn begin(root: &str, tracer: &[&str]) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(format!("{root}/stderr")).expect("log");
    let own = std::env::current_exe().expect("own path").to_string_lossy().into_owned();
    let words: Vec<&str> =
        tracer.iter().copied().chain([own.as_str(), "supervisor", "--root", root]).collect();
    Command::new(words[0]).args(&words[1..]).stdin(Std::null()).stderr(log).spawn().expect("supervisor")
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
        let errors = std::fs::read_to_string(format!("{}/stderr", self.root)).unwrap_or_default();
        if !errors.is_empty() {
            println!("{errors}");
        }
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

pub(crate) fn target(container: &str, exec: &str) -> Target {
    Target { container: container.into(), exec: exec.into() }
}

pub(crate) fn attach(container: &str, exec: &str, stdin: bool) -> Ask {
    let target = Some(target(container, exec));
    Ask::Attach(Attach { target, stdin, output: true, with_open_line: false, behind: None })
}

/// Reads an attached stream to its end.
pub(crate) fn read_output(wire: &mut Wire) -> (Vec<u8>, Vec<u8>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    loop {
        match wire.next() {
            Tell::Output(output) if output.end => return (out, err),
            Tell::Output(output) if output.stream == 1 => out.extend(output.bytes),
            Tell::Output(output) => err.extend(output.bytes),
            Tell::Attached(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Waits for the exit of a container.
pub(crate) fn wait_exit(wire: &mut Wire, id: &str, exec: &str) -> (Event, Exit) {
    loop {
        if let Tell::Event(event) = wire.next()
            && let Some(Happening::Exited(exited)) = &event.what
            && event.target == Some(target(id, exec))
        {
            let exit = exited.exit.expect("exit");
            return (event, exit);
        }
    }
}
