//! `berth registry`: its flags, and what they say to the registry.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use distribution::{AuthOptions, CacheOptions, Check, Collect, Command, Options, TlsOptions, TokenOptions};

use crate::error::{Error, Result};
use crate::flags::{Flag, Matches, bytes, number, one, switch};

/// The flags of `registry serve`.
pub(crate) const SERVE: &[Flag] = &[
    one("data-root", "Directory for everything (default /var/lib/berth-registry)"),
    one("address", "Address and port to listen on (default 127.0.0.1:5000)").short('a'),
    one("tls-cert", "PEM file of the certificate: connections are encrypted. Read again when it changes"),
    one("tls-key", "PEM file of the certificate's key"),
    one("tls-client-ca", "PEM file: clients need a certificate that was issued by one of these"),
    one(
        "htpasswd",
        "File of users and passwords (htpasswd -B), read again when it changes. Without it and --token-… everybody may everything",
    ),
    one("token-realm", "Address of the service that hands out tokens"),
    one("token-service", "Name of this registry in tokens"),
    one("token-issuer", "Only issuer whose tokens count"),
    one("token-root-certs", "PEM file of certificates whose keys sign tokens"),
    one("token-jwks", "JSON Web Key Set of the keys that sign tokens"),
    one(
        "upstream",
        "Be a cache of this registry (HOST or HOST:PORT): nothing is pushed here, what is here is served also when that one is away",
    ),
    one("upstream-credentials", "File with USER:PASSWORD for it"),
    one("upstream-fresh", "Serve a tag so long without asking whether it moved (default 1m)"),
    switch("read-only", "Refuse every push and deletion"),
    switch("delete", "Allow manifests, tags and blobs to be deleted (default: refused)"),
    number("max-connections", "Connections at the same time; more wait (default 1024)"),
    number("max-uploads", "Uploads at the same time; more are refused (default 1024)"),
    bytes("max-upload-bytes", "Size of all unfinished uploads together (default no limit)"),
    one("upload-expiry", "Throw away an upload without news for so long (default 24h)"),
    one("gc-every", "Collect garbage every so often (default never)"),
    one("gc-grace", "Keep what was pushed or asked for within this time (default 1h)"),
    switch("gc-untagged", "Collect manifests without a tag, too"),
    one("metrics", "Address and port for Prometheus"),
    one("access-log", "File for a line about every request ('-' is standard output)"),
    one("stop-timeout", "How long requests may go on when the registry is told to end (default 30s)"),
    switch("debug", "Log more").short('D'),
    one("log-level", "Least severe message to log: debug, info, warn or error").short('l'),
];

/// The flags of `registry garbage-collect`.
pub(crate) const COLLECT: &[Flag] = &[
    one(
        "data-root",
        "Directory of the registry, which may be served meanwhile (default /var/lib/berth-registry)",
    ),
    one("grace", "Keep what was pushed or asked for within this time (default 1h)"),
    switch("delete-untagged", "Remove manifests without a tag, too").short('m'),
    switch("dry-run", "Only tell what would be removed").short('d'),
];

/// The flags of `registry check`.
pub(crate) const CHECK: &[Flag] = &[
    one(
        "data-root",
        "Directory of the registry, which may be served meanwhile (default /var/lib/berth-registry)",
    ),
    switch("repair", "Forget what is broken, so that it can be pushed again"),
];

/// Reads the flags of `registry serve`.
pub(crate) fn serve(flags: &Matches) -> Result<Command> {
    let base = Options::default();
    let level = if flags.is("debug") { "debug" } else { "info" };
    let options = Options {
        data_root: path(flags, "data-root").unwrap_or(base.data_root),
        address: address(flags, "address")?.unwrap_or(base.address),
        tls: tls(flags)?,
        auth: auth(flags)?,
        cache: cache(flags)?,
        read_only: flags.is("read-only"),
        delete: flags.is("delete"),
        max_connections: count(flags, "max-connections")?.unwrap_or(base.max_connections),
        max_uploads: count(flags, "max-uploads")?.unwrap_or(base.max_uploads),
        max_upload_bytes: flags
            .given("max-upload-bytes")
            .map_or(base.max_upload_bytes, |_| flags.bytes("max-upload-bytes").unsigned_abs()),
        upload_expiry: duration(flags, "upload-expiry")?.unwrap_or(base.upload_expiry),
        collect_every: duration(flags, "gc-every")?.filter(|every| !every.is_zero()),
        grace: duration(flags, "gc-grace")?.unwrap_or(base.grace),
        collect_untagged: flags.is("gc-untagged"),
        metrics: address(flags, "metrics")?,
        access_log: path(flags, "access-log"),
        stop_timeout: duration(flags, "stop-timeout")?.unwrap_or(base.stop_timeout),
        log_level: flags.given("log-level").unwrap_or(level).to_owned(),
    };
    Ok(Command::Serve(Box::new(options)))
}

/// Reads the flags of `registry garbage-collect`.
pub(crate) fn collect(flags: &Matches) -> Result<Command> {
    let base = Options::default();
    Ok(Command::Collect(Collect {
        data_root: path(flags, "data-root").unwrap_or(base.data_root),
        grace: duration(flags, "grace")?.unwrap_or(base.grace),
        untagged: flags.is("delete-untagged"),
        dry_run: flags.is("dry-run"),
    }))
}

