//! Images: the store's, in Docker's form.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use dockerapi::{
    DeletedImage, Filters, GraphDriver, HistoryItem, ImageConfig, ImageInspect, ImageSummary, Metadata,
    Progress, ProgressDetail, RootFs,
};
use oci::image::Platform;
use oci::image::platform::{PlatformError, Preference};
use serde_json::Map;
use store::{Image, ImageList, ImportConfig, Usage};
use types::{Digest, Reference};

use crate::engine::{Engine, Inner, apart, blocking};
use crate::{Error, Result};

/// An import.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// The new image's name.
    pub reference: Option<String>,
    /// Dockerfile instructions for its configuration.
    pub changes: Vec<String>,
    /// What its history says.
    pub message: String,
    /// `os/architecture`; this machine's when empty.
    pub platform: String,
}

impl Engine {
    /// Lists images, newest first.
    ///
    /// # Errors
    /// An unknown filter or one that means nothing.
    pub async fn image_list(&self, all: bool, filters: Filters) -> Result<Vec<ImageSummary>> {
        filters.only(&["before", "dangling", "label", "label!", "reference", "since", "until"])?;
        let list = self.0.store.images();
        let edge = |key: &str| -> Result<Option<i64>> {
            filters.get(key).first().map(|name| Ok(list.resolve(name)?.created)).transpose()
        };
        let (before, since) = (edge("before")?, edge("since")?);
        let dangling = filters.truth("dangling")?;
        let until = match filters.get("until").first() {
            Some(text) => Some(dockerapi::time::parse_moment(text, crate::clock::now_ns())?),
            None => None,
        };
        let mut images: Vec<ImageSummary> = rows(&list, all)
            .into_iter()
            .filter(|i| before.is_none_or(|t| i.created < t) && since.is_none_or(|t| i.created > t))
            .filter(|i| until.is_none_or(|t| i.created.saturating_mul(1_000_000_000) < t))
            .filter(|i| dangling.is_none_or(|d| d == i.references.is_empty()))
            .filter(|i| filters.labels(&labels(i)))
            .filter_map(|i| summary(&list, i, &filters))
            .collect();
        images.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        Ok(images)
    }

    /// Everything known of an image.
    ///
    /// # Errors
    /// When there is no such image.
    pub async fn image_inspect(&self, name: &str) -> Result<ImageInspect> {
        let image = self.image_for(name).await?;
        Ok(self.account(&image))
    }

    pub(crate) fn account(&self, image: &Image) -> ImageInspect {
        let mut answer = account(image);
        answer.graph_driver.data = layers(&self.0.store.layer_paths(image));
        answer
    }

    /// How an image came about, newest step first.
    ///
    /// # Errors
    /// When there is no such image.
    pub async fn image_history(&self, name: &str, platform: Option<&str>) -> Result<Vec<HistoryItem>> {
        Ok(history(&*self.image_on(name, platform, Preference::only).await?))
    }

    /// Loads every image of an archive; all or none. With a platform, of each index only what is for it.
    ///
    /// # Errors
    /// An archive that is malformed, hostile, does not fit on the disk, or has nothing for the platform.
    pub async fn image_load(
        &self,
        mut input: impl Read + Send + 'static,
        platforms: Vec<String>,
        mut tell: impl FnMut(Progress) + Send + 'static,
    ) -> Result<()> {
        let preference = preference(&platforms)?;
        let engine = self.clone();
        apart(move || {
            let loaded = engine.0.store.load_for(&mut input, preference.as_ref(), &mut |progress| {
                if let Some(progress) = shown(progress) {
                    tell(progress);
                }
            })?;
            let mut told = Vec::new();
            for one in loaded {
                let line = match &one.reference {
                    Some(name) => format!("Loaded image: {}\n", name.familiar()),
                    None => format!("Loaded image ID: {}\n", one.image.id),
                };
                if !told.contains(&one.image.id) {
                    engine.0.tell_image("load", &one.image, &one.image.id.to_string());
                    told.push(one.image.id);
                }
                tell(Progress::stream(line));
            }
            Ok(())
        })
        .await?
    }

