//! Pulling images: which one a name means, what of it is missing, and taking that in (`store::Intake`).

mod attached;
mod flights;
mod follow;
mod resolve;
mod say;

use std::sync::Arc;

use dockerapi::Progress;
use oci::image::{Platform, platform::Preference};
use registry::{Repository, Target};
use store::{Arrived, Documents, Image, Intake, Layer};
use tokio::task::JoinSet;
use types::Reference;

use crate::engine::{Engine, blocking};
use crate::{Credentials, Error, Result};
pub(crate) use flights::Flights;
use resolve::{Resolved, resolve};
use say::Say;

/// What is to be pulled.
#[derive(Clone, Debug, Default)]
pub struct Pull {
    /// The image's name, with or without tag and digest.
    pub reference: String,
    /// All tags of the repository, whatever tag the name has.
    pub all_tags: bool,
    /// For which platform; this host's if none.
    pub platform: Option<Platform>,
    /// Also what refers to it: signatures, attestations, other artifacts.
    pub referrers: bool,
    /// Who asks.
    pub credentials: Credentials,
}

/// One tag or digest on its way.
struct One<'a> {
    engine: &'a Engine,
    repository: &'a Repository,
    name: &'a Reference,
    platform: Option<&'a Platform>,
    say: &'a Say,
}

impl Engine {
    /// Pulls an image, or all of a repository. `tell` hears how it goes, in Docker's messages, on a thread of its own. When this is
    /// dropped before its end, nothing is left but what the next pull can go on with.
    ///
    /// # Errors
    /// A name that is malformed; what the registry refused; content that is not what was promised; a full disk.
    pub async fn image_pull(&self, pull: Pull, tell: impl FnMut(Progress) + Send + 'static) -> Result<()> {
        let name: Reference =
            pull.reference.parse().map_err(|e: types::ReferenceError| Error::invalid(e.to_string()))?;
        let (say, telling) = Say::start(tell);
        let pulled = self.pull_all(&pull, &name, &say).await;
        drop(say);
        // What was said is heard before the end is.
        telling.await.map_err(|e| Error::doing("telling of the pull failed", types::Kind::Internal, e))??;
        pulled
    }

    async fn pull_all(&self, pull: &Pull, name: &Reference, say: &Say) -> Result<()> {
        let repository = self.0.registry.repository(name, pull.credentials.clone());
        let (mut names, mut shown) = (vec![name.clone()], name.familiar());
        if pull.all_tags {
            let tags = repository.tags().await?;
            names = tags.iter().map(|tag| tagged(name, tag)).collect::<Result<_>>()?;
            shown = name.familiar_name();
        }
        let mut is_new = false;
        for name in &names {
            let platform = pull.platform.as_ref();
            let one = One { engine: self, repository: &repository, name, platform, say };
            let (image, is_newer) = one.pull().await?;
            is_new |= is_newer;
            if pull.referrers {
                one.take_referrers(&image).await?;
            }
        }
        say.status(match is_new {
            true => format!("Status: Downloaded newer image for {shown}"),
            false => format!("Status: Image is up to date for {shown}"),
        })
        .await;
        self.0.tell_pulled(name, &shown);
        Ok(())
    }
}

