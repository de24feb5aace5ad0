//! Do the regression tests of historical weaknesses have teeth? Each row's tests run against a build that can leave the row's defence
//! out (`crates/types/src/weak.rs`): green with it, red without.

mod images;
mod runtime;

use std::fs;
use std::path::Path;

use crate::suite::Count;

/// What the switch is called: whoever ships it ships the weaknesses.
const SWITCH: &str = "BERTH_WEAK";

/// Fails when a program that is to be shipped can leave defences out.
pub(crate) fn refuse_weak(program: &Path) -> Result<(), String> {
    let bytes = fs::read(program).map_err(|e| format!("{}: {e}", program.display()))?;
    if bytes.windows(SWITCH.len()).any(|window| window == SWITCH.as_bytes()) {
        return Err(format!(
            "{} was built with the feature `weak`: it must not be shipped",
            program.display()
        ));
    }
    Ok(())
}

/// Runs every row with its defence and without.
pub(crate) fn run() -> Result<Count, String> {
    let mut count = runtime::run()?;
    count.add(images::run()?);
    Ok(count)
}

/// A weakness of the list, and where its tests show by themselves that they bite if it has no switch.
struct Row {
    name: String,
    by_construction: Option<&'static str>,
}

/// The rows of such a letter and these numbers.
fn rows(
    letter: char,
    numbers: std::ops::RangeInclusive<u32>,
    by_construction: &[(&str, &'static str)],
) -> Vec<Row> {
    let row = |number| {
        let name = format!("{letter}{number:02}");
        let by_construction = by_construction.iter().find(|(known, _)| *known == name).map(|(_, why)| *why);
        Row { name, by_construction }
    };
    numbers.map(row).collect()
}

impl Row {
    /// What the names of its tests have in them.
    fn filter(&self) -> String {
        format!("{}_", self.name.to_lowercase())
    }

    /// Judges what its tests said with the defence (`on`) and what they say without.
    fn judge(
        &self,
        on: &[Verdict],
        off: impl FnOnce(&[Verdict]) -> Result<Vec<Verdict>, String>,
    ) -> Result<Count, String> {
        let filter = self.filter();
        let with: Vec<Verdict> = on.iter().filter(|test| test.name.contains(&filter)).cloned().collect();
        let (said, count) = if let Some(why) = self.by_construction {
            (format!("has no switch: {why}"), Count::default())
        } else if with.is_empty() {
            ("FAILED: it has no test".to_owned(), FAILED)
        } else if with.iter().any(|test| test.colour == Colour::Red) {
            (format!("FAILED with its defence: red are {}", named(&with, Colour::Red)), FAILED)
        } else if with.iter().all(|test| test.colour == Colour::Skipped) {
            ("skipped".to_owned(), Count { skipped: 1, ..Count::default() })
        } else {
            bite(&off(&with)?)
        };
        println!("{} {said}", self.name);
        Ok(count)
    }
}

const FAILED: Count = Count { passed: 0, failed: 1, skipped: 0 };

/// Whether a row's tests without its defence show that it is gone.
fn bite(off: &[Verdict]) -> (String, Count) {
    let (red, green) = (named(off, Colour::Red), named(off, Colour::Green));
    if red.is_empty() {
        return ("FAILED: its tests stay green without its defence".to_owned(), FAILED);
    }
    let beside = if green.is_empty() { green } else { format!("; stay green: {green}") };
    (format!("ok: red without its defence: {red}{beside}"), Count { passed: 1, ..Count::default() })
}

/// What a test said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    name: String,
    colour: Colour,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colour {
    Green,
    Red,
    Skipped,
}

fn named(tests: &[Verdict], colour: Colour) -> String {
    let names: Vec<&str> =
        tests.iter().filter(|test| test.colour == colour).map(|test| test.name.as_str()).collect();
    names.join(" ")
}

/// Reads lines such as `test rows::r06_name ... ok (0.1 s)`.
fn verdicts(output: &str) -> Vec<Verdict> {
    let lines = output.lines().filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "));
    lines
        .filter_map(|(name, said)| {
            let colour = match said.split([' ', ':']).next()? {
                "ok" => Colour::Green,
                "skipped" => Colour::Skipped,
                "FAILED" => Colour::Red,
                _ => return None,
            };
            Some(Verdict { name: name.to_owned(), colour })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let said = "noise\ntest rows::r06_a ... ok (0.1 s)\ntest r06_b ... FAILED: a ... b\ntest x::r01_c ... skipped: needs z\n";
        let all = verdicts(said);
        assert_eq!(
            all.iter().map(|test| test.colour).collect::<Vec<_>>(),
            [Colour::Green, Colour::Red, Colour::Skipped]
        );
        assert_eq!(named(&all, Colour::Red), "r06_b");
    }

    #[test]
    fn only_green_with_and_red_without_passes() {
        let test = |name: &str, colour| Verdict { name: name.to_owned(), colour };
        let row = |by_construction| Row { name: "I06".to_owned(), by_construction };
        let judge = |on: &[Verdict], off: Colour| {
            let count = row(None).judge(on, |with| Ok(with.iter().map(|one| test(&one.name, off)).collect()));
            count.map(|count| (count.passed, count.failed, count.skipped))
        };
        let green = [test("a::i06_x", Colour::Green), test("i07_y", Colour::Red)];
        assert_eq!(judge(&green, Colour::Red), Ok((1, 0, 0)));
        assert_eq!(judge(&green, Colour::Green), Ok((0, 1, 0)));
        assert_eq!(judge(&green[1..], Colour::Red), Ok((0, 1, 0)), "no test");
        assert_eq!(judge(&[test("i06_x", Colour::Red)], Colour::Red), Ok((0, 1, 0)));
        assert_eq!(judge(&[test("i06_x", Colour::Skipped)], Colour::Red), Ok((0, 0, 1)));
        let count = row(Some("why")).judge(&[], |_| Err("not run".to_owned()));
        assert_eq!(count.map(|count| count.passed + count.failed), Ok(0));
    }

    #[test]
    fn reasons_are_of_rows_that_there_are() {
        for (letter, last, reasons) in
            [('R', 21, runtime::BY_CONSTRUCTION), ('I', 17, images::BY_CONSTRUCTION)]
        {
            let with =
                rows(letter, 1..=last, reasons).into_iter().filter(|row| row.by_construction.is_some());
            assert_eq!(with.count(), reasons.len(), "{letter}");
        }
    }
}