    /// Makes an image of a root file system's archive; answers its id.
    ///
    /// # Errors
    /// A name or archive that is malformed.
    pub async fn image_import(
        &self,
        mut input: impl Read + Send + 'static,
        import: Import,
    ) -> Result<String> {
        let reference = import.reference.as_deref().map(reference).transpose()?;
        let config =
            ImportConfig { changes: import.changes, message: import.message, platform: import.platform };
        let (engine, asked) = (self.clone(), import.reference.unwrap_or_default());
        apart(move || {
            let image = engine.0.store.import(&mut input, reference.as_ref(), &config)?;
            let id = image.id.to_string();
            if let Some(reference) = &reference {
                // Docker tells the name as it was written: without a tag when none was.
                let is_tagged = asked.rsplit('/').next().is_some_and(|last| last.contains(':'));
                let name = if is_tagged { reference.familiar() } else { reference.familiar_name() };
                engine.0.tell_image("tag", &image, &name);
            }
            engine.0.tell_image("import", &image, &id);
            Ok(id)
        })
        .await?
    }

    /// Writes an archive of these images, which `image_load` and others' load take. Without platforms each image is saved as it is.
    ///
    /// # Errors
    /// `NotFound` before anything is written; else when the output fails.
    pub async fn image_save(
        &self,
        names: Vec<String>,
        platforms: Vec<String>,
        mut output: impl Write + Send + 'static,
    ) -> Result<()> {
        let preference = preference(&platforms)?;
        let engine = self.clone();
        apart(move || {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            engine.0.store.save_for(&names, preference.as_ref(), &mut output)?;
            output.flush().map_err(|e| Error::io("cannot write the archive", e))
        })
        .await?
    }

    /// Gives an image one more name.
    ///
    /// # Errors
    /// When there is no such image, or the name is none.
    pub async fn image_tag(&self, name: &str, target: &str) -> Result<()> {
        let target = reference(target)?;
        if target.digest().is_some() {
            return Err(Error::invalid("refusing to create a tag with a digest reference"));
        }
        let image = self.image_for(name).await?;
        let engine = self.clone();
        blocking(move || {
            engine.0.store.tag(&image, &target)?;
            engine.0.tell_image("tag", &image, &target.familiar());
            Ok(())
        })
        .await?
    }

    /// Takes a name away, or the image with its last one.
    ///
    /// # Errors
    /// `Conflict` when containers use it, or it has several names and was named by id.
    pub async fn image_remove(&self, name: &str, force: bool, _noprune: bool) -> Result<Vec<DeletedImage>> {
        let (engine, name) = (self.clone(), name.to_owned());
        blocking(move || {
            let inner = &engine.0;
            let image = inner.store.resolve(&name)?;
            let removal = inner.claims.removal();
            let in_use = |id: &Digest| {
                let user = inner.user_of_image(id);
                user.or_else(|| (!removal.takes(id)).then(|| inner.maker_of_image(id)))
            };
            let removed = inner.store.remove(&name, force, &in_use)?;
            Ok(inner.tell_removed(&image, removed))
        })
        .await?
    }
}

impl Inner {
    /// A container of this image, a running one if there is one.
    pub(crate) fn user_of_image(&self, id: &Digest) -> Option<Usage> {
        let id = id.to_string();
        let mut users: Vec<_> = self.table.all().into_iter().filter(|r| r.image_id == id).collect();
        users.sort_by_key(|r| !r.state.is_running());
        users.first().map(|r| Usage { container: r.id.clone(), running: r.state.is_running() })
    }

    /// A container of this image that is being made.
    fn maker_of_image(&self, id: &Digest) -> Usage {
        Usage { container: self.claims.of_image(id).unwrap_or_default(), running: true }
    }
}

fn reference(text: &str) -> Result<Reference> {
    text.parse().map_err(|e: types::ReferenceError| Error::invalid(e.to_string()))
}

/// The images that have a line of their own: those that names lead to on this host, and those that no name leads to. What is about
/// another image is shown with that one, unless it has a name or `all` are wanted.
fn rows(list: &ImageList, all: bool) -> Vec<&Arc<Image>> {
    let known =
        |subject: Digest| list.target(&subject).is_some() || list.iter().any(|i| i.manifest == subject);
    let is_told_elsewhere = |image: &Image| image.references.is_empty() && image.subject.is_some_and(known);
    let shown = list.targets().filter_map(|target| target.image());
    let shown = shown.filter(|image| all || !is_told_elsewhere(image));
    let unique: BTreeMap<Digest, &Arc<Image>> =
        shown.filter_map(|image| Some((image.id, list.get(&image.id)?))).collect();
    unique.into_values().collect()
}

