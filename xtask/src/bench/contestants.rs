//! Who takes part, and the command by which each runs one container.

use std::path::Path;
use std::process::{Command, Stdio};

use super::daemons::{self, Daemon};
use super::image::{self, Image};
use super::stage::Stage;
use super::{Options, bundle};
use crate::command;

/// The container's place on a network.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    /// No network, or a network namespace without any link: `--network none`.
    None,
    /// The engine's bridge.
    Bridge,
}

/// Where a run's time comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// From before the command's start until after its end.
    Wall,
    /// The program prints microseconds: its own start is none of the container's.
    Printed,
}

/// One way to run the container.
pub(super) struct Contestant {
    pub(super) name: &'static str,
    pub(super) network: Network,
    pub(super) clock: Clock,
    pub(super) words: Vec<String>,
    /// Milliseconds of every run after the warm-up.
    pub(super) times: Vec<f64>,
    /// Why it does not take part (any more).
    pub(super) skipped: Option<String>,
}

/// The contestants with what has to live as long as they run.
pub(super) struct Contestants {
    pub(super) list: Vec<Contestant>,
    _daemons: Vec<Daemon>,
}

/// The name of the limit program's row, by which all others are divided.
pub(super) const LIMIT: &str = "limit";

const LIMITS: [&str; 6] = ["--memory", "64m", "--cpus", "1", "--pids-limit", "100"];
const BRIDGE: &str = "blimit0";
const SUBNET: &str = "172.31.251.1/24";

impl Contestant {
    pub(super) fn new(name: &'static str, network: Network, words: Vec<String>) -> Self {
        Self { name, network, clock: Clock::Wall, words, times: Vec::new(), skipped: None }
    }

    /// The command of one run.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).stdin(Stdio::null());
        command
    }
}

/// Prepares everybody who can take part here.
pub(super) fn gather(stage: &Stage, options: &Options) -> Result<Contestants, String> {
    let image = image::build(stage)?;
    let mut contestants = Contestants { list: Vec::new(), _daemons: Vec::new() };
    let plain = image.root.join("true").to_string_lossy().into_owned();
    contestants.list.push(Contestant::new("fork and exec of true", Network::None, vec![plain]));
    add_limit(&mut contestants.list, stage, &image)?;
    add_runtimes(&mut contestants.list, stage, &image)?;
    if options.takes("podman run") {
        add_podman(&mut contestants.list, stage, &image);
    }
    for (name, start) in
        [("berth run", daemons::start_berth as fn(&Stage) -> _), ("docker run", daemons::start_docker)]
    {
        if options.takes(name) {
            add_engine(&mut contestants, stage, &image, (name, start));
        }
    }
    contestants.list.retain(|contestant| contestant.name == LIMIT || options.takes(contestant.name));
    Ok(contestants)
}

fn add_limit(list: &mut Vec<Contestant>, stage: &Stage, image: &Image) -> Result<(), String> {
    let mut words = limit_words(stage, image)?;
    words.extend(["--runs", "1", "--warm", "0"].map(str::to_owned));
    let mut bridged = words.clone();
    bridged.extend(limit_bridge()?);
    for (network, words) in [(Network::None, words), (Network::Bridge, bridged)] {
        list.push(Contestant { clock: Clock::Printed, ..Contestant::new(LIMIT, network, words) });
    }
    Ok(())
}

/// The command of the limit program, without saying how many.
pub(super) fn limit_words(stage: &Stage, image: &Image) -> Result<Vec<String>, String> {
    let work = stage.path("limit-work");
    std::fs::create_dir_all(&work).map_err(|error| error.to_string())?;
    let mut words = texts(&[&image.limit, Path::new("--lower"), &image.root, Path::new("--work"), &work]);
    words.extend(["--filter".to_owned(), image.filter.to_string_lossy().into_owned()]);
    words.extend(["--cgroup".to_owned(), format!("{}-limit", stage.mark)]);
    Ok(words)
}

/// Makes the limit program's bridge; its words for that.
pub(super) fn limit_bridge() -> Result<[String; 4], String> {
    let ip = |words: &str| command::run(Command::new("ip").args(words.split(' ')));
    ip(&format!("link add {BRIDGE} type bridge"))?;
    ip(&format!("address add {SUBNET} dev {BRIDGE}"))?;
    ip(&format!("link set {BRIDGE} up"))?;
    Ok(["--bridge", BRIDGE, "--subnet", SUBNET].map(str::to_owned))
}

