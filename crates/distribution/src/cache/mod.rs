//! A cache of another registry: what is asked for and not here comes from there, is checked, is kept, and is served like everything
//! else. Only manifests that were asked for come in, and only blobs that such a manifest names.
//!
//! The client of [`registry`] sees to it that our credentials go to upstream and to token services that may speak for it, and to
//! nobody else that a challenge names (D05).

mod arrival;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::digest::Digest;
use registry::{Client, Credentials, Repository};
use tokio::sync::watch;
use types::{Kind, Reference};

pub(crate) use arrival::Arrival;
use arrival::Progress;

use crate::code::{Code, Refusal};
use crate::depot::{self, Found, NewManifest, blocking};
use crate::error::{Error, Result};
use crate::manifest;
use crate::name::Name;
use crate::route::Target;
use crate::site::Site;

/// Most tags whose last look upstream is remembered.
const MOST: usize = 10_000;

/// Whose content is kept, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// The registry's host, with its port: `docker.io`.
    pub upstream: String,
    /// File with `user:password` for it.
    pub credentials: Option<PathBuf>,
    /// How long a tag is served without asking upstream whether it moved.
    pub fresh: Duration,
    /// Directories with certificates, as the daemon's.
    pub certs_dirs: Vec<PathBuf>,
}

/// Whoever looks upstream for a manifest holds its lock.
type Turns = HashMap<(Name, Target), Arc<tokio::sync::Mutex<()>>>;

pub(crate) struct Cache {
    options: CacheOptions,
    client: Client,
    credentials: Credentials,
    /// When tags were last seen to be what upstream has.
    looked: Mutex<HashMap<(Name, Target), Instant>>,
    /// One look upstream for each manifest, however many ask.
    turns: Mutex<Turns>,
    /// One download of each blob, likewise.
    fetching: Mutex<HashMap<Digest, watch::Receiver<Progress>>>,
}

impl Cache {
    pub(crate) fn open(options: CacheOptions) -> Result<Self> {
        format!("{}/a/b", options.upstream).parse::<Reference>().map_err(|_| {
            Error::invalid(format!("{:?} is not a registry: want HOST or HOST:PORT", options.upstream))
        })?;
        let mut reached = registry::Options::default();
        if !options.certs_dirs.is_empty() {
            reached.certs_dirs.clone_from(&options.certs_dirs);
        }
        // Whoever asks waits meanwhile, and what is here is served when upstream is away.
        reached.attempts = 3;
        let client = Client::new(reached).map_err(|e| Error::new(e.kind(), e.to_string()))?;
        let credentials = options.credentials.as_ref().map(read_credentials).transpose()?.unwrap_or_default();
        Ok(Self {
            options,
            client,
            credentials,
            looked: Mutex::default(),
            turns: Mutex::default(),
            fetching: Mutex::default(),
        })
    }

    fn repository(&self, name: &Name) -> Result<Repository, Refusal> {
        let reference = format!("{}/{name}", self.options.upstream).parse::<Reference>();
        let reference = reference.map_err(|e| Refusal::new(Code::NameUnknown, e.to_string()))?;
        Ok(self.client.repository(&reference, self.credentials.clone()))
    }

    /// Sees to it that a manifest is here, if upstream has it, and that its tag is where upstream has it.
    pub(crate) async fn manifest(&self, site: &Site, name: &Name, target: &Target) -> Result<(), Refusal> {
        let asked = Instant::now();
        let newest = asked.checked_sub(self.options.fresh).unwrap_or(asked);
        if self.has(site, name, target, newest)? {
            return Ok(());
        }
        let turn = self.turn(name, target);
        let looked = {
            let _turn = turn.lock().await;
            // Who had the turn before looked after we were asked: that is news enough.
            if self.has(site, name, target, asked)? { Ok(()) } else { self.look(site, name, target).await }
        };
        self.turns().remove(&(name.clone(), target.clone()));
        looked
    }

    /// Whether a manifest is here that upstream had at this time or later.
    fn has(&self, site: &Site, name: &Name, target: &Target, since: Instant) -> Result<bool, Refusal> {
        let here = site.depot.read(|db| depot::manifest(db, name, target))?.is_some();
        let has = here && (matches!(target, Target::Digest(_)) || self.looked_since(name, target, since));
        if has {
            site.metrics.cached(true);
        }
        Ok(has)
    }