/// What archives are to hold, when not everything.
fn preference(platforms: &[String]) -> Result<Option<Preference>> {
    match platforms {
        [] => Ok(None),
        [platform] => Ok(Some(Preference::only(&platform_of(platform)?))),
        _ => Err(Error::unimplemented(
            "choosing several platforms is not there yet: name one, or none for all",
        )),
    }
}

/// A platform as people write it, or as the API's JSON.
pub(crate) fn platform_of(text: &str) -> Result<Platform> {
    if text.starts_with('{') {
        return serde_json::from_str(text)
            .map_err(|e| Error::invalid(format!("{text:?} is not a platform in JSON: {e}")));
    }
    text.parse().map_err(|e: PlatformError| Error::invalid(e.to_string()))
}

pub(crate) fn labels(image: &Image) -> BTreeMap<String, String> {
    image.config.config.as_ref().map(|c| c.labels.clone()).unwrap_or_default()
}

/// One line of the list; `None` when a `reference` filter leaves the image no name.
fn summary(list: &ImageList, image: &Arc<Image>, filters: &Filters) -> Option<ImageSummary> {
    let wanted = filters.get("reference");
    let fits = |r: &&Reference| wanted.is_empty() || wanted.iter().any(|w| is_meant(w, r));
    let tags: Vec<String> = image.references.iter().filter(fits).map(Reference::familiar).collect();
    let digests = image.repo_digests.iter().filter(|text| text.parse().is_ok_and(|name| fits(&&name)));
    let digests: Vec<String> = digests.cloned().collect();
    if !wanted.is_empty() && tags.is_empty() && digests.is_empty() {
        return None;
    }
    Some(ImageSummary {
        id: image.id.to_string(),
        created: image.created,
        labels: labels(image),
        repo_digests: digests,
        repo_tags: tags,
        size: i64::try_from(size(list, image)).unwrap_or(i64::MAX),
        artifact_type: image.artifact_type.clone().unwrap_or_default(),
        ..ImageSummary::default()
    })
}

/// Bytes of the image on all platforms that are here.
fn size(list: &ImageList, image: &Image) -> u64 {
    let runnable = |other: &&Arc<Image>| other.is_runnable() || other.id == image.id;
    let all = list.targets_with(image.id).flat_map(|target| target.images()).filter(runnable);
    let unique: BTreeMap<Digest, u64> = all.map(|image| (image.id, image.size)).collect();
    unique.into_values().sum()
}

/// Docker's `reference` filter: a shell pattern against the name with and without its tag.
fn is_meant(pattern: &str, reference: &Reference) -> bool {
    let familiar = reference.familiar();
    [familiar.as_str(), &reference.familiar_name(), &reference.to_string(), &reference.repository()]
        .iter()
        .any(|name| glob(pattern.as_bytes(), name.as_bytes()))
}

/// `*` and `?` stop at slashes.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            glob(rest, text) || text.split_first().is_some_and(|(c, more)| *c != b'/' && glob(pattern, more))
        }
        (Some((b'?', rest)), Some((c, more))) => *c != b'/' && glob(rest, more),
        (Some((p, rest)), Some((c, more))) => p == c && glob(rest, more),
        _ => false,
    }
}

/// Where the layers are, as overlayfs names them: the topmost, and those below it.
fn layers(paths: &[PathBuf]) -> BTreeMap<String, String> {
    let mut texts: Vec<_> = paths.iter().rev().map(|path| path.to_string_lossy().into_owned()).collect();
    if texts.is_empty() {
        return BTreeMap::new();
    }
    let lower = texts.split_off(1).join(":");
    let named = [("UpperDir", texts.concat()), ("LowerDir", lower)];
    named.into_iter().filter(|(_, path)| !path.is_empty()).map(|(key, path)| (key.to_owned(), path)).collect()
}

