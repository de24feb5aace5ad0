//! The table of one image, as Markdown.

use super::super::measure::quantile;
use super::bound::Bound;
use super::images::Image;
use super::session::Cost;

/// What everybody's acts cost.
pub(super) struct Table {
    title: String,
    bound: Bound,
    rows: Vec<Row>,
    skipped: Vec<(&'static str, String)>,
}

struct Row {
    act: &'static str,
    engine: &'static str,
    costs: Vec<Cost>,
}

impl Table {
    pub(super) fn new(image: &Image, bound: Bound) -> Self {
        Self { title: image.name.clone(), bound, rows: Vec::new(), skipped: Vec::new() }
    }

    pub(super) fn add(&mut self, engine: &'static str, act: &'static str, cost: Cost) {
        eprintln!(
            "{} {engine} {act}: {:.2} s, on the disk {:.2} s, {:.2} cpu s, {:.0} MiB",
            self.title, cost.wall_s, cost.durable_s, cost.cpu_s, cost.peak_mib
        );
        match self.rows.iter_mut().find(|row| (row.act, row.engine) == (act, engine)) {
            Some(row) => row.costs.push(cost),
            None => self.rows.push(Row { act, engine, costs: vec![cost] }),
        }
    }

    pub(super) fn skip(&mut self, engine: &'static str, reason: String) {
        eprintln!("{} {engine}: {reason}", self.title);
        self.skipped.push((engine, reason));
    }

    pub(super) fn is_skipped(&self, engine: &str) -> bool {
        self.skipped.iter().any(|(skipped, _)| *skipped == engine)
    }

    /// Medians, and ratios to docker's; for pulls from nothing also to the bound. What Berth did is on the disk when it ends; of others that is a column of its own.
    pub(super) fn print(&self) {
        println!(
            "\n## {}\n\nBound of a pull: {:.2} s ({})\n",
            self.title, self.bound.seconds, self.bound.shown
        );
        println!(
            "| act | engine | wall s | × docker | × bound | on the disk s | × docker | CPU s | peak MiB |"
        );
        println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(|row| self.rows.iter().position(|first| first.act == row.act));
        for row in rows {
            let wall = row.median(|cost| cost.wall_s);
            let docker = self.rows.iter().find(|other| other.engine == "docker" && other.act == row.act);
            let ratio = |of: fn(&Cost) -> f64| {
                docker.map_or_else(
                    || "–".to_owned(),
                    |docker| format!("{:.2}", row.median(of) / docker.median(of)),
                )
            };
            let durable = row.median(|cost| cost.durable_s);
            let ratios = [ratio(|cost| cost.wall_s), ratio(|cost| cost.durable_s)];
            let bound = if row.act == "pull" {
                format!("{:.2}", wall / self.bound.seconds)
            } else {
                "–".to_owned()
            };
            let (cpu, peak) = (row.median(|cost| cost.cpu_s), row.median(|cost| cost.peak_mib));
            println!(
                "| {} | {} | {wall:.2} | {} | {bound} | {durable:.2} | {} | {cpu:.2} | {peak:.0} |",
                row.act, row.engine, ratios[0], ratios[1]
            );
        }
        for (engine, reason) in &self.skipped {
            println!("\n{engine} is left out: {reason}");
        }
    }
}

impl Row {
    fn median(&self, of: fn(&Cost) -> f64) -> f64 {
        quantile(&self.costs.iter().map(of).collect::<Vec<_>>(), 0.5)
    }
}
