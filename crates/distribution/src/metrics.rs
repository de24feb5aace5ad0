//! What the registry counts, as Prometheus reads it (text format 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::depot::Collected;

/// Upper ends of the histogram's buckets, in seconds.
const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

/// Everything that is counted.
#[derive(Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, &'static str, u16), u64>>,
    durations: Mutex<BTreeMap<&'static str, Durations>>,
    sent: AtomicU64,
    received: AtomicU64,
    connections: AtomicU64,
    collections: AtomicU64,
    collected: AtomicU64,
    collected_bytes: AtomicU64,
    expired: AtomicU64,
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
}

#[derive(Clone, Copy, Default)]
struct Durations {
    counts: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

/// What is there right now, asked for when somebody reads.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) uploads: usize,
    pub(crate) upload_bytes: u64,
}

/// Methods that are counted by name; the others are one.
fn known(method: &str) -> &'static str {
    ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"].into_iter().find(|m| *m == method).unwrap_or("other")
}

impl Metrics {
    /// A request was answered; `sent` are the bytes of the answer's body.
    pub(crate) fn answered(&self, call: &'static str, method: &str, status: u16, took: Duration, sent: u64) {
        *lock(&self.requests).entry((call, known(method), status)).or_default() += 1;
        self.sent.fetch_add(sent, Ordering::Relaxed);
        let seconds = took.as_secs_f64();
        let mut durations = lock(&self.durations);
        let of = durations.entry(call).or_default();
        if let Some(bucket) = BUCKETS.iter().position(|end| seconds <= *end) {
            of.counts[bucket] += 1;
        }
        of.count += 1;
        of.seconds += seconds;
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn disconnected(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn collected(&self, found: &Collected) {
        self.collections.fetch_add(1, Ordering::Relaxed);
        self.collected.fetch_add(found.contents, Ordering::Relaxed);
        self.collected_bytes.fetch_add(found.bytes, Ordering::Relaxed);
    }

    pub(crate) fn expired(&self, uploads: usize) {
        self.expired.fetch_add(uploads as u64, Ordering::Relaxed);
    }

    /// A cache had what was asked for, or had to ask upstream.
    pub(crate) fn cached(&self, hit: bool) {
        let counter = if hit { &self.cache_hits } else { &self.cache_misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The whole page.
    pub(crate) fn page(&self, now: Gauges) -> String {
        let mut page = String::new();
        let _ = self.write(&mut page, now);
        page
    }

    fn write(&self, page: &mut String, now: Gauges) -> std::fmt::Result {
        head(page, "requests_total", "counter", "Requests that were answered.")?;
        for ((call, method, status), count) in &*lock(&self.requests) {
            let labels = format!("call=\"{call}\",method=\"{method}\",status=\"{status}\"");
            writeln!(page, "berth_registry_requests_total{{{labels}}} {count}")?;
        }
        head(page, "request_seconds", "histogram", "Time from a request's head to its answer's head.")?;
        for (call, durations) in &*lock(&self.durations) {
            histogram(page, call, durations)?;
        }
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        for (name, kind, about, value) in [
            ("sent_bytes_total", "counter", "Bytes of answers' bodies.", of(&self.sent)),
            ("received_bytes_total", "counter", "Bytes of blobs that were uploaded.", of(&self.received)),
            ("connections", "gauge", "Open connections.", of(&self.connections)),
            ("uploads", "gauge", "Unfinished uploads.", now.uploads as u64),
            ("upload_bytes", "gauge", "Bytes of unfinished uploads.", now.upload_bytes),
            (
                "expired_uploads_total",
                "counter",
                "Abandoned uploads that were thrown away.",
                of(&self.expired),
            ),
            ("cache_hits_total", "counter", "Contents that were in the cache.", of(&self.cache_hits)),
            ("cache_misses_total", "counter", "Contents that came from upstream.", of(&self.cache_misses)),
            ("collections_total", "counter", "Finished garbage collections.", of(&self.collections)),
            ("collected_contents_total", "counter", "Files that were collected.", of(&self.collected)),
            ("collected_bytes_total", "counter", "Bytes that were collected.", of(&self.collected_bytes)),
        ] {
            head(page, name, kind, about)?;
            writeln!(page, "berth_registry_{name} {value}")?;
        }
        Ok(())
    }
}

fn head(page: &mut String, name: &str, kind: &str, about: &str) -> std::fmt::Result {
    writeln!(page, "# HELP berth_registry_{name} {about}\n# TYPE berth_registry_{name} {kind}")
}

fn histogram(page: &mut String, call: &str, durations: &Durations) -> std::fmt::Result {
    const NAME: &str = "berth_registry_request_seconds";
    let mut below = 0;
    for (end, count) in BUCKETS.iter().zip(durations.counts) {
        below += count;
        writeln!(page, "{NAME}_bucket{{call=\"{call}\",le=\"{end}\"}} {below}")?;
    }
    writeln!(page, "{NAME}_bucket{{call=\"{call}\",le=\"+Inf\"}} {}", durations.count)?;
    writeln!(page, "{NAME}_sum{{call=\"{call}\"}} {}", durations.seconds)?;
    writeln!(page, "{NAME}_count{{call=\"{call}\"}} {}", durations.count)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_page_has_what_was_counted() {
        let metrics = Metrics::default();
        metrics.answered("blob", "GET", 200, Duration::from_millis(2), 10);
        metrics.answered("blob", "GET", 200, Duration::from_secs(90), 5);
        metrics.answered("blob", "BREW", 405, Duration::from_millis(2), 0);
        let page = metrics.page(Gauges { uploads: 3, upload_bytes: 9 });
        for line in [
            "berth_registry_requests_total{call=\"blob\",method=\"GET\",status=\"200\"} 2",
            "berth_registry_requests_total{call=\"blob\",method=\"other\",status=\"405\"} 1",
            "berth_registry_request_seconds_bucket{call=\"blob\",le=\"0.001\"} 0",
            "berth_registry_request_seconds_bucket{call=\"blob\",le=\"0.0025\"} 2",
            "berth_registry_request_seconds_bucket{call=\"blob\",le=\"60\"} 2",
            "berth_registry_request_seconds_bucket{call=\"blob\",le=\"+Inf\"} 3",
            "berth_registry_sent_bytes_total 15",
            "berth_registry_uploads 3",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
        }
    }

    /// The page by the rules of the text format: every sample below its family's one `TYPE`, no series twice, counters called so,
    /// histograms that add up.
    #[test]
    fn the_page_is_what_prometheus_reads() {
        let metrics = Metrics::default();
        for (call, status, ms) in [("blob", 200, 2), ("blob", 404, 700), ("tags", 200, 90_000)] {
            metrics.answered(call, "GET", status, Duration::from_millis(ms), 10);
        }
        metrics.cached(true);
        let page = metrics.page(Gauges { uploads: 3, upload_bytes: 9 });
        assert!(page.ends_with('\n'));
        let (mut family, mut kind) = ("", "");
        let (mut families, mut series) = (BTreeSet::new(), BTreeMap::new());
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, about) = rest.split_once(' ').unwrap();
                assert!(!about.is_empty() && families.insert(name), "{line}");
                family = name;
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, said) = rest.split_once(' ').unwrap();
                assert!(name == family && ["counter", "gauge", "histogram"].contains(&said), "{line}");
                assert_eq!(said == "counter", name.ends_with("_total"), "{line}");
                kind = said;
            } else {
                let (name, value) = sample(line);
                let suffixes: &[&str] =
                    if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                let base = name.split('{').next().unwrap();
                assert!(suffixes.iter().any(|suffix| base.strip_suffix(suffix) == Some(family)), "{line}");
                assert!(series.insert(name, value).is_none(), "{line}");
            }
        }
        for call in ["blob", "tags"] {
            let bucket = |end: &str| {
                series[&format!("berth_registry_request_seconds_bucket{{call=\"{call}\",le=\"{end}\"}}")]
            };
            let ends: Vec<String> = BUCKETS.iter().map(f64::to_string).chain(["+Inf".to_owned()]).collect();
            let counts: Vec<f64> = ends.iter().map(|end| bucket(end)).collect();
            assert!(counts.is_sorted(), "{counts:?}");
            let count = series[&format!("berth_registry_request_seconds_count{{call=\"{call}\"}}")];
            assert_eq!(counts.last(), Some(&count));
        }
    }

    /// Name with labels, and value.
    fn sample(line: &str) -> (String, f64) {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let (base, labels) = name.split_once('{').map_or((name, ""), |(base, rest)| {
            (base, rest.strip_suffix('}').unwrap_or_else(|| panic!("{line}")))
        });
        let is_name = |text: &str| {
            text.chars()
                .enumerate()
                .all(|(n, c)| c == '_' || c.is_ascii_alphabetic() || n > 0 && c.is_ascii_digit())
        };
        assert!(!base.is_empty() && is_name(base), "{line}");
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (key, text) = label.split_once('=').unwrap_or_else(|| panic!("{line}"));
            let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            assert!(is_name(key) && text.is_some_and(|text| !text.contains(['"', '\\', '\n'])), "{line}");
        }
        (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}")))
    }
}