fn account(image: &Image) -> ImageInspect {
    let config = &image.config;
    let last = config.history.last();
    ImageInspect {
        id: image.id.to_string(),
        repo_tags: image.repo_tags(),
        repo_digests: image.repo_digests.clone(),
        comment: last.map(|h| h.comment.clone()).unwrap_or_default(),
        created: config.created.clone().unwrap_or_default(),
        author: config.author.clone(),
        config: config.config.as_ref().map(defaults).unwrap_or_default(),
        architecture: config.architecture.clone(),
        variant: config.variant.clone(),
        os: config.os.clone(),
        os_version: config.os_version.clone(),
        size: i64::try_from(image.size).unwrap_or(i64::MAX),
        graph_driver: GraphDriver { name: "overlay2".to_owned(), ..GraphDriver::default() },
        root_fs: RootFs {
            kind: "layers".to_owned(),
            layers: image.layers.iter().map(Digest::to_string).collect(),
        },
        metadata: Metadata::default(),
        artifact_type: image.artifact_type.clone().unwrap_or_default(),
        ..ImageInspect::default()
    }
}

/// The image's defaults in the API's form.
fn defaults(config: &oci::image::ContainerConfig) -> ImageConfig {
    let set = |keys: &BTreeMap<String, oci::image::Nothing>| {
        keys.keys().map(|k| (k.clone(), Map::new())).collect::<BTreeMap<_, _>>()
    };
    ImageConfig {
        user: config.user.clone(),
        exposed_ports: set(&config.exposed_ports),
        env: config.env.clone(),
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        volumes: set(&config.volumes),
        working_dir: config.working_dir.clone(),
        labels: config.labels.clone(),
        stop_signal: config.stop_signal.clone(),
        stop_timeout: config.stop_timeout,
        shell: config.shell.clone().unwrap_or_default(),
        on_build: config.on_build.clone(),
        healthcheck: config.healthcheck.as_ref().map(|h| dockerapi::HealthConfig {
            test: h.test.clone(),
            interval: h.interval,
            timeout: h.timeout,
            start_period: h.start_period,
            start_interval: h.start_interval,
            retries: h.retries,
        }),
        ..ImageConfig::default()
    }
}

fn history(image: &Image) -> Vec<HistoryItem> {
    let mut sizes = image.layer_sizes.iter();
    let mut items: Vec<HistoryItem> = image
        .config
        .history
        .iter()
        .map(|step| {
            let size = if step.empty_layer { 0 } else { sizes.next().copied().unwrap_or(0) };
            let created = step.created.as_deref().and_then(|t| t.parse::<jiff::Timestamp>().ok());
            HistoryItem {
                comment: step.comment.clone(),
                created: created.map_or(0, |t| t.as_second()),
                created_by: step.created_by.clone(),
                id: "<missing>".to_owned(),
                size: i64::try_from(size).unwrap_or(i64::MAX),
                tags: Vec::new(),
            }
        })
        .collect();
    if items.is_empty() {
        items.push(HistoryItem {
            size: i64::try_from(image.size).unwrap_or(i64::MAX),
            ..HistoryItem::default()
        });
    }
    items.reverse();
    items[0].id = image.id.to_string();
    items[0].tags = image.repo_tags();
    items
}

/// What people see of a load's progress.
fn shown(progress: store::Progress) -> Option<Progress> {
    let (layer, status, bytes) = match progress {
        store::Progress::Unpacking { layer, bytes } => (layer, "Loading layer", Some(bytes)),
        store::Progress::Unpacked { layer } => (layer, "Load complete", None),
        store::Progress::Receiving { .. } | store::Progress::Present { .. } => return None,
    };
    let current = i64::try_from(bytes.unwrap_or(0)).unwrap_or(i64::MAX);
    Some(Progress {
        status: status.to_owned(),
        id: layer.short(),
        detail: Some(ProgressDetail { current, total: 0 }),
        ..Progress::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topmost_layer_is_the_upper_one() {
        let shown = layers(&["/1", "/2", "/3"].map(PathBuf::from));
        assert_eq!(shown.get("UpperDir").map(String::as_str), Some("/3"));
        assert_eq!(shown.get("LowerDir").map(String::as_str), Some("/2:/1"));
        assert!(layers(&[]).is_empty() && layers(&["/1".into()]).len() == 1);
    }

    #[test]
    fn references_are_meant_by_pattern() {
        let reference: Reference = "busybox:1.36".parse().expect("reference");
        for pattern in ["busybox", "busybox:1.36", "busy*", "*:1.3?", "docker.io/library/busybox:*"] {
            assert!(is_meant(pattern, &reference), "{pattern}");
        }
        for pattern in ["busy", "*/x", "busybox:1.35", ""] {
            assert!(!is_meant(pattern, &reference), "{pattern}");
        }
    }
}
