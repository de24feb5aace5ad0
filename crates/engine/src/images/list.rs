//! `images`: by filter, newest first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dockerapi::{Filters, ImageSummary};
use store::{Image, ImageList};
use types::{Digest, Reference};

use super::labels;
use super::pattern::Pattern;
use crate::Result;
use crate::engine::{Engine, Inner};

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct ImageListOptions {
    /// Also what is about another image.
    pub all: bool,
    /// Count the bytes that other images have too.
    pub shared_size: bool,
    /// Only these.
    pub filters: Filters,
}

impl Engine {
    /// Lists images, newest first.
    ///
    /// # Errors
    /// An unknown filter or one that means nothing.
    pub async fn image_list(&self, options: ImageListOptions) -> Result<Vec<ImageSummary>> {
        let ImageListOptions { all, shared_size, filters } = options;
        filters.only(&["before", "dangling", "label", "label!", "reference", "since", "until"])?;
        let list = self.0.store.images();
        let edge = |key: &str| -> Result<Option<i128>> {
            filters.get(key).first().map(|name| Ok(made_ns(&*list.resolve(name)?))).transpose()
        };
        let (before, since) = (edge("before")?, edge("since")?);
        let dangling = filters.truth("dangling")?;
        let until = match filters.get("until").first() {
            Some(text) => Some(dockerapi::time::parse_moment(text, crate::clock::now_ns())?),
            None => None,
        };
        let patterns =
            filters.get("reference").iter().map(|text| Pattern::read(text)).collect::<Result<Vec<_>>>()?;
        let users = self.0.image_users(&list);
        let shared = if shared_size { shared(&list) } else { BTreeSet::new() };
        let mut images: Vec<(i128, ImageSummary)> = rows(&list, all)
            .into_iter()
            .filter(|i| before.is_none_or(|t| made_ns(i) < t) && since.is_none_or(|t| made_ns(i) > t))
            .filter(|i| until.is_none_or(|t| made_ns(i) < i128::from(t)))
            .filter(|i| dangling.is_none_or(|d| d == i.references.is_empty()))
            .filter(|i| filters.labels(&labels(i)))
            .filter_map(|i| {
                let mut summary = summary(&list, i, &patterns)?;
                let layers = layers_of(&list, i);
                summary.containers = users.get(&i.id).copied().unwrap_or(0);
                if shared_size {
                    let both = layers.iter().filter(|(layer, _)| shared.contains(layer));
                    summary.shared_size = signed(both.map(|(_, bytes)| bytes).sum());
                }
                Some((made_ns(i), summary))
            })
            .collect();
        images.sort_by(|(a_ns, a), (b_ns, b)| b_ns.cmp(a_ns).then_with(|| a.id.cmp(&b.id)));
        Ok(images.into_iter().map(|(_, summary)| summary).collect())
    }
}

impl Inner {
    /// How many containers each line of the list has, of whichever platform.
    fn image_users(&self, list: &ImageList) -> BTreeMap<Digest, i64> {
        let mut users: BTreeMap<Digest, i64> = BTreeMap::new();
        for record in self.table.all() {
            let Ok(id) = record.image_id.parse::<Digest>() else { continue };
            let shown: BTreeSet<Digest> =
                list.targets_with(id).filter_map(|target| Some(target.image()?.id)).collect();
            shown.into_iter().for_each(|line| *users.entry(line).or_default() += 1);
        }
        users
    }
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

/// One line of the list; `None` when a `reference` filter leaves the image no name.
fn summary(list: &ImageList, image: &Arc<Image>, wanted: &[Pattern]) -> Option<ImageSummary> {
    let fits = |r: &&Reference| wanted.is_empty() || wanted.iter().any(|pattern| pattern.means(r));
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
        size: signed(size(list, image)),
        artifact_type: image.artifact_type.clone().unwrap_or_default(),
        ..ImageSummary::default()
    })
}

/// What of the targets of a line of the list runs, each image once.
fn runnable<'a>(list: &'a ImageList, image: &Image) -> impl Iterator<Item = &'a Arc<Image>> {
    let all = list.targets_with(image.id).flat_map(|target| target.images());
    let unique: BTreeMap<Digest, _> = all.filter(|i| i.is_runnable()).map(|i| (i.id, i)).collect();
    unique.into_values()
}

/// The layers of all platforms that are here, with their sizes in bytes. One that several platforms have is there once.
pub(crate) fn layers_of(list: &ImageList, image: &Image) -> Vec<(Digest, u64)> {
    let mut layers: Vec<(Digest, u64)> = Vec::new();
    for image in runnable(list, image) {
        let known: BTreeSet<Digest> = layers.iter().map(|(layer, _)| *layer).collect();
        let own = image.layers.iter().copied().zip(image.layer_sizes.iter().copied());
        layers.extend(own.filter(|(layer, _)| !known.contains(layer)));
    }
    layers
}

/// Layers that more than one line of the list has.
fn shared(list: &ImageList) -> BTreeSet<Digest> {
    let (mut seen, mut shared) = (BTreeSet::new(), BTreeSet::new());
    for image in rows(list, true) {
        let own: BTreeSet<Digest> = layers_of(list, image).into_iter().map(|(layer, _)| layer).collect();
        shared.extend(own.iter().copied().filter(|layer| !seen.insert(*layer)));
    }
    shared
}

/// Bytes of the image on all platforms that are here.
fn size(list: &ImageList, image: &Image) -> u64 {
    match image.is_runnable() {
        true => layers_of(list, image).iter().map(|(_, bytes)| bytes).sum(),
        false => image.size,
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// When it was made, nanoseconds since 1970; images are made faster than one a second.
fn made_ns(image: &Image) -> i128 {
    let exact = image.config.created.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    exact.map_or(i128::from(image.created) * 1_000_000_000, jiff::Timestamp::as_nanosecond)
}
