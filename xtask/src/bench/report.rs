//! The table of a start bench, as Markdown.

use super::Options;
use super::contestants::{Contestant, Contestants, LIMIT, Network};
use super::measure::quantile;

/// Prints one row per program, and why somebody is missing.
pub(super) fn print_start(contestants: &Contestants, options: &Options) {
    let list = &contestants.list;
    let mut names: Vec<&str> = Vec::new();
    for contestant in list {
        if !names.contains(&contestant.name) {
            names.push(contestant.name);
        }
    }
    println!(
        "`cargo xtask bench start --runs {}`: milliseconds from start to end (and removal) of a container that runs a static",
        options.runs
    );
    println!(
        "`true`, interleaved, after {} rounds of warm-up. `× limit`: median divided by the limit program's.\n",
        options.warm
    );
    println!("| program | none: median | p90 | × limit | bridge: median | p90 | × limit |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for name in names {
        println!(
            "| {name} | {} | {} |",
            cells(list, name, Network::None),
            cells(list, name, Network::Bridge)
        );
    }
    println!();
    for contestant in list {
        if let Some(reason) = &contestant.skipped {
            let network = if contestant.network == Network::None { "none" } else { "bridge" };
            println!("{} ({network}): skipped {reason}", contestant.name);
        }
    }
}

fn cells(list: &[Contestant], name: &str, network: Network) -> String {
    let find = |name: &str| list.iter().find(|c| c.name == name && c.network == network);
    let Some(contestant) = find(name).filter(|contestant| !contestant.times.is_empty()) else {
        return "– | – | –".to_owned();
    };
    let limit = find(LIMIT).map_or(f64::NAN, |limit| quantile(&limit.times, 0.5));
    let (median, p90) = (quantile(&contestant.times, 0.5), quantile(&contestant.times, 0.9));
    format!("{median:.2} | {p90:.2} | {:.2}", median / limit)
}
