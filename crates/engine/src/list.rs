//! `ps`: containers by filter, newest first.

use std::collections::BTreeSet;

use dockerapi::{ContainerSummary, Filters, PortSummary, SummaryHost, SummaryNetworks};

use crate::clock::now_ns;
use crate::engine::{Engine, Inner, blocking};
use crate::inspect::{endpoints, mount_point};
use crate::state::{Record, State, Status};
use crate::{Error, Result};

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Also what does not run.
    pub all: bool,
    /// Only so many of the newest, whatever their state.
    pub limit: Option<usize>,
    /// Measure what each has written.
    pub size: bool,
    /// Only these.
    pub filters: Filters,
}

const KNOWN: [&str; 17] = [
    "ancestor",
    "annotation",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "label!",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];
const STATUSES: [&str; 7] = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];

impl Engine {
    /// Lists containers.
    ///
    /// # Errors
    /// An unknown filter, or a value that means nothing.
    pub async fn list(&self, options: ListOptions) -> Result<Vec<ContainerSummary>> {
        let records = self.0.select(&options)?;
        let mut list: Vec<_> = records.iter().map(|r| self.0.summary(r)).collect();
        if options.size {
            let engine = self.clone();
            let ids: Vec<String> = records.iter().map(|r| r.id.clone()).collect();
            let sizes: Vec<u64> = blocking(move || {
                ids.iter().map(|id| engine.0.store.snapshot_bytes(id).unwrap_or(0)).collect()
            })
            .await?;
            for ((item, size), record) in list.iter_mut().zip(sizes).zip(&records) {
                item.size_rw = i64::try_from(size).unwrap_or(i64::MAX);
                item.size_root_fs = item.size_rw + self.0.image_bytes(record);
            }
        }
        Ok(list)
    }
}

impl Inner {
    fn select(&self, options: &ListOptions) -> Result<Vec<std::sync::Arc<Record>>> {
        let filters = &options.filters;
        filters.only(&KNOWN)?;
        check_values(filters)?;
        let edge = |key: &str| -> Result<Option<i64>> {
            filters.get(key).first().map(|who| Ok(self.find(who)?.record().created_ns)).transpose()
        };
        let (before, since) = (edge("before")?, edge("since")?);
        let ancestors = self.ancestors(filters)?;
        let everything =
            options.all || options.limit.is_some() || filters.has("status") || filters.has("exited");
        let mut list = self.table.all();
        list.retain(|r| {
            (everything || r.state.is_live())
                && before.is_none_or(|t| r.created_ns < t)
                && since.is_none_or(|t| r.created_ns > t)
                && ancestors.as_ref().is_none_or(|images| images.contains(&r.image_id))
                && matches(filters, r)
        });
        list.truncate(options.limit.unwrap_or(usize::MAX));
        Ok(list)
    }

    /// The ids of the images that an `ancestor` filter means: the named ones, and those built on them.
    fn ancestors(&self, filters: &Filters) -> Result<Option<BTreeSet<String>>> {
        if !filters.has("ancestor") {
            return Ok(None);
        }
        let images = self.store.images();
        let mut ids = BTreeSet::new();
        for name in filters.get("ancestor") {
            let Ok(base) = images.resolve(name) else { continue };
            let on_base =
                images.iter().filter(|i| i.layers.starts_with(&base.layers) && !base.layers.is_empty());
            ids.extend(on_base.map(|i| i.id.to_string()));
            ids.insert(base.id.to_string());
        }
        Ok(Some(ids))
    }

    fn summary(&self, record: &Record) -> ContainerSummary {
        ContainerSummary {
            id: record.id.clone(),
            names: vec![format!("/{}", record.name)],
            image: self.shown_image(record),
            image_id: record.image_id.clone(),
            command: command(record),
            created: record.created_ns / 1_000_000_000,
            ports: ports(record),
            labels: record.config.labels.clone(),
            state: record.state.status.word().to_owned(),
            status: status(&record.state, now_ns()),
            host_config: SummaryHost {
                network_mode: record.host.network_mode.clone(),
                annotations: record.host.annotations.clone(),
            },
            network_settings: SummaryNetworks { networks: endpoints(record) },
            image_manifest_descriptor: self.manifest_descriptor(&record.image_id),
            mounts: record.mounts.iter().filter(|m| m.kind != "tmpfs").map(mount_point).collect(),
            ..ContainerSummary::default()
        }
    }