fn add_runtimes(list: &mut Vec<Contestant>, stage: &Stage, image: &Image) -> Result<(), String> {
    for runtime in runtimes(stage)? {
        let shape =
            bundle::Shape { cgroup: format!("/{}-{}", stage.mark, runtime.name), ..bundle::Shape::default() };
        let bundle = bundle::write(stage.path(&format!("bundle-{}", runtime.name)), image, &shape)?;
        let mut words = runtime.words.clone();
        words.extend(texts(&[Path::new("run"), Path::new("--bundle"), &bundle, Path::new("bench")]));
        list.push(Contestant::new(runtime.run, Network::None, words));
    }
    Ok(())
}

/// An OCI runtime.
pub(super) struct Runtime {
    pub(super) name: &'static str,
    /// The row's name of a start.
    run: &'static str,
    /// The program and its options before the command.
    pub(super) words: Vec<String>,
}

/// Those that are here. Each keeps its state in a directory of its own in memory, as below `/run`.
pub(super) fn runtimes(stage: &Stage) -> Result<Vec<Runtime>, String> {
    let state = stage.path("state");
    std::fs::create_dir_all(&state).map_err(|error| format!("{}: {error}", state.display()))?;
    command::run(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&state))?;
    let ours = stage.programs.runtime.to_string_lossy().into_owned();
    let mut runtimes = Vec::new();
    for (name, run, program) in [
        ("berth-runtime", "berth-runtime run", ours.as_str()),
        ("crun", "crun run", "crun"),
        ("runc", "runc run", "runc"),
        ("youki", "youki run", "youki"),
    ] {
        let there =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if there.is_err() {
            continue;
        }
        let state = state.join(name);
        std::fs::create_dir(&state).map_err(|error| format!("{}: {error}", state.display()))?;
        let words = vec![program.to_owned(), "--root".to_owned(), state.to_string_lossy().into_owned()];
        runtimes.push(Runtime { name, run, words });
    }
    Ok(runtimes)
}

fn add_podman(list: &mut Vec<Contestant>, stage: &Stage, image: &Image) {
    let mut base = vec!["podman".to_owned(), "--root".to_owned()];
    base.extend(texts(&[&stage.path("podman"), Path::new("--runroot"), &stage.path("podman-run")]));
    base.extend(texts(&[Path::new("--tmpdir"), &stage.path("podman-tmp")]));
    base.extend(["--cgroup-manager", "cgroupfs", "--storage-driver", "overlay"].map(str::to_owned));
    let imported = daemons::import(client(&base), &image.archive);
    for (network, flag) in [(Network::None, "none"), (Network::Bridge, "bridge")] {
        let mut words = base.clone();
        words.extend(run_words(flag, image));
        words.splice(
            words.len() - 2..words.len() - 2,
            ["--cgroup-parent".to_owned(), format!("/{}-podman", stage.mark)],
        );
        let skipped = imported.clone().err();
        list.push(Contestant { skipped, ..Contestant::new("podman run", network, words) });
    }
}

type Engine = (&'static str, fn(&Stage) -> Result<Daemon, String>);

fn add_engine(contestants: &mut Contestants, stage: &Stage, image: &Image, (name, start): Engine) {
    let berth = stage.programs.berth.to_string_lossy().into_owned();
    let program = if name == "docker run" { "docker".to_owned() } else { berth };
    let started = start(stage).and_then(|daemon| {
        let base = vec![program, "--host".to_owned(), daemon.host().to_owned()];
        daemons::import(client(&base), &image.archive)?;
        contestants._daemons.push(daemon);
        Ok(base)
    });
    for (network, flag) in [(Network::None, "none"), (Network::Bridge, "bridge")] {
        let (mut words, skipped) = match &started {
            Ok(base) => (base.clone(), None),
            Err(reason) => (Vec::new(), Some(reason.clone())),
        };
        words.extend(run_words(flag, image));
        contestants.list.push(Contestant { skipped, ..Contestant::new(name, network, words) });
    }
}

/// `run` and its flags, the same for every engine.
fn run_words(network: &str, image: &Image) -> Vec<String> {
    let mut words: Vec<String> = ["run", "--rm", "--network", network].map(str::to_owned).to_vec();
    words.extend(LIMITS.map(str::to_owned));
    words.extend(["--security-opt".to_owned(), format!("seccomp={}", image.profile.display())]);
    words.extend(["bench", "/true"].map(str::to_owned));
    words
}

fn client(base: &[String]) -> Command {
    let mut client = Command::new(&base[0]);
    client.args(&base[1..]);
    client
}

pub(super) fn texts(paths: &[&Path]) -> Vec<String> {
    paths.iter().map(|path| path.to_string_lossy().into_owned()).collect()
}
