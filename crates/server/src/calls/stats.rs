//! `GET /containers/{id}/stats`: one sample a second, each with the CPU counters of the one before.

use std::sync::Arc;
use std::time::Duration;

use dockerapi::{Stats, time};
use engine::Engine;
use hyper::{Response, StatusCode};
use types::Kind;

use super::Context;
use crate::error::{Error, Result};
use crate::wire::answer::{Answer, Pieces, json, json_line, pieces};

const PERIOD: Duration = Duration::from_secs(1);

/// A stream unless `stream=0`; then one answer, after a second for the difference, or at once with `one-shot`.
pub(super) async fn stream(context: Context) -> Result<Response<Answer>> {
    let Context { engine, name, query, .. } = context;
    let one_shot = query.flag("one-shot");
    let is_stream = query.flag_or("stream", true);
    if is_stream && one_shot {
        return Err(Error::invalid("cannot have stream=true and one-shot=true"));
    }
    let inspect = engine.inspect(&name, false).await?;
    let source = Source { engine, id: inspect.id, name: inspect.name };
    if is_stream {
        let (output, response) = pieces("application/json");
        tokio::spawn(source.stream(output));
        return Ok(response);
    }
    let mut sample = source.sample().await?;
    if !one_shot && sample.read != time::ZERO {
        tokio::time::sleep(PERIOD).await;
        sample = follow(&sample, source.sample().await?);
    }
    Ok(json(StatusCode::OK, &sample))
}

struct Source {
    engine: Arc<Engine>,
    id: String,
    name: String,
}

impl Source {
    /// A sample; of a container that does not run, its name and zeros.
    async fn sample(&self) -> Result<Stats> {
        let result = self.engine.stats(&self.id).await;
        let mut stats = match result {
            Ok(stats) => stats,
            Err(error) if error.kind() == Kind::Conflict => Stats::default(),
            Err(error) => return Err(error.into()),
        };
        stats.id.clone_from(&self.id);
        stats.name.clone_from(&self.name);
        Ok(stats)
    }

    /// Samples until the client or the container is gone.
    async fn stream(self, output: Pieces) {
        let mut previous = Stats::default();
        let mut ticks = tokio::time::interval(PERIOD);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = output.closed() => return,
            }
            let Ok(sample) = self.sample().await else { return };
            let sample = follow(&previous, sample);
            let Ok(line) = json_line(&sample) else { return };
            if output.send(line).await.is_err() {
                return;
            }
            previous = sample;
        }
    }
}

/// The later sample with the earlier one's CPU counters beside its own.
fn follow(earlier: &Stats, mut later: Stats) -> Stats {
    later.precpu_stats.clone_from(&earlier.cpu_stats);
    later.preread.clone_from(&earlier.read);
    later
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_carries_the_one_before() {
        let mut earlier = Stats { read: "2026-11-21T00:00:00Z".to_owned(), ..Stats::default() };
        earlier.cpu_stats.cpu_usage.total_usage = 7;
        let later = follow(&earlier, Stats::default());
        assert_eq!(later.precpu_stats.cpu_usage.total_usage, 7);
        assert_eq!(later.preread, earlier.read);
        assert_eq!(follow(&Stats::default(), Stats::default()).preread, time::ZERO);
    }
}
