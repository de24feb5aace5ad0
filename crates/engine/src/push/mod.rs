//! Pushing images: the bytes as the store has them, so every digest stays what it was.

mod board;
mod plan;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use oci::image::Platform;
use oci::image::platform::Preference;
use registry::{Credentials, Descriptor, NO_CREDENTIALS, Pushed, Repository, Source, Target as Wanted};
use store::{Lease, Store, Target};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use types::{Digest, Kind, Reference};

use crate::engine::{Engine, blocking};
use crate::{Error, Result};
use board::Board;
use plan::{Blob, Plan, choose, plan_all, plan_one};

/// A push.
#[derive(Debug, Clone, Default)]
pub struct Push {
    /// The repository, perhaps with a tag.
    pub name: String,
    /// The tag, when it is said apart.
    pub tag: Option<String>,
    /// Everything of this repository that has a tag.
    pub all_tags: bool,
    /// Only the image for this platform.
    pub platform: Option<Platform>,
    /// Also what refers to it, of what is here.
    pub referrers: bool,
    /// Who pushes.
    pub credentials: Credentials,
}

impl Engine {
    /// Pushes one image, or all of a repository, to its registry.
    ///
    /// # Errors
    /// `NotFound` in Docker's words when there is no such image here; what the registry refuses.
    pub async fn image_push(
        &self,
        push: Push,
        tell: impl FnMut(dockerapi::Progress) + Send + 'static,
    ) -> Result<()> {
        let name = full_name(&push)?;
        let board = Arc::new(Board::new(tell));
        board.say(format!("The push refers to repository [{}]", name.repository()));
        let preference = push.platform.as_ref().map(Preference::of);
        let targets = self.targets_to_push(&name, push.all_tags)?;
        let (store, leased) = (self.0.store.clone(), targets.clone());
        // Nothing of it is swept before it is pushed, whatever becomes of its name.
        let _leases: Vec<Lease> =
            blocking(move || leased.iter().map(|(_, target)| store.lease_target(target)).collect()).await?;
        for (reference, target) in targets {
            let about = if push.referrers { self.referrers_to_push(&target) } else { Vec::new() };
            let (store, leased) = (self.0.store.clone(), about.clone());
            let _leases: Vec<Lease> =
                blocking(move || leased.iter().map(|target| store.lease_target(target)).collect()).await?;
            let job = Job {
                store: self.0.store.clone(),
                repository: self.0.registry.repository(&reference, push.credentials.clone()),
                board: Arc::clone(&board),
                uploads: self.0.options.registries.uploads.max(1) as usize,
            };
            let pushed = job.push(&reference, &target, preference.as_ref()).await?;
            job.push_referrers(&about, pushed).await?;
            let engine = self.clone();
            blocking(move || engine.note_push(&reference, &target)).await??;
        }
        Ok(())
    }

