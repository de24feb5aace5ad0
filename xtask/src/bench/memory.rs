//! Memory per idle container: the processes' own share, and what the kernel holds besides.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::daemons::{self, Daemon};
use super::processes::{self, Held};
use super::stage::Stage;
use super::{Options, contestants, image};
use crate::command;

/// Memory at one moment, in KiB.
struct Moment {
    /// Share of all processes but the containers' own and the bench's.
    engine: u64,
    /// Share of the containers' own processes.
    containers: u64,
    /// What the kernel holds and cannot give up: objects, per-CPU counters, our processes' page tables and stacks.
    kernel: u64,
    /// Kernel objects that are a cache: inodes, directory entries.
    cache: u64,
}

/// Idle daemons first, then containers by the hundreds, then the same under Docker.
pub(super) fn measure(stage: &Stage, options: &Options) -> Result<(), String> {
    let image = image::build(stage)?;
    println!(
        "`cargo xtask bench memory`: KiB per idle container (`/pause`, on the bridge), and of what watches over it."
    );
    println!("Processes by their proportional share (PSS); kernel: SUnreclaim, Percpu, and these processes'");
    println!(
        "page tables and stacks. The kernel's part is a difference of the whole machine's, which should be quiet;"
    );
    println!("free objects do not count. limit: what the kernel needs for the same containers.\n");
    let limit = contestants::limit_words(stage, &image)?.into_iter().chain(contestants::limit_bridge()?);
    let limit: Vec<String> = limit.collect();
    let berth = daemons::start_berth(stage)?;
    let client =
        [stage.programs.berth.to_string_lossy().into_owned(), "--host".to_owned(), berth.host().to_owned()];
    daemons::import(command_of(&client), &image.archive)?;
    // One container first: the supervisor starts with it.
    run_idle(&client)?;
    remove_all(&client)?;
    print_idle(&berth);
    print_head();
    for count in &options.counts {
        measure_limit(&limit, *count)?;
        measure_engine("berth", &client, *count)?;
    }
    drop(berth);
    match daemons::start_docker(stage) {
        Ok(docker) => {
            let client = ["docker".to_owned(), "--host".to_owned(), docker.host().to_owned()];
            daemons::import(command_of(&client), &image.archive)?;
            measure_engine("docker", &client, options.docker_count)
        }
        Err(reason) => {
            println!("\ndocker: skipped: {reason}");
            Ok(())
        }
    }
}

fn print_idle(berth: &Daemon) {
    let mut total = 0;
    for (pid, process) in processes::all() {
        let what = match process.name.contains("supervisor") {
            _ if pid == berth.pid() => "daemon",
            true => "supervisor",
            false => continue,
        };
        total += process.rss;
        println!("idle {what}: RSS {} KiB, PSS {} KiB", process.rss, process.pss);
    }
    println!("idle together: RSS {:.1} MiB\n", total as f64 / 1024.0);
}

fn print_head() {
    println!(
        "| engine | containers | engine's processes | container's process | kernel | together | caches of the kernel |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
}

fn measure_engine(name: &str, client: &[String], count: usize) -> Result<(), String> {
    let before = Moment::now();
    for _ in 0..count {
        run_idle(client)?;
    }
    let after = Moment::now();
    remove_all(client)?;
    print(name, count, &before, &after);
    Ok(())
}

/// The limit program holds as many containers itself.
fn measure_limit(words: &[String], count: usize) -> Result<(), String> {
    let before = Moment::now();
    let mut limit = command_of(words);
    limit.args(["--program", "/pause", "--hold", &count.to_string()]);
    let mut limit = limit
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("start the limit program: {error}"))?;
    let mut said = [0; 6];
    let ready = limit.stdout.take().map(|mut out| out.read_exact(&mut said));
    let after = Moment::now();
    drop(limit.stdin.take());
    let status = limit.wait().map_err(|error| format!("wait for the limit program: {error}"))?;
    if !matches!(ready, Some(Ok(()))) || !status.success() {
        return Err(format!("the limit program failed: {status}"));
    }
    print("limit", count, &before, &after);
    Ok(())
}

fn print(name: &str, count: usize, before: &Moment, after: &Moment) {
    let per = |after: u64, before: u64| (after as f64 - before as f64) / count as f64;
    let (engine, containers) = (per(after.engine, before.engine), per(after.containers, before.containers));
    let kernel = per(after.kernel, before.kernel);
    println!(
        "| {name} | {count} | {engine:.0} | {containers:.0} | {kernel:.0} | {:.0} | {:.0} |",
        engine + containers + kernel,
        per(after.cache, before.cache)
    );
}

impl Moment {
    fn now() -> Self {
        settle();
        let cache = processes::meminfo().get("SReclaimable").copied().unwrap_or_default();
        let mut moment = Self { engine: 0, containers: 0, kernel: kernel_kib(), cache };
        for (pid, process) in processes::all() {
            if is_bench(pid, &process) {
                continue;
            }
            moment.kernel += process.kernel;
            if process.name == "/pause" {
                moment.containers += process.pss;
            } else {
                moment.engine += process.pss;
            }
        }
        moment
    }
}

/// The bench itself, and the shell it runs under.
fn is_bench(pid: u32, process: &Held) -> bool {
    pid == 1 || pid == std::process::id() || process.name.contains("xtask bench")
}

fn run_idle(client: &[String]) -> Result<(), String> {
    let mut run = command_of(client);
    run.args(["run", "--detach", "bench", "/pause"]).stdout(Stdio::null());
    command::run(&mut run)
}

fn remove_all(client: &[String]) -> Result<(), String> {
    let ids = command::output(command_of(client).args(["ps", "--quiet", "--no-trunc"]))?;
    for some in ids.lines().collect::<Vec<_>>().chunks(50) {
        command::run(command_of(client).args(["rm", "--force"]).args(some).stdout(Stdio::null()))?;
    }
    Ok(())
}

fn command_of(client: &[String]) -> Command {
    let mut command = Command::new(&client[0]);
    command.args(&client[1..]);
    command
}

/// The kernel frees and counts with delay, what an earlier bench left too: waits until its memory stands still.
fn settle() {
    const STILL_KIB: u64 = 512;
    let mut before = u64::MAX;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_secs(3));
        processes::shrink_slabs();
        let now = kernel_kib();
        if now.abs_diff(before) < STILL_KIB {
            return;
        }
        before = now;
    }
    eprintln!("the kernel's memory does not stand still: somebody else works here");
}

/// Objects and per-CPU counters of the kernel that it cannot give up. Not the room between objects that others left free: new ones
/// fill it without being seen.
fn kernel_kib() -> u64 {
    let memory = processes::meminfo();
    let held: u64 = ["SUnreclaim", "Percpu"].iter().filter_map(|name| memory.get(*name)).sum();
    held.saturating_sub(processes::free_objects())
}