impl One<'_> {
    /// Answers what the name means, and whether that is something else now.
    async fn pull(&self) -> Result<(Arc<Image>, bool)> {
        let target = Target::of(self.name);
        let from = format!("Pulling from {}", self.name.path());
        if let Some(image) = self.current(&target).await? {
            self.say.message(&target.to_string(), from).await;
            self.say.status(format!("Digest: {}", image.target)).await;
            return Ok((image, false));
        }
        // Nothing is said of what cannot be found: then the door can answer with its status.
        let resolved = resolve(self.repository, self.name, &target, self.preference().as_ref()).await?;
        self.say.message(&target.to_string(), from).await;
        let (digest, before) = (resolved.digest, self.known());
        let image = self.take_in(resolved).await?;
        self.say.status(format!("Digest: {digest}")).await;
        self.warn_of_platform(&image).await;
        let is_new = before.is_none_or(|before| before.id != image.id);
        Ok((image, is_new))
    }

    fn preference(&self) -> Option<Preference> {
        self.platform.map(Preference::of)
    }

    /// What the name means here, for that platform.
    fn known(&self) -> Option<Arc<Image>> {
        let preference = self.preference().unwrap_or_else(Preference::host);
        let (list, name) = (self.engine.0.store.images(), self.name.to_string());
        // An artifact is for no platform.
        let artifact = || list.resolve(&name).ok().filter(|image| !image.is_runnable());
        list.resolve_for(&name, Some(&preference)).ok().or_else(artifact)
    }

    /// What is here under that name, when the registry still means just that, and nothing of it is missing.
    async fn current(&self, target: &Target) -> Result<Option<Arc<Image>>> {
        let Some(known) = self.known() else { return Ok(None) };
        let now = self.repository.head(target).await?;
        let is_same = now.is_some_and(|now| now.digest == known.target) && self.is_attested(&known);
        Ok(Some(known).filter(|_| is_same))
    }

    async fn take_in(&self, resolved: Resolved) -> Result<Arc<Image>> {
        let statements = self.statements(&resolved.documents).await;
        let (intake, arrived) = self.take_layers(resolved.documents).await?;
        let mut others = Vec::new();
        for documents in statements {
            match self.take_layers(documents).await {
                Ok(one) => others.push(one),
                Err(error) => self.warn_of_statement(&error).await,
            }
        }
        let name = self.name.clone();
        // Whoever is gone by now gets the image all the same: it is whole.
        blocking(move || Ok(intake.commit_with(&arrived, &others, Some(&name))?)).await?
    }

    async fn take_layers(&self, documents: Documents) -> Result<(Intake, Vec<Arc<Arrived>>)> {
        let store = self.engine.0.store.clone();
        let intake = blocking(move || store.intake(documents)).await??;
        let arrived = self.receive(&intake).await?;
        Ok((intake, arrived))
    }

    /// Gets what is missing, all at once; the flights take turns.
    async fn receive(&self, intake: &Intake) -> Result<Vec<Arc<Arrived>>> {
        let mut missing: Vec<Layer> = Vec::new();
        for layer in intake.layers() {
            if intake.has(layer) {
                self.say.layer(layer, "Already exists").await;
            } else if !missing.contains(layer) {
                self.say.layer(layer, "Pulling fs layer").await;
                missing.push(*layer);
            }
        }
        let mut following = JoinSet::new();
        for layer in missing {
            let flights = Arc::clone(&self.engine.0.flights);
            let (repository, say) = (self.repository.clone(), self.say.clone());
            let store = self.engine.0.store.clone();
            following.spawn(async move { flights.receive(&store, &repository, &layer, &say).await });
        }
        let mut arrived = Vec::new();
        while let Some(one) = following.join_next().await {
            let one = one.map_err(|e| Error::doing("a layer's task failed", types::Kind::Internal, e))?;
            arrived.push(one?);
        }
        Ok(arrived)
    }

    /// A repository may have one image for all who ask.
    async fn warn_of_platform(&self, image: &Image) {
        let Some(preference) = self.preference() else { return };
        let actual = image.platform();
        if preference.rank(&actual).is_none() {
            self.say
                .status(format!(
                    "WARNING: image with reference {} was found but does not match the specified platform: wanted {}, actual: {actual}",
                    self.name.familiar(),
                    preference.wanted(),
                ))
                .await;
        }
    }
}

fn tagged(name: &Reference, tag: &str) -> Result<Reference> {
    let text = format!("{}:{tag}", name.repository());
    text.parse().map_err(|_| {
        Error::new(types::Kind::Corrupt, format!("the registry lists a tag {tag:?}, which is none"))
    })
}