    /// The names to push, with what they lead to.
    fn targets_to_push(&self, name: &Reference, all_tags: bool) -> Result<Vec<(Reference, Arc<Target>)>> {
        let images = self.0.store.images();
        let of_repository = |target: &Arc<Target>| {
            let names = target.references.clone().into_iter();
            let own = names.filter(|known| known.repository() == name.repository());
            own.map(|known| (known, Arc::clone(target))).collect::<Vec<_>>()
        };
        let mut all: Vec<_> = images.targets().flat_map(of_repository).collect();
        if all.is_empty() {
            let name = name.familiar_name();
            let sentence = format!("An image does not exist locally with the tag: {name}");
            return Err(Error::new(Kind::NotFound, sentence));
        }
        if !all_tags {
            all.retain(|(known, _)| known == name);
            if all.is_empty() {
                return Err(Error::new(Kind::NotFound, format!("tag does not exist: {}", name.familiar())));
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }

    /// What refers to the target or to a manifest of it, and to that, each behind what it is about.
    fn referrers_to_push(&self, target: &Target) -> Vec<Arc<Target>> {
        let images = self.0.store.images();
        let mut subjects: Vec<Digest> = target.documents().collect();
        subjects.extend(target.images().map(|image| image.manifest));
        let mut all: Vec<Arc<Target>> = Vec::new();
        let mut next = 0;
        while let Some(subject) = subjects.get(next).copied() {
            next += 1;
            for about in images.referrers(subject).filter_map(|image| images.target(&image.target)) {
                if !all.iter().any(|known| known.digest == about.digest) {
                    subjects.extend(about.images().map(|image| image.manifest));
                    all.push(Arc::clone(about));
                }
            }
        }
        all
    }

    fn note_push(&self, reference: &Reference, target: &Target) -> Result<()> {
        // It may have been removed meanwhile: it was pushed all the same.
        match self.0.store.note_repository(&target.digest, reference) {
            Err(error) if error.kind() != Kind::NotFound => return Err(error.into()),
            _ => {}
        }
        if let Some(image) = target.image() {
            self.0.tell_image("push", image, &reference.familiar());
        }
        Ok(())
    }
}

/// The name of what is pushed, with its tag.
fn full_name(push: &Push) -> Result<Reference> {
    let parse = |text: &str| {
        text.parse::<Reference>().map_err(|e: types::ReferenceError| Error::invalid(e.to_string()))
    };
    let name = parse(&push.name)?;
    if name.digest().is_some() {
        return Err(Error::invalid("cannot push a digest reference"));
    }
    match push.tag.as_deref().filter(|tag| !tag.is_empty()) {
        Some(tag) => parse(&format!("{}:{tag}", name.repository())),
        None => Ok(name),
    }
}

/// One push under way.
struct Job {
    store: Store,
    repository: Repository,
    board: Arc<Board>,
    uploads: usize,
}

impl Job {
    async fn push(
        &self,
        name: &Reference,
        target: &Arc<Target>,
        platform: Option<&Preference>,
    ) -> Result<BTreeSet<Digest>> {
        let plan = self.plan(name, target, platform).await?;
        for layer in &plan.foreign {
            self.board.layer(layer, "Skipped foreign layer");
        }
        self.send_blobs(&plan, elsewhere(target, name)).await.map_err(as_docker_says)?;
        let tag = name.tag().unwrap_or("latest");
        self.send_documents(&plan, Some(tag)).await?;
        Ok(plan.documents.iter().map(|document| document.digest).collect())
    }

    /// Pushes what is about something that was pushed.
    async fn push_referrers(&self, about: &[Arc<Target>], mut pushed: BTreeSet<Digest>) -> Result<()> {
        for target in about {
            let subject = target.images().filter_map(|image| image.subject).find(|of| pushed.contains(of));
            if subject.is_none() {
                continue;
            }
            let kind = target.images().find_map(|image| image.artifact_type.as_deref()).unwrap_or_default();
            self.board.say(format!("Pushing referrer {}: {kind}", target.digest.short()));
            let plan = self.read(target, |target, read| plan_all(target, read)).await?;
            self.send_blobs(&plan, None).await.map_err(as_docker_says)?;
            self.send_documents(&plan, None).await?;
            pushed.extend(plan.documents.iter().map(|document| document.digest));
        }
        Ok(())
    }

    /// All of an index, if its images are here or the registry has them; else the one that is here.
    async fn plan(
        &self,
        name: &Reference,
        target: &Arc<Target>,
        platform: Option<&Preference>,
    ) -> Result<Plan> {
        let shown = name.familiar();
        if platform.is_none() {
            let plan = self.read(target, |target, read| plan_all(target, read)).await?;
            if self.has_all(&plan.absent).await? {
                return Ok(plan);
            }
        }
        let Some(chosen) = choose(target, &shown, platform)?.cloned() else {
            return Err(Error::new(
                Kind::NotFound,
                format!(
                    "{shown} is an index of several platforms of which some are neither here nor in the registry: \
                     pull them, or push one with --platform"
                ),
            ));
        };
        if platform.is_none() {
            self.board.instead(&target.digest, &chosen.manifest);
        }
        self.read(target, move |target, read| plan_one(target, &chosen, read)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        target: &Arc<Target>,
        plan: impl FnOnce(&Target, &plan::Read<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (store, target) = (self.store.clone(), Arc::clone(target));
        blocking(move || plan(&target, &|digest| Ok(store.document(digest)?))).await?
    }

    async fn has_all(&self, manifests: &[Digest]) -> Result<bool> {
        for digest in manifests {
            if self.repository.head(&Wanted::Digest(*digest)).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn send_blobs(&self, plan: &Plan, from: Option<String>) -> Result<()> {
        let turns = Arc::new(Semaphore::new(self.uploads));
        let mut tasks: JoinSet<Result<()>> = JoinSet::new();
        for (count, blob) in plan.blobs.iter().enumerate() {
            if blob.is_layer {
                self.board.layer(&blob.digest, "Preparing");
                if count >= self.uploads {
                    self.board.layer(&blob.digest, "Waiting");
                }
            }
            let (turns, repository, board) =
                (Arc::clone(&turns), self.repository.clone(), Arc::clone(&self.board));
            let (store, blob, from) = (self.store.clone(), blob.clone(), from.clone());
            tasks.spawn(async move {
                let _turn = turns.acquire().await;
                send_blob(&store, &repository, &board, &blob, from.as_deref()).await
            });
        }
        // The first failure ends the others.
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|e| Error::doing("an upload was cut short", Kind::Internal, e))??;
        }
        Ok(())
    }

    /// With a tag, the last one gets it.
    async fn send_documents(&self, plan: &Plan, tag: Option<&str>) -> Result<()> {
        for (index, document) in plan.documents.iter().enumerate() {
            let (store, digest) = (self.store.clone(), document.digest);
            let bytes = blocking(move || store.document(&digest)).await??;
            let tag = tag.filter(|_| index + 1 == plan.documents.len());
            let to = tag.map_or(Wanted::Digest(digest), |tag| Wanted::Tag(tag.to_owned()));
            let size = bytes.len();
            self.repository.push_manifest(&to, &document.media_type, bytes.into()).await?;
            if let Some(tag) = tag {
                self.board.result(tag, &digest, size);
            }
        }
        Ok(())
    }
}

/// Docker tells a missing login without the request that met it.
fn as_docker_says(error: Error) -> Error {
    if error.to_string().ends_with(NO_CREDENTIALS) { Error::new(error.kind(), NO_CREDENTIALS) } else { error }
}

/// Another repository of the same registry that is known to have the image.
fn elsewhere(target: &Target, name: &Reference) -> Option<String> {
    let known = target.repo_digests.iter().filter_map(|text| text.parse::<Reference>().ok());
    let mut others = known.filter(|known| known.domain() == name.domain() && known.path() != name.path());
    others.next().map(|other| other.path().to_owned())
}

async fn send_blob(
    store: &Store,
    repository: &Repository,
    board: &Arc<Board>,
    blob: &Blob,
    from: Option<&str>,
) -> Result<()> {
    let (opening, digest) = (store.clone(), blob.digest);
    let (file, _) = blocking(move || opening.blob(&digest)).await??;
    // Held open: whoever removes the image meanwhile does not hurt the push.
    let file = Arc::new(file);
    let source = Source::new(move |at| Ok(Box::new(Reader { file: Arc::clone(&file), at })));
    let (told, size, is_layer) = (Arc::clone(board), blob.size, blob.is_layer);
    let source = source.telling(move |at| {
        if is_layer {
            told.position(&digest, at, size);
        }
    });
    let descriptor = Descriptor { media_type: blob.media_type.clone(), digest, size };
    let pushed = repository.push_blob(&descriptor, from, &source).await?;
    if is_layer {
        let status = match (pushed, from) {
            (Pushed::Present, _) => "Layer already exists".to_owned(),
            (Pushed::Mounted, Some(from)) => format!("Mounted from {from}"),
            (Pushed::Mounted, None) | (Pushed::Sent, _) => "Pushed".to_owned(),
        };
        board.layer(&digest, &status);
    }
    Ok(())
}

/// A file from some byte on, whoever else reads it.
struct Reader {
    file: Arc<File>,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_pushes() {
        let name = |name: &str, tag: Option<&str>| {
            let push = Push { name: name.to_owned(), tag: tag.map(str::to_owned), ..Push::default() };
            full_name(&push).map(|name| name.to_string()).map_err(|e| e.to_string())
        };
        assert_eq!(name("a", None).as_deref(), Ok("docker.io/library/a:latest"));
        assert_eq!(name("r:5000/a", Some("1")).as_deref(), Ok("r:5000/a:1"));
        assert_eq!(name("r:5000/a:2", None).as_deref(), Ok("r:5000/a:2"));
        assert_eq!(name("r:5000/a:2", Some("")).as_deref(), Ok("r:5000/a:2"));
        let digest = format!("a@sha256:{}", "ab".repeat(32));
        assert_eq!(name(&digest, None).unwrap_err(), "cannot push a digest reference");
        assert!(name("A", None).is_err() && name("a", Some("-")).is_err());
    }
}
