//! Many creates at once: how many a second, beside as many limit programs.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::contestants::{Runtime, limit_words};
use super::image::Image;
use super::measure::quantile;
use super::stage::Stage;
use super::{Options, bundle};

const AT_ONCE: usize = 64;
/// At most.
const ROUNDS: usize = 7;

/// Everybody in turn, several rounds; prints the table.
pub(super) fn measure(
    stage: &Stage,
    image: &Image,
    runtimes: &[Runtime],
    options: &Options,
) -> Result<(), String> {
    let rounds = ROUNDS.min(options.runs);
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); runtimes.len() + 1];
    for _ in 0..rounds {
        times[0].push(limit(stage, image)?);
        for (runtime, times) in runtimes.iter().zip(&mut times[1..]) {
            match create(stage, image, runtime) {
                Ok(time) => times.push(time),
                Err(reason) => eprintln!("{}: {reason}", runtime.name),
            }
        }
    }
    println!(
        "{AT_ONCE} creates at once, {rounds} rounds in turn; the limit program ends with the program's exec.\n"
    );
    println!("| program | median ms | creates/s | of the limit's |");
    println!("| --- | ---: | ---: | ---: |");
    let rate = |times: &[f64]| AT_ONCE as f64 * 1000.0 / quantile(times, 0.5);
    let names = ["limit"].into_iter().chain(runtimes.iter().map(|runtime| runtime.name));
    for (name, each) in names.zip(&times) {
        let share = 100.0 * rate(each) / rate(&times[0]);
        println!("| {name} | {:.0} | {:.0} | {share:.0} % |", quantile(each, 0.5), rate(each));
    }
    Ok(())
}

fn limit(stage: &Stage, image: &Image) -> Result<f64, String> {
    let words = limit_words(stage, image)?;
    let commands: Vec<Command> = (0..AT_ONCE)
        .map(|number| {
            let work = stage.path(&format!("limit-work-{number}"));
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]).arg("--work").arg(&work).arg("--cgroup");
            command.arg(format!("{}-limit{number}", stage.mark)).args([
                "--plain",
                "1",
                "--program",
                "/pause",
                "--hold",
                "1",
            ]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            drop(std::fs::create_dir_all(&work));
            command
        })
        .collect();
    let since = Instant::now();
    let mut children = spawn(commands)?;
    for child in &mut children {
        let output = child.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
        if line.trim() != "ready" {
            return Err(format!("the limit program said {line:?}"));
        }
    }
    let took = since.elapsed().as_secs_f64() * 1000.0;
    children.iter_mut().for_each(|child| drop(child.stdin.take()));
    wait(children)?;
    Ok(took)
}

fn create(stage: &Stage, image: &Image, runtime: &Runtime) -> Result<f64, String> {
    let mut commands = Vec::new();
    for number in 0..AT_ONCE {
        let name = format!("{}-parallel{number}", runtime.name);
        let shape = bundle::Shape { cgroup: format!("/{}-{name}", stage.mark), ..bundle::Shape::default() };
        let bundle = bundle::write(stage.path(&format!("bundle-{name}")), image, &shape)?;
        let mut command = Command::new(&runtime.words[0]);
        command.args(&runtime.words[1..]).arg("create").arg("--bundle").arg(bundle).arg(&name);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        commands.push(command);
    }
    let since = Instant::now();
    let done = spawn(commands).and_then(wait);
    let took = since.elapsed().as_secs_f64() * 1000.0;
    for number in 0..AT_ONCE {
        let mut delete = Command::new(&runtime.words[0]);
        delete.args(&runtime.words[1..]).args(["delete", "--force"]);
        drop(delete.arg(format!("{}-parallel{number}", runtime.name)).stderr(Stdio::null()).status());
    }
    done.map(|()| took)
}

fn spawn(commands: Vec<Command>) -> Result<Vec<Child>, String> {
    commands.into_iter().map(|mut command| command.spawn().map_err(|error| error.to_string())).collect()
}

fn wait(children: Vec<Child>) -> Result<(), String> {
    let mut failed = None;
    for mut child in children {
        match child.wait() {
            Ok(status) if status.success() => {}
            other => failed = Some(format!("{other:?}")),
        }
    }
    failed.map_or(Ok(()), Err)
}
