//! Runs the contestants in turn, so that whatever else the machine does hits all alike.

use std::fs::File;
use std::io::{Read, Seek};
use std::time::Instant;

use super::Options;
use super::contestants::{Clock, Contestant};

/// Every contestant once per round; the first rounds only warm up. One that fails is out, with its words.
pub(super) fn interleave(contestants: &mut [Contestant], options: &Options) {
    for round in 0..options.warm + options.runs {
        for contestant in contestants.iter_mut().filter(|contestant| contestant.skipped.is_none()) {
            match run(contestant) {
                Ok(time) if round >= options.warm => contestant.times.push(time),
                Ok(_) => {}
                Err(reason) => contestant.skipped = Some(format!("in run {round}: {reason}")),
            }
        }
        if (round + 1) % 10 == 0 {
            eprintln!("round {} of {}", round + 1, options.warm + options.runs);
        }
    }
}

/// One run; milliseconds.
fn run(contestant: &Contestant) -> Result<f64, String> {
    let fail = |error: std::io::Error| error.to_string();
    // Files, not pipes: something that a run leaves behind may hold them open.
    let (mut output, mut errors) = (scratch().map_err(fail)?, scratch().map_err(fail)?);
    let mut command = contestant.command();
    command.stdout(output.try_clone().map_err(fail)?).stderr(errors.try_clone().map_err(fail)?);
    let start = Instant::now();
    let status = command.spawn().and_then(|mut child| child.wait()).map_err(fail)?;
    let wall = start.elapsed().as_secs_f64() * 1000.0;
    if !status.success() {
        return Err(format!("{status}: {}", read(&mut errors).trim()));
    }
    match contestant.clock {
        Clock::Wall => Ok(wall),
        Clock::Printed => {
            let text = read(&mut output);
            text.trim().parse::<f64>().map(|us| us / 1000.0).map_err(|_| format!("printed {text:?}"))
        }
    }
}

/// A file without a name.
fn scratch() -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    const O_TMPFILE: i32 = 0o20_200_000;
    File::options().read(true).write(true).custom_flags(O_TMPFILE).open(std::env::temp_dir())
}

fn read(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    read.map_or_else(|error| error.to_string(), |_| text)
}

/// The value below which this share of the values lies.
pub(super) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles() {
        let values = [5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!((quantile(&values, 0.5), quantile(&values, 0.9), quantile(&values, 0.0)), (3.0, 5.0, 1.0));
        assert!(quantile(&[], 0.5).is_nan());
    }
}
