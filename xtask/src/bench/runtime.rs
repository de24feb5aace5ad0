//! OCI runtimes side by side, without an engine: `run` of a static `true` with and without Docker's default filter, `exec` of it in a
//! running container, 64 `create` at once.

use std::path::Path;
use std::process::Command;

use super::contestants::{Clock, Contestant, Network, Runtime, limit_words, runtimes, texts};
use super::image::{self, Image};
use super::measure::{interleave, quantile};
use super::stage::Stage;
use super::{Options, bundle, parallel};
use crate::command;

/// What is measured, and the row that all others of it are divided by.
const SECTIONS: [&str; 3] = ["run", "run, no filter", "exec"];

/// The limit without layers: a bundle's root is a directory. Stricter than the limit of `bench start`, by which rows are divided.
const PLAIN_LIMIT: &str = "limit, no layers";

/// One program's part in one section.
struct Entry {
    section: &'static str,
    contestant: Contestant,
}

/// Measures and prints.
pub(super) fn measure(stage: &Stage, options: &Options) -> Result<(), String> {
    let image = image::build(stage)?;
    let runtimes = runtimes(stage)?;
    let mut entries = Vec::new();
    add_runs(&mut entries, stage, &image, &runtimes)?;
    let running = add_execs(&mut entries, stage, &image, &runtimes)?;
    let (sections, mut contestants): (Vec<_>, Vec<_>) =
        entries.into_iter().map(|entry| (entry.section, entry.contestant)).unzip();
    interleave(&mut contestants, options);
    running.iter().for_each(|words| drop(Command::new(&words[0]).args(&words[1..]).status()));
    println!(
        "`cargo xtask bench runtime --runs {}`: milliseconds, interleaved, after {} rounds of warm-up.\n",
        options.runs, options.warm
    );
    println!("| what | program | median | p90 | × limit | × crun |");
    println!("| --- | --- | ---: | ---: | ---: | ---: |");
    for section in SECTIONS {
        let within: Vec<&Contestant> = sections
            .iter()
            .zip(&contestants)
            .filter(|(of, _)| **of == section)
            .map(|(_, each)| each)
            .collect();
        print_section(section, &within);
    }
    for contestant in &contestants {
        if let Some(reason) = &contestant.skipped {
            println!("\n{}: skipped {reason}", contestant.name);
        }
    }
    let size = std::fs::metadata(&stage.programs.runtime).map_err(|error| error.to_string())?.len();
    println!("\nSize of `berth-runtime`: {:.2} MB, static.\n", size as f64 / 1e6);
    parallel::measure(stage, &image, &runtimes, options)
}

fn print_section(section: &str, within: &[&Contestant]) {
    let median =
        |name: &str| within.iter().find(|c| c.name == name).map_or(f64::NAN, |c| quantile(&c.times, 0.5));
    for each in within.iter().filter(|each| !each.times.is_empty()) {
        let (middle, p90) = (quantile(&each.times, 0.5), quantile(&each.times, 0.9));
        println!(
            "| {section} | {} | {middle:.2} | {p90:.2} | {:.2} | {:.2} |",
            each.name,
            middle / median("limit"),
            middle / median("crun")
        );
    }
}

fn add_runs(
    entries: &mut Vec<Entry>,
    stage: &Stage,
    image: &Image,
    runtimes: &[Runtime],
) -> Result<(), String> {
    for (section, filtered) in [("run", true), ("run, no filter", false)] {
        let mut words = limit_words(stage, image)?;
        if !filtered {
            let at = words.iter().position(|word| word == "--filter").unwrap_or(words.len());
            words.drain(at..at + 2);
        }
        words.extend(["--runs", "1", "--warm", "0"].map(str::to_owned));
        let plain = words.iter().cloned().chain(["--plain", "1"].map(str::to_owned)).collect();
        for (name, words) in [("limit", words), (PLAIN_LIMIT, plain)] {
            let limit = Contestant { clock: Clock::Printed, ..Contestant::new(name, Network::None, words) };
            entries.push(Entry { section, contestant: limit });
        }
        for runtime in runtimes {
            let tail = if filtered { "filtered" } else { "plain" };
            let shape = bundle::Shape {
                cgroup: format!("/{}-{}-{tail}", stage.mark, runtime.name),
                filtered,
                ..bundle::Shape::default()
            };
            let bundle =
                bundle::write(stage.path(&format!("bundle-{}-{tail}", runtime.name)), image, &shape)?;
            let mut words = runtime.words.clone();
            words.extend(texts(&[Path::new("run"), Path::new("--bundle"), &bundle, Path::new(tail)]));
            entries.push(Entry { section, contestant: Contestant::new(runtime.name, Network::None, words) });
        }
    }
    Ok(())
}

/// Each runtime's in a container of its own; answers the commands that end those.
fn add_execs(
    entries: &mut Vec<Entry>,
    stage: &Stage,
    image: &Image,
    runtimes: &[Runtime],
) -> Result<Vec<Vec<String>>, String> {
    let mut running = Vec::new();
    for runtime in runtimes {
        let shape = bundle::Shape {
            cgroup: format!("/{}-{}-exec", stage.mark, runtime.name),
            program: "/pause",
            ..bundle::Shape::default()
        };
        let bundle = bundle::write(stage.path(&format!("bundle-{}-exec", runtime.name)), image, &shape)?;
        let pid = stage.path(&format!("pid-{}", runtime.name));
        let mut start = Command::new(&runtime.words[0]);
        start.args(&runtime.words[1..]).args(["run", "--detach", "--pid-file"]).arg(&pid);
        let started = command::run(start.arg("--bundle").arg(&bundle).arg("exec"));
        let with = |tail: &[&str]| {
            runtime.words.iter().cloned().chain(tail.iter().map(|w| (*w).to_owned())).collect()
        };
        if started.is_ok() && running.is_empty() {
            let pid = std::fs::read_to_string(&pid).map_err(|error| format!("{}: {error}", pid.display()))?;
            let words = texts(&[&image.exec, Path::new(pid.trim()), &image.filter, Path::new("/true")]);
            entries
                .push(Entry { section: "exec", contestant: Contestant::new("limit", Network::None, words) });
        }
        running.push(with(&["delete", "--force", "exec"]));
        let contestant = Contestant::new(runtime.name, Network::None, with(&["exec", "exec", "/true"]));
        entries
            .push(Entry { section: "exec", contestant: Contestant { skipped: started.err(), ..contestant } });
    }
    Ok(running)
}