/// Reads the flags of `registry check`.
pub(crate) fn check(flags: &Matches) -> Result<Command> {
    let data_root = path(flags, "data-root").unwrap_or(Options::default().data_root);
    Ok(Command::Check(Check { data_root, repair: flags.is("repair") }))
}

fn cache(flags: &Matches) -> Result<Option<CacheOptions>> {
    let (credentials, fresh) = (path(flags, "upstream-credentials"), duration(flags, "upstream-fresh")?);
    match flags.given("upstream") {
        Some(upstream) => Ok(Some(CacheOptions {
            upstream: upstream.to_owned(),
            credentials,
            fresh: fresh.unwrap_or(Duration::from_secs(60)),
            certs_dirs: Vec::new(),
        })),
        None if credentials.is_some() || fresh.is_some() => {
            Err(Error::new("--upstream-… says how --upstream is reached, which is missing").code(125))
        }
        None => Ok(None),
    }
}

fn tls(flags: &Matches) -> Result<Option<TlsOptions>> {
    match (path(flags, "tls-cert"), path(flags, "tls-key"), path(flags, "tls-client-ca")) {
        (Some(certificate), Some(key), client_ca) => Ok(Some(TlsOptions { certificate, key, client_ca })),
        (None, None, None) => Ok(None),
        _ => Err(Error::new("--tls-cert and --tls-key go together").code(125)),
    }
}

fn auth(flags: &Matches) -> Result<AuthOptions> {
    let is_token = ["token-realm", "token-service", "token-issuer", "token-root-certs", "token-jwks"]
        .iter()
        .any(|name| flags.given(name).is_some());
    match path(flags, "htpasswd") {
        Some(_) if is_token => Err(Error::new("--htpasswd and --token-… exclude each other").code(125)),
        Some(file) => Ok(AuthOptions::Htpasswd(file)),
        None if is_token => Ok(AuthOptions::Token(TokenOptions {
            realm: flags.text("token-realm").to_owned(),
            service: flags.text("token-service").to_owned(),
            issuer: flags.text("token-issuer").to_owned(),
            root_certs: path(flags, "token-root-certs"),
            jwks: path(flags, "token-jwks"),
        })),
        None => Ok(AuthOptions::Open),
    }
}

fn path(flags: &Matches, name: &str) -> Option<PathBuf> {
    flags.given(name).filter(|text| !text.is_empty()).map(PathBuf::from)
}

/// `ADDRESS:PORT`, `:PORT` for every address of this machine.
fn address(flags: &Matches, name: &str) -> Result<Option<SocketAddr>> {
    let Some(text) = flags.given(name) else { return Ok(None) };
    let everywhere = text.strip_prefix(':').and_then(|port| port.parse().ok());
    let here = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let read = everywhere
        .map(|port: u16| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
        .or_else(|| here.as_deref().unwrap_or(text).parse().ok());
    read.map(Some).ok_or_else(|| invalid(name, text, "want ADDRESS:PORT"))
}

fn duration(flags: &Matches, name: &str) -> Result<Option<Duration>> {
    let Some(text) = flags.given(name) else { return Ok(None) };
    let nanos = dockerapi::time::parse_duration(text).ok().and_then(|nanos| u64::try_from(nanos).ok());
    nanos
        .map(|nanos| Some(Duration::from_nanos(nanos)))
        .ok_or_else(|| invalid(name, text, "want a duration, as 90s or 24h"))
}

fn count(flags: &Matches, name: &str) -> Result<Option<usize>> {
    let Some(text) = flags.given(name) else { return Ok(None) };
    let read = text.parse().ok().filter(|count| (1..=1_000_000).contains(count));
    read.map(Some).ok_or_else(|| invalid(name, text, "want a number from 1 to 1000000"))
}

fn invalid(name: &str, text: &str, want: &str) -> Error {
    Error::new(format!("invalid argument {text:?} for \"--{name}\" flag: {want}")).code(125)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags;

    fn read(line: &str) -> Result<Options> {
        let argv: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let Ok(parsed) = flags::parse(&[SERVE], false, &argv) else { panic!("{line} does not parse") };
        match serve(&parsed.matches)? {
            Command::Serve(options) => Ok(*options),
            Command::Collect(_) | Command::Check(_) => panic!("not asked for"),
        }
    }

    #[test]
    fn flags_become_options() {
        assert_eq!(read("").unwrap(), Options::default());
        let options =
            read("--address :5001 --gc-every 90s --max-uploads 3 --max-upload-bytes 1g -D").unwrap();
        assert_eq!(options.address.to_string(), "0.0.0.0:5001");
        assert_eq!(options.collect_every, Some(Duration::from_secs(90)));
        assert_eq!((options.max_uploads, options.max_upload_bytes), (3, 1 << 30));
        assert_eq!(options.log_level, "debug");
        for bad in [
            "--address x",
            "--address :99999",
            "--gc-every 5",
            "--gc-grace -1s",
            "--max-uploads 0",
            "--tls-cert /c",
            "--htpasswd /f --token-realm r",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
