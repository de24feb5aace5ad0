//! The client against a real supervisor, which is killed and upgraded under it. Needs the small program: `BERTH_RUNTIME`, or
//! `berth-runtime` beside the test's target directory; without it the tests say so and pass.

use std::path::PathBuf;
use std::time::Duration;

use protocol::plan::Process;
use protocol::{Happening, Log, Plan, Stdio};

use super::*;

struct Bench {
    root: PathBuf,
    runtime: PathBuf,
}

impl Bench {
    fn new(name: &str) -> Option<Self> {
        let built = || Some(std::env::current_exe().ok()?.parent()?.parent()?.join("berth-runtime"));
        let runtime = std::env::var_os("BERTH_RUNTIME").map(PathBuf::from).or_else(built)?;
        if !runtime.is_file() {
            println!("skipped: {} is not built", runtime.display());
            return None;
        }
        let root = std::env::temp_dir().join(format!("berth-client-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&root).expect("directory");
        Some(Self { root, runtime })
    }

    async fn connect(&self) -> Supervisor {
        Supervisor::connect_or_start(&self.root, &self.runtime).await.expect("a supervisor")
    }

    fn start(&self, id: &str, script: &str) -> Start {
        let process = Process {
            args: ["/bin/sh", "-c", script].map(str::to_owned).into(),
            env: vec!["PATH=/usr/bin:/bin".into()],
            cwd: "/".into(),
            ..Process::default()
        };
        let path = self.log_path(id).to_string_lossy().into_owned();
        Start {
            plan: Some(Plan { id: id.into(), process: Some(process), ..Plan::default() }),
            stdio: Some(Stdio { stdin: true, stdin_once: true, ..Stdio::default() }),
            log: Some(Log { path, max_bytes: 0, max_files: 1 }),
            ..Start::default()
        }
    }

    fn log_path(&self, id: &str) -> PathBuf {
        self.root.join(format!("{id}.log"))
    }

    fn lines(&self, id: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.log_path(id)).unwrap_or_default();
        text.lines().map(|line| line.split('"').nth(3).unwrap_or_default().to_owned()).collect()
    }

    async fn kill_supervisor(&self) {
        let connect = || std::os::unix::net::UnixStream::connect(self.root.join("supervisor.sock"));
        // The last one killed may not have been replaced yet; that is the link task's work.
        let stream = loop {
            match connect() {
                Ok(stream) => break stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        let peer = rustix::net::sockopt::socket_peercred(stream).expect("peer");
        rustix::process::kill_process(peer.pid, rustix::process::Signal::KILL).expect("kill");
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn target(id: &str) -> Target {
    Target { container: id.into(), exec: String::new() }
}

async fn exit_of(events: &mut SupervisorEvents, id: &str) -> Option<i32> {
    loop {
        let event = events.next().await.expect("an event");
        if let Some(Happening::Exited(exited)) = event.what
            && event.target == Some(target(id))
        {
            return exited.exit.and_then(|exit| exit.code);
        }
    }
}

const TALKER: &str =
    "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); sleep 0.001; done; read a; echo $a; exit 42";

#[tokio::test]
async fn callers_see_a_delay() {
    let Some(bench) = Bench::new("delay") else { return };
    let supervisor = bench.connect().await;
    let mut events = supervisor.events().expect("the only listener");
    assert!(supervisor.events().is_none());
    let (mut writer, mut reader) = supervisor.attach(target("c"), true, true).await.expect("attach");
    let started = supervisor.start(bench.start("c", TALKER), Vec::new()).await.expect("start");
    for round in 0..10 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        bench.kill_supervisor().await;
        if round % 3 == 0 {
            let listed = supervisor.list().await.expect("list");
            assert_eq!(listed.containers.len(), 1);
            assert_eq!(listed.containers[0].pid, started.pid);
        }
    }
    let type_later = async {
        // Input sent to a supervisor in its last moment is lost with it; so let the last kill take effect.
        tokio::time::sleep(Duration::from_millis(500)).await;
        writer.write(b"typed\n").await.expect("input");
    };
    let read = async {
        let mut all = Vec::new();
        while let Some((stream, bytes)) = reader.next().await {
            assert_eq!(stream, 1);
            all.extend_from_slice(&bytes);
        }
        String::from_utf8(all).expect("text")
    };
    let both = async { tokio::join!(type_later, read).1 };
    let seen = tokio::time::timeout(Duration::from_secs(20), both).await.expect("an end");
    assert_eq!(exit_of(&mut events, "c").await, Some(42));
    let mut expected: Vec<String> = (0..1000).map(|n| format!("line {n}\\n")).collect();
    expected.push("typed\\n".into());
    assert_eq!(bench.lines("c"), expected);
    // The attached client has missed nothing either.
    assert_eq!(seen, expected.concat().replace("\\n", "\n"));
    supervisor.remove(target("c")).await.expect("remove");
    supervisor.shutdown().await.expect("shutdown");
}

#[tokio::test]
async fn a_new_daemon_goes_on() {
    let Some(bench) = Bench::new("daemon") else { return };
    let first = bench.connect().await;
    let started = first.start(bench.start("c", TALKER), Vec::new()).await.expect("start");
    drop(first);
    let second = bench.connect().await;
    let mut events = second.events().expect("events");
    assert_eq!(second.list().await.expect("list").containers[0].pid, started.pid);
    bench.kill_supervisor().await;
    second.upgrade(&bench.runtime).await.expect("upgrade");
    let (mut writer, mut reader) = second.attach(target("c"), true, true).await.expect("attach");
    assert!(reader.place().running && reader.place().log_inode != 0);
    writer.end().await.expect("end");
    while reader.next().await.is_some() {}
    assert_eq!(exit_of(&mut events, "c").await, Some(42));
    assert_eq!(bench.lines("c").len(), 1001);
    second.remove(target("c")).await.expect("remove");
    second.shutdown().await.expect("shutdown");
}

#[tokio::test]
async fn failures_come_with_their_code() {
    let Some(bench) = Bench::new("failures") else { return };
    let supervisor = bench.connect().await;
    let mut start = bench.start("c", "");
    if let Some(process) = start.plan.as_mut().and_then(|plan| plan.process.as_mut()) {
        process.args = vec!["/no/such/program".into()];
    }
    let error = supervisor.start(start, Vec::new()).await.expect_err("no program");
    assert_eq!(error.exit_code(), 127);
    let error = supervisor.remove(target("c")).await.expect_err("nothing there");
    assert_eq!(error.kind(), Kind::NotFound);
    supervisor.shutdown().await.expect("shutdown");
    let missing = bench.root.join("nothing");
    let error = Supervisor::connect_or_start(&missing, &missing).await.expect_err("no program");
    assert_eq!(error.kind(), Kind::Unavailable);
}
