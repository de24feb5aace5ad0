//! `hosts.toml` as containerd reads it: the hosts that answer for a registry, in the file's order, and the registry itself.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::de::DeTable;

use super::Capability;
use crate::http::{Trust, Url};

/// One host as the file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct HostEntry {
    /// Up to and including `/v2`, or what stands for it; `None` for the registry itself where the file names no server.
    pub(crate) base: Option<Url>,
    pub(crate) capabilities: Vec<Capability>,
    pub(crate) trust: Trust,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) dial_timeout: Option<Duration>,
    /// The registry itself.
    pub(crate) is_server: bool,
    /// Something of its trust was said.
    pub(crate) has_trust: bool,
}

/// Why a text is no hosts file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsError(String);

impl fmt::Display for HostsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HostsError {}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    server: String,
    #[serde(default)]
    host: BTreeMap<String, Host>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Host {
    capabilities: Vec<String>,
    ca: Option<OneOrMore>,
    client: Option<Clients>,
    skip_verify: Option<bool>,
    header: BTreeMap<String, OneOrMore>,
    override_path: bool,
    dial_timeout: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn list(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}

/// A file with certificate and key, or pairs of files.
#[derive(Deserialize)]
#[serde(untagged)]
enum Clients {
    One(String),
    More(Vec<Client>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Client {
    File(String),
    Pair([String; 2]),
}

/// Reads a hosts file; `dir` is where it lies. The registry itself comes last.
///
/// # Errors
/// When it is not TOML, or a value in it cannot be used: which, and why.
pub fn parse_hosts(text: &str, dir: &Path) -> Result<Vec<HostEntry>, HostsError> {
    let file: File = toml::from_str(text).map_err(|e| located(text, &e))?;
    // What is said of the registry itself stands at the top.
    let own: Host = toml::from_str(text).map_err(|e| located(text, &e))?;
    let mut entries = Vec::new();
    for name in order(text) {
        if let Some(host) = file.host.get(&name) {
            entries.push(entry(&name, host, dir)?);
        }
    }
    entries.push(HostEntry { is_server: true, ..entry(&file.server, &own, dir)? });
    Ok(entries)
}

/// The names of the hosts in the order in which they are written.
fn order(text: &str) -> Vec<String> {
    let Ok(table) = DeTable::parse(text) else { return Vec::new() };
    let Some(hosts) = table.get_ref().get("host").and_then(|value| value.get_ref().as_table()) else {
        return Vec::new();
    };
    let mut names: Vec<_> = hosts.keys().map(|key| (key.span().start, key.get_ref().to_string())).collect();
    names.sort();
    names.into_iter().map(|(_, name)| name).collect()
}

fn entry(server: &str, host: &Host, dir: &Path) -> Result<HostEntry, HostsError> {
    let base = match server {
        "" => None,
        text => Some(base(text, host.override_path).map_err(HostsError)?),
    };
    let trust = Trust {
        authorities: paths(host.ca.as_ref(), dir),
        client: client(host.client.as_ref(), dir)?,
        skip_verify: host.skip_verify.unwrap_or(false),
    };
    let headers = host
        .header
        .iter()
        .flat_map(|(name, values)| values.list().iter().map(move |value| (name.clone(), value.clone())));
    Ok(HostEntry {
        base,
        capabilities: capabilities(&host.capabilities)?,
        trust,
        headers: headers.collect(),
        dial_timeout: duration(&host.dial_timeout)?,
        is_server: false,
        has_trust: host.ca.is_some() || host.client.is_some() || host.skip_verify.is_some(),
    })
}

/// The API's root at a host: `/v2` is put behind its path unless it is there or the path is said to be everything.
fn base(server: &str, override_path: bool) -> Result<Url, String> {
    let with_scheme =
        if server.starts_with("http") { server.to_owned() } else { format!("https://{server}") };
    let url = Url::parse(&with_scheme)?;
    let path = url.path.split('?').next().unwrap_or_default().trim_end_matches('/').to_owned();
    let path = if override_path || path.ends_with("/v2") { path } else { format!("{path}/v2") };
    Ok(Url { path, ..url })
}

fn capabilities(names: &[String]) -> Result<Vec<Capability>, HostsError> {
    if names.is_empty() {
        return Ok(Capability::ALL.to_vec());
    }
    let named = |name: &String| match name.to_ascii_lowercase().as_str() {
        "pull" => Ok(Capability::Pull),
        "resolve" => Ok(Capability::Resolve),
        "push" => Ok(Capability::Push),
        _ => Err(HostsError(format!("unknown capability {name:?}"))),
    };
    names.iter().map(named).collect()
}

fn paths(files: Option<&OneOrMore>, dir: &Path) -> Vec<PathBuf> {
    files.map_or(&[][..], OneOrMore::list).iter().map(|file| dir.join(file)).collect()
}

/// The first pair: TLS shows one certificate.
fn client(clients: Option<&Clients>, dir: &Path) -> Result<Option<(PathBuf, PathBuf)>, HostsError> {
    let pair = |certificate: &str, key: &str| Some((dir.join(certificate), dir.join(key)));
    match clients {
        None => Ok(None),
        Some(Clients::One(file)) => Ok(pair(file, file)),
        Some(Clients::More(list)) => match list.as_slice() {
            [] => Ok(None),
            [Client::File(file)] => Ok(pair(file, file)),
            [Client::Pair([certificate, key])] => Ok(pair(certificate, key)),
            _ => Err(HostsError("client has more than one certificate; a host gets to see one".to_owned())),
        },
    }
}

/// Go's durations: `1m30s`, `500ms`.
fn duration(text: &str) -> Result<Option<Duration>, HostsError> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad = || HostsError(format!("dial_timeout {text:?} is not a duration such as \"10s\""));
    let (mut rest, mut all) = (text, 0.0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let number: f64 = rest[..end].parse().map_err(|_| bad())?;
        let unit_end = rest[end..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| end + n);
        all += number
            * match &rest[end..unit_end] {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(bad()),
            };
        rest = &rest[unit_end..];
    }
    Duration::try_from_secs_f64(all).map(Some).map_err(|_| bad())
}

/// A parser's message with the line that it is about.
fn located(text: &str, error: &toml::de::Error) -> HostsError {
    let message = error.message().replace('\n', " ");
    let Some(span) = error.span() else { return HostsError(message) };
    let before = text.get(..span.start).unwrap_or(text);
    let number = before.matches('\n').count();
    let line = text.lines().nth(number).unwrap_or_default().trim();
    HostsError(format!("line {}, {line:?}: {message}", number + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prints entries so that a table can hold them.
    fn show(text: &str) -> Result<Vec<String>, String> {
        let entries = parse_hosts(text, Path::new("/d")).map_err(|e| e.to_string())?;
        Ok(entries
            .iter()
            .map(|e| {
                let base = e.base.as_ref().map_or("-".to_owned(), ToString::to_string);
                let letters = e.capabilities.iter().map(|c| format!("{c:?}").chars().next());
                let mut line = format!("{base} {}", letters.flatten().collect::<String>());
                if e.has_trust {
                    line.push_str(&format!(" {:?}", e.trust));
                }
                for (name, value) in &e.headers {
                    line.push_str(&format!(" {name}={value}"));
                }
                line + if e.is_server { " server" } else { "" }
            })
            .collect())
    }

    fn check(text: &str, shown: &[&str]) {
        assert_eq!(show(text), Ok(shown.iter().map(|&s| s.to_owned()).collect()), "{text}");
    }

    #[test]
    fn hosts_in_the_files_order() {
        check("", &["- PRP server"]);
        check(r#"server = "https://registry-1.docker.io""#, &["https://registry-1.docker.io/v2 PRP server"]);
        check(
            "server = \"https://a\"\n[host.\"https://z\"]\n[host.\"http://b:5000\"]\n\
             capabilities = [\"pull\"]\n[host.\"c/x\"]\n",
            &["https://z/v2 PRP", "http://b:5000/v2 P", "https://c/x/v2 PRP", "https://a/v2 PRP server"],
        );
        check(
            "[host.\"https://b/v2/proxy\"]\noverride_path = true\n[host.\"https://c/v2/\"]\n",
            &["https://b/v2/proxy PRP", "https://c/v2 PRP", "- PRP server"],
        );
    }

    #[test]
    fn trust_and_headers() {
        let trust = |authorities: &str, client: &str, skip: bool| {
            format!("Trust {{ authorities: {authorities}, client: {client}, skip_verify: {skip} }}")
        };
        check("ca = \"a.crt\"", &[&format!("- PRP {} server", trust("[\"/d/a.crt\"]", "None", false))]);
        check(
            "ca = [\"/x/a\", \"b\"]\nskip_verify = true\n",
            &[&format!("- PRP {} server", trust("[\"/x/a\", \"/d/b\"]", "None", true))],
        );
        let pair = trust("[]", "Some((\"/d/c\", \"/d/k\"))", false);
        check("client = [[\"c\", \"k\"]]", &[&format!("- PRP {pair} server")]);
        let both = trust("[]", "Some((\"/d/c\", \"/d/c\"))", false);
        check("client = \"c\"", &[&format!("- PRP {both} server")]);
        check("client = [\"c\"]", &[&format!("- PRP {both} server")]);
        check("[header]\nA = \"1\"\nB = [\"2\", \"3\"]\n", &["- PRP A=1 B=2 B=3 server"]);
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for (text, part) in [
            ("server = ", "line 1, \"server =\": "),
            ("server = \"ftp://a\"", "ftp"),
            ("server = \"https://u:p@a\"", "user name"),
            ("capabilities = [\"pul\"]", "unknown capability \"pul\""),
            ("\nca = 1", "line 2, \"ca = 1\": "),
            ("client = [[\"a\"]]", "client = "),
            ("client = [\"a\", \"b\"]", "more than one"),
            ("dial_timeout = \"soon\"", "duration"),
            ("dial_timeout = \"1e999s\"", "duration"),
            ("host = 1", "line 1, \"host = 1\": invalid type"),
        ] {
            let error = show(text).unwrap_err();
            assert!(!error.contains('\n') && error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn durations_as_go_writes_them() {
        for (text, ms) in [("10s", 10_000), ("500ms", 500), ("1m30s", 90_000), ("1.5h", 5_400_000)] {
            assert_eq!(duration(text), Ok(Some(Duration::from_millis(ms))), "{text}");
        }
        assert_eq!(duration(""), Ok(None));
        for bad in ["1", "s", "-1s", "1d", "1 s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