    /// The name it was asked for by, or the image's id when that name means another image by now.
    fn shown_image(&self, record: &Record) -> String {
        let images = self.store.images();
        let id = record.image_id.parse::<types::Digest>().ok();
        // Of an index, it may be the image of another platform than this host's.
        let leads_to = |named: &store::Image| {
            let target = images.target(&named.target);
            target.is_some_and(|target| target.images().any(|image| Some(image.id) == id))
        };
        match images.resolve(&record.image_name) {
            Ok(image) if leads_to(&image) => record.image_name.clone(),
            _ => record.image_id.clone(),
        }
    }
}

/// The program and its arguments; those with a space inside are quoted.
fn command(record: &Record) -> String {
    let words = record.config.entrypoint.iter().chain(&record.config.cmd).flatten();
    let quoted = words.enumerate().map(|(place, word)| match place > 0 && word.contains(' ') {
        true => format!("'{word}'"),
        false => word.clone(),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn check_values(filters: &Filters) -> Result<()> {
    for status in filters.get("status") {
        if !STATUSES.contains(&status.as_str()) {
            return Err(Error::invalid(format!("invalid filter 'status={status}'")));
        }
    }
    for code in filters.get("exited") {
        if code.parse::<i32>().is_err() {
            return Err(Error::invalid(format!("invalid filter 'exited={code}'")));
        }
    }
    for health in filters.get("health") {
        if !matches!(health.as_str(), "none" | "starting" | "healthy" | "unhealthy") {
            return Err(Error::invalid(format!("invalid filter 'health={health}'")));
        }
    }
    for key in ["publish", "expose"] {
        for port in filters.get(key) {
            port_range(port).ok_or_else(|| Error::invalid(format!("invalid filter '{key}={port}'")))?;
        }
    }
    filters.truth("is-task")?;
    Ok(())
}

fn matches(filters: &Filters, record: &Record) -> bool {
    let state = &record.state;
    let any = |key: &str, accepts: &dyn Fn(&str) -> bool| {
        !filters.has(key) || filters.get(key).iter().any(|v| accepts(v))
    };
    let exited = |code: &str| {
        matches!(state.status, Status::Exited | Status::Dead)
            && state.exit_code.is_some_and(|c| Ok(c) == code.parse())
    };
    let published = |wanted: &str| {
        record
            .network
            .iter()
            .flat_map(|n| &n.published)
            .any(|p| fits(wanted, p.container_port, p.proto.name()))
    };
    let exposed = |wanted: &str| {
        let keys = record.config.exposed_ports.keys();
        keys.filter_map(|k| dockerapi::spec::split_port(k).ok())
            .any(|(port, proto)| fits(wanted, port, proto))
    };
    let mounted = |wanted: &str| {
        record.mounts.iter().any(|m| [&m.name, &m.source, &m.destination].iter().any(|t| *t == wanted))
    };
    let on = |network: &str| {
        let mode = &record.host.network_mode;
        network == mode || !network.is_empty() && crate::networks::id_of(mode).starts_with(network)
    };
    let annotation = |wanted: &str| match wanted.split_once('=') {
        Some((key, value)) => record.host.annotations.get(key).is_some_and(|v| v == value),
        None => record.host.annotations.contains_key(wanted),
    };
    filters.exact("status", state.status.word())
        && (filters.pattern("name", &format!("/{}", record.name)) || filters.pattern("name", &record.name))
        && filters.prefix("id", &record.id)
        && filters.labels(&record.config.labels)
        && any("exited", &exited)
        && any("publish", &published)
        && any("expose", &exposed)
        && any("volume", &mounted)
        && any("network", &on)
        && any("health", &|h| h == "none")
        && any("isolation", &|i| i == "default")
        && any("annotation", &annotation)
        && filters.truth("is-task").is_ok_and(|task| task != Some(true))
}

/// `80`, `80/tcp`, `8000-8010/udp`.
fn port_range(text: &str) -> Option<(u16, u16, Option<&str>)> {
    let (numbers, proto) = text.split_once('/').map_or((text, None), |(n, p)| (n, Some(p)));
    let (from, to) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let proto_ok = proto.is_none_or(|p| matches!(p, "tcp" | "udp" | "sctp"));
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    (proto_ok && from <= to).then_some((from, to, proto))
}

fn fits(wanted: &str, port: u16, proto: &str) -> bool {
    port_range(wanted).is_some_and(|(from, to, p)| (from..=to).contains(&port) && p.unwrap_or("tcp") == proto)
}

fn ports(record: &Record) -> Vec<PortSummary> {
    let published: Vec<_> = record.network.iter().flat_map(|n| &n.published).collect();
    let mut list: Vec<PortSummary> = published
        .iter()
        .map(|p| PortSummary {
            ip: p.host_ip.to_string(),
            private_port: p.container_port,
            public_port: p.host_port,
            protocol: p.proto.name().to_owned(),
        })
        .collect();
    if record.network.is_some() {
        for (port, proto) in
            record.config.exposed_ports.keys().filter_map(|k| dockerapi::spec::split_port(k).ok())
        {
            if !published.iter().any(|p| p.container_port == port && p.proto.name() == proto) {
                list.push(PortSummary {
                    private_port: port,
                    protocol: proto.to_owned(),
                    ..PortSummary::default()
                });
            }
        }
    }
    list.sort();
    list
}

/// Docker's sentence about a container's life.
fn status(state: &State, now_ns: i64) -> String {
    let code = state.exit_code.unwrap_or(0);
    let since = |ns: i64| duration((now_ns - ns).max(0) / 1_000_000_000);
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => format!("Up {}", since(state.started_ns)),
        Status::Paused => format!("Up {} (Paused)", since(state.started_ns)),
        Status::Restarting => format!("Restarting ({code}) {} ago", since(state.finished_ns)),
        Status::Exited if state.finished_ns == 0 => "Created".to_owned(),
        Status::Exited => format!("Exited ({code}) {} ago", since(state.finished_ns)),
        Status::Removing => "Removal In Progress".to_owned(),
        Status::Dead => "Dead".to_owned(),
    }
}

/// Docker's words for a span of time.
fn duration(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let mut record = Record { id: "abc123".to_owned(), name: "web".to_owned(), ..Record::default() };
        record.host.network_mode = "bridge".to_owned();
        record.config.labels.insert("a".to_owned(), "1".to_owned());
        record.config.exposed_ports.insert("80/tcp".to_owned(), serde_json::Map::new());
        record.state.status = Status::Exited;
        record.state.exit_code = Some(3);
        record.mounts = vec![crate::state::MountRecord {
            name: "data".to_owned(),
            destination: "/d".to_owned(),
            ..Default::default()
        }];
        record
    }

    #[test]
    fn filters_select() {
        let check = |pairs: &[(&str, &str)]| {
            let mut filters = Filters::default();
            for (key, value) in pairs {
                filters.add(key, value);
            }
            check_values(&filters).map(|()| matches(&filters, &record())).map_err(|e| e.to_string())
        };
        for pairs in [
            vec![],
            vec![("status", "exited"), ("status", "running")],
            vec![("name", "we")],
            vec![("name", "/web")],
            vec![("name", "^/web$")],
            vec![("name", "^web$")],
            vec![("id", "abc")],
            vec![("label", "a=1"), ("label", "a")],
            vec![("exited", "3")],
            vec![("expose", "80")],
            vec![("expose", "70-90/tcp")],
            vec![("volume", "data")],
            vec![("volume", "/d")],
            vec![("network", "bridge")],
            vec![("network", &crate::networks::id_of("bridge")[..12])],
            vec![("health", "none")],
            vec![("is-task", "false")],
        ] {
            assert_eq!(check(&pairs), Ok(true), "{pairs:?}");
        }
        for pairs in [
            vec![("status", "running")],
            vec![("name", "x")],
            vec![("id", "bc")],
            vec![("label", "a=2")],
            vec![("exited", "0")],
            vec![("expose", "80/udp")],
            vec![("publish", "80")],
            vec![("network", "host")],
            vec![("is-task", "true")],
        ] {
            assert_eq!(check(&pairs), Ok(false), "{pairs:?}");
        }
        for pairs in [("status", "x"), ("exited", "x"), ("publish", "x"), ("health", "x"), ("is-task", "x")] {
            assert!(check(&[pairs]).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn arguments_with_spaces_are_quoted() {
        let mut record = record();
        record.config.entrypoint = Some(vec!["a b".to_owned()]);
        record.config.cmd = Some(vec!["-c".to_owned(), "echo hi".to_owned()]);
        assert_eq!(command(&record), "a b -c 'echo hi'");
    }

    #[test]
    fn sentences() {
        let at = |status, ns| State {
            status,
            started_ns: 1,
            finished_ns: ns,
            exit_code: Some(2),
            ..State::default()
        };
        let second = 1_000_000_000;
        assert_eq!(status(&at(Status::Running, 0), 5 * second), "Up 4 seconds");
        assert_eq!(status(&at(Status::Exited, second), 70 * second), "Exited (2) About a minute ago");
        assert_eq!(status(&State::default(), 0), "Created");
        for (seconds, words) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (7200, "2 hours"),
            (86_400 * 3, "3 days"),
            (86_400 * 20, "2 weeks"),
        ] {
            assert_eq!(duration(seconds), words, "{seconds}");
        }
    }
}
