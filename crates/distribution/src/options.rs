//! What a registry is told about itself, and what of it cannot be.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::auth::AuthOptions;
use crate::cache::CacheOptions;
use crate::error::{Error, Result};
use crate::wire::TlsOptions;

/// What the program is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Serve until a signal.
    Serve(Box<Options>),
    /// Remove what nothing names, and tell what that was.
    Collect(Collect),
    /// See whether every content is what it should be.
    Check(Check),
}

/// What is to be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The registry's data directory; it may be served meanwhile.
    pub data_root: PathBuf,
    /// What is broken is taken out of every repository, so that it can be pushed again.
    pub repair: bool,
}

/// What is to be collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collect {
    /// The registry's data directory; it may be served meanwhile.
    pub data_root: PathBuf,
    /// What was pushed or asked for within this time stays.
    pub grace: Duration,
    /// Manifests without a tag go, too.
    pub untagged: bool,
    /// Only tell.
    pub dry_run: bool,
}

/// What a registry is told. `cli` reads it from the flags of `berth registry serve`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where everything is kept.
    pub data_root: PathBuf,
    /// Where to listen.
    pub address: SocketAddr,
    /// Connections are encrypted.
    pub tls: Option<TlsOptions>,
    /// Who may come in.
    pub auth: AuthOptions,
    /// Nothing may change.
    pub read_only: bool,
    /// Manifests, tags and blobs may be deleted.
    pub delete: bool,
    /// Content comes from another registry, and is kept here.
    pub cache: Option<CacheOptions>,
    /// Connections at the same time; more wait.
    pub max_connections: usize,
    /// Uploads at the same time; more are refused.
    pub max_uploads: usize,
    /// Bytes of unfinished uploads; more are refused.
    pub max_upload_bytes: u64,
    /// An upload without news for so long is thrown away.
    pub upload_expiry: Duration,
    /// Content that nothing names is kept for so long.
    pub grace: Duration,
    /// Garbage is collected every so often; never when absent.
    pub collect_every: Option<Duration>,
    /// That collection removes manifests without a tag, too.
    pub collect_untagged: bool,
    /// Where metrics can be read, by HTTP.
    pub metrics: Option<SocketAddr>,
    /// File for a line about every request; `-` is standard output.
    pub access_log: Option<PathBuf>,
    /// How long requests may go on after the signal to end.
    pub stop_timeout: Duration,
    /// Least severe message to log: `debug`, `info`, `warn` or `error`.
    pub log_level: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            data_root: "/var/lib/berth-registry".into(),
            address: SocketAddr::from(([127, 0, 0, 1], 5000)),
            tls: None,
            auth: AuthOptions::Open,
            read_only: false,
            delete: false,
            cache: None,
            max_connections: 1024,
            max_uploads: 1024,
            max_upload_bytes: u64::MAX,
            upload_expiry: Duration::from_secs(24 * 60 * 60),
            grace: Duration::from_secs(60 * 60),
            collect_every: None,
            collect_untagged: false,
            metrics: None,
            access_log: None,
            stop_timeout: Duration::from_secs(30),
            log_level: "info".to_owned(),
        }
    }
}

impl Options {
    /// Refuses what cannot be.
    pub(crate) fn check(&self) -> Result<()> {
        if !self.data_root.is_absolute() {
            let path = self.data_root.display();
            return Err(Error::invalid(format!("--data-root must be an absolute path, not {path}")));
        }
        if !matches!(self.log_level.as_str(), "debug" | "info" | "warn" | "error") {
            let level = &self.log_level;
            return Err(Error::invalid(format!(
                "invalid log level {level:?}: want debug, info, warn or error"
            )));
        }
        Ok(())
    }
}