    async fn look(&self, site: &Site, name: &Name, target: &Target) -> Result<(), Refusal> {
        let here = site.depot.read(|db| depot::manifest(db, name, target))?;
        match self.fetch_manifest(site, name, target, here.as_ref()).await {
            Ok(()) => {}
            // What is here is better than nothing while upstream is away, which is asked again when the tag is due again.
            Err(refusal) if here.is_some() && refusal.code == Code::Unavailable => {
                tracing::warn!(%name, why = refusal.message, "upstream is away: the cache answers for it");
            }
            Err(refusal) => return Err(refusal),
        }
        self.looked(name, target);
        Ok(())
    }

    async fn fetch_manifest(
        &self,
        site: &Site,
        name: &Name,
        target: &Target,
        here: Option<&Found>,
    ) -> Result<(), Refusal> {
        let upstream = self.repository(name)?;
        let wanted = match target {
            Target::Tag(tag) => registry::Target::Tag(tag.to_string()),
            Target::Digest(digest) => registry::Target::Digest(digest.for_client().ok_or_else(only_sha256)?),
        };
        if here.is_some() {
            let there = upstream.head(&wanted).await.map_err(away)?;
            let there = there.ok_or_else(|| unknown_manifest("upstream has this manifest no longer"))?;
            if here.is_some_and(|here| here.digest.for_client() == Some(there.digest)) {
                site.metrics.cached(true);
                return Ok(());
            }
        }
        site.metrics.cached(false);
        let manifest = upstream.manifest(&wanted).await.map_err(away)?;
        let checked = manifest::check(Some(&manifest.media_type), &manifest.bytes)
            .map_err(|refusal| Refusal { status: Some(hyper::StatusCode::BAD_GATEWAY), ..refusal })?;
        let files = site.depot.files().clone();
        let bytes = manifest.bytes;
        let digest = Digest::Sha256(*manifest.digest.hash());
        let spooled = blocking(move || files.spool(digest, &bytes)).await?;
        let tags = match target {
            Target::Tag(tag) => vec![tag.clone()],
            Target::Digest(_) => Vec::new(),
        };
        let new = NewManifest { name: name.clone(), tags, spooled, checked };
        site.depot.change(move |batch| batch.add_foreign_manifest(&new)).await
    }

    /// Whose turn it is to look upstream for a manifest.
    fn turn(&self, name: &Name, target: &Target) -> Arc<tokio::sync::Mutex<()>> {
        self.turns().entry((name.clone(), target.clone())).or_default().clone()
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetching(&self) -> MutexGuard<'_, HashMap<Digest, watch::Receiver<Progress>>> {
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn looked_since(&self, name: &Name, target: &Target, since: Instant) -> bool {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.get(&(name.clone(), target.clone())).is_some_and(|at| *at > since)
    }

    fn looked(&self, name: &Name, target: &Target) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.len() >= MOST {
            looked.clear();
        }
        looked.insert((name.clone(), target.clone()), Instant::now());
    }
}

/// `user:password`, from a file: what stands in a command line is seen by everybody.
fn read_credentials(path: &PathBuf) -> Result<Credentials> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::call(format!("cannot read the credentials {}", path.display()), e))?;
    let (user, password) = text
        .trim_end_matches(['\r', '\n'])
        .split_once(':')
        .ok_or_else(|| Error::invalid(format!("{} is not USER:PASSWORD", path.display())))?;
    Ok(Credentials::Basic { user: user.to_owned(), password: password.to_owned() })
}

/// How a failure of upstream looks to a client of ours.
fn away(error: registry::Error) -> Refusal {
    match error.kind() {
        Kind::NotFound => unknown_manifest("upstream does not have this"),
        kind => {
            tracing::warn!(
                ?kind,
                error = crate::error::chain(&error),
                "upstream did not give what was asked for"
            );
            Refusal::new(Code::Unavailable, "upstream does not give it: the registry's log says why")
                .header("Retry-After", "5")
        }
    }
}

/// The client that reaches upstream checks sha256 only.
fn only_sha256() -> Refusal {
    unknown_manifest("a cache brings in content by sha256 only")
}

fn unknown_manifest(why: &str) -> Refusal {
    Refusal::new(Code::ManifestUnknown, why)
}
