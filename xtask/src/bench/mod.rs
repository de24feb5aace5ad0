//! Benches, each a command that anybody can run as root: times and memory beside the limit and beside other engines, in one run on
//! one machine.
//!
//! Everything happens in a network, mount and pid namespace of its own (`stage`), so that whatever a peer leaves running ends with the
//! bench; what it leaves on disk and in cgroups carries the bench's mark and is removed by the process outside.

mod bundle;
mod contestants;
mod daemons;
mod guest;
mod image;
mod load;
mod measure;
mod memory;
mod parallel;
mod processes;
mod pull;
mod registry;
mod report;
mod runtime;
mod smallest;
mod stage;

use stage::Stage;

/// `cargo xtask bench start [--runs N] [--warm N] [--only a,b]`: time from the command to its end, of a container that runs a static `true`.
pub(crate) fn start(args: &[String]) -> Result<(), String> {
    let options = Options::read(args, &["--runs", "--warm", "--only"], 100)?;
    stage::within("start", args, |stage: &Stage| {
        let mut contestants = contestants::gather(stage, &options)?;
        measure::interleave(&mut contestants.list, &options);
        report::print_start(&contestants, &options);
        Ok(())
    })
}

/// `cargo xtask bench runtime [--guest] [--runs N] [--warm N]`: starts with and without a filter, execs, and starts in parallel, of OCI runtimes
/// beside the limit programs.
pub(crate) fn runtime(args: &[String]) -> Result<(), String> {
    if let Some((_, rest)) = args.split_first().filter(|(first, _)| *first == "--guest") {
        Options::read(rest, &["--runs", "--warm"], 0)?;
        return guest::runtime(rest);
    }
    let options = Options::read(args, &["--runs", "--warm"], 300)?;
    stage::within("runtime", args, |stage: &Stage| runtime::measure(stage, &options))
}

/// `cargo xtask bench memory [--counts 100,1000] [--docker-count N]`: memory of idle containers and of what watches over them.
pub(crate) fn memory(args: &[String]) -> Result<(), String> {
    let options = Options::read(args, &["--counts", "--docker-count"], 0)?;
    stage::within("memory", args, |stage: &Stage| memory::measure(stage, &options))
}

/// `cargo xtask bench pull [--runs N] [--images a,b] [--only a,b] [--small]`: pull, push, save, load and removal of images.
pub(crate) fn pull(args: &[String]) -> Result<(), String> {
    let options = pull::Options::read(args)?;
    let act = |stage: &Stage| pull::measure(stage, &options);
    if std::env::var_os(stage::INSIDE).is_some() {
        return stage::within("pull", args, act);
    }
    crate::packages::install(pull::PACKAGES)?;
    // Inside, nothing can be downloaded.
    pull::make_base()?;
    stage::within("pull", args, act)
}

/// `cargo xtask bench smallest [--only a,b]`: the smallest memory limit under which a container still starts.
pub(crate) fn smallest(args: &[String]) -> Result<(), String> {
    let options = Options::read(args, &["--only"], 0)?;
    stage::within("smallest", args, |stage: &Stage| smallest::measure(stage, &options))
}

/// `cargo xtask bench registry [--runs N]`: blobs, manifests and pushes, beside docker-registry and a bare sendfile program.
pub(crate) fn registry(args: &[String]) -> Result<(), String> {
    let options = Options::read(args, &["--runs"], 10)?;
    stage::within("registry", args, |stage: &Stage| registry::measure(stage, &options))
}

/// Most memory that a process had, in MB.
fn memory_of(process: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.map_or_else(|| "?".to_owned(), |kilobytes| (kilobytes / 1024).to_string())
}

/// What the command line says.
struct Options {
    runs: usize,
    warm: usize,
    only: Vec<String>,
    counts: Vec<usize>,
    docker_count: usize,
}

impl Options {
    fn read(args: &[String], known: &[&str], runs: usize) -> Result<Self, String> {
        let mut options =
            Self { runs, warm: 5, only: Vec::new(), counts: vec![100, 1000], docker_count: 100 };
        let mut words = args.iter();
        while let Some(word) = words.next() {
            if !known.contains(&word.as_str()) {
                return Err(format!("unknown option {word}, there are: {}", known.join(" ")));
            }
            let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
            let number =
                || value.parse::<usize>().map_err(|_| format!("{word} wants a number, not {value:?}"));
            match word.as_str() {
                "--runs" => options.runs = number()?.max(1),
                "--warm" => options.warm = number()?,
                "--docker-count" => options.docker_count = number()?,
                "--only" => options.only = value.split(',').map(str::to_owned).collect(),
                _ => {
                    let counts: Result<_, _> = value.split(',').map(str::parse).collect();
                    options.counts = counts.map_err(|_| format!("{word} wants numbers, not {value:?}"))?;
                }
            }
        }
        Ok(options)
    }

    /// Whether this contestant takes part.
    fn takes(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| name.contains(only.as_str()))
    }
}
