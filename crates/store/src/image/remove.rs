//! Removing names and images, in Docker's order and words (`docker image rm`).

use std::collections::BTreeSet;
use std::sync::Arc;

use oci::image::platform::Preference;
use types::{Digest, Kind, Reference};

use super::{Found, Image, ImageList, Member, Role, Target};
use crate::Store;
use crate::error::{Error, Result};

/// What a removal did, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Removed {
    /// A name is gone.
    Untagged(String),
    /// An image, or a layer that nobody needs any more, is gone.
    Deleted(String),
}

/// A container that uses an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Usage {
    /// The container's id.
    pub container: String,
    /// Whether it runs (or is paused): then not even force removes the image.
    pub running: bool,
}

impl Store {
    /// Removes a name, or an image with all its names, or refuses as Docker does. With the last name of an index go the images of all
    /// its platforms; by its own id, an image of another platform than this host's goes alone. `in_use` names a container of
    /// the image, a running one if there is one.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when the image is in use or has several names.
    pub fn remove(
        &self,
        text: &str,
        force: bool,
        in_use: &dyn Fn(&Digest) -> Option<Usage>,
    ) -> Result<Vec<Removed>> {
        self.take_away(text, &|list, found| decide(list, found, force, in_use))
    }

    /// Removes what is here of an image for these platforms; its names and what it has for others stay. When nothing that runs would be
    /// left, the image goes as by its id.
    ///
    /// # Errors
    /// `NotFound` also when it is not here for one of the platforms; `Conflict` as `remove`.
    pub fn remove_platforms(
        &self,
        text: &str,
        platforms: &[Preference],
        force: bool,
        in_use: &dyn Fn(&Digest) -> Option<Usage>,
    ) -> Result<Vec<Removed>> {
        self.take_away(text, &|list, found| decide_by_platform(list, found, (text, platforms), force, in_use))
    }

    fn take_away(
        &self,
        text: &str,
        decide: &dyn Fn(&ImageList, &Found) -> Result<Plan>,
    ) -> Result<Vec<Removed>> {
        let change = self.change();
        let list = self.images();
        let found = list.find(text, None)?;
        let plan = decide(&list, &found)?;
        let mut act = Act::of(&plan, &list, &found.image);
        self.publish(&change, act.after.clone())?;
        if !act.gone.is_empty() || !plan.drop.is_empty() {
            let swept = self.sweep_or_leave(change);
            act.tell_layers(&mut swept.into_iter().collect());
        }
        Ok(act.told)
    }

    /// Removes images by their ids, with all their names, in one change and with one sweep. Those that are in use, by a container
    /// or something in progress, or went meanwhile, stay out of the answer.
    ///
    /// # Errors
    /// When the disk refuses; then all of them stay.
    pub fn remove_all(
        &self,
        ids: &[Digest],
        in_use: &dyn Fn(&Digest) -> Option<Usage>,
    ) -> Result<Vec<(Digest, Vec<Removed>)>> {
        let change = self.change();
        let mut list = ImageList::clone(&self.images());
        let mut acts = Vec::new();
        for id in ids {
            let Ok(found) = list.find(&id.to_string(), None) else { continue };
            let image = &found.image;
            if [image.id, image.target, image.manifest].iter().any(|digest| change.is_pinned(digest)) {
                continue;
            }
            match decide(&list, &found, true, in_use) {
                Ok(plan) => {
                    let act = Act::of(&plan, &list, image);
                    list = act.after.clone();
                    acts.push((*id, act));
                }
                Err(e) if e.kind() == Kind::Conflict => {}
                Err(e) => return Err(e),
            }
        }
        // What an earlier refusal left without an owner goes in any case.
        if !acts.is_empty() {
            self.publish(&change, list)?;
        }
        let mut swept = self.sweep_or_leave(change).into_iter().collect();
        // A layer goes with the last image that has it.
        acts.iter_mut().rev().for_each(|(_, act)| act.tell_layers(&mut swept));
        Ok(acts.into_iter().map(|(id, act)| (id, act.told)).collect())
    }
}

/// What one removal comes to.
struct Act {
    after: ImageList,
    /// Images that go, the one that was asked for first.
    gone: Vec<Arc<Image>>,
    told: Vec<Removed>,
}

impl Act {
    fn of(plan: &Plan, list: &ImageList, image: &Image) -> Self {
        let after = plan.apply(list);
        let mut told: Vec<_> = plan.untag.iter().map(|name| Removed::Untagged(name.familiar())).collect();
        told.extend(lost_digests(list, &after).map(Removed::Untagged));
        let gone = list.iter().filter(|image| after.get(&image.id).is_none()).cloned();
        let (own, others): (Vec<_>, Vec<_>) = gone.partition(|gone| gone.id == image.id);
        let gone: Vec<_> = own.into_iter().chain(others).collect();
        told.extend(gone.iter().map(|image| Removed::Deleted(image.id.to_string())));
        Self { after, gone, told }
    }

    /// Tells which layers went, topmost first, as they are taken off; what is told leaves `swept`.
    fn tell_layers(&mut self, swept: &mut BTreeSet<Digest>) {
        let layers = self.gone.iter().flat_map(|image| image.layers.iter().rev());
        let went = layers.filter(|layer| swept.remove(*layer));
        self.told.extend(went.map(|layer| Removed::Deleted(layer.to_string())));
    }
}

/// What will be taken away.
#[derive(Debug, Default)]
struct Plan {
    untag: Vec<Reference>,
    /// Targets that go with all that is here of them.
    drop: BTreeSet<Digest>,
    /// Manifests that go from targets that stay: target, manifest.
    forget: BTreeSet<(Digest, Digest)>,
}

impl Plan {
    fn apply(&self, list: &ImageList) -> ImageList {
        let kept = list.targets().filter(|target| !self.drop.contains(&target.digest));
        let kept = kept.map(|target| {
            let mut target =
                self.untag.iter().fold(Target::clone(target), |target, name| target.without_name(name));
            let digest = target.digest;
            let forgotten = |member: &&mut Member| self.forget.contains(&(digest, member.digest));
            target.members.iter_mut().filter(forgotten).for_each(|member| member.image = None);
            Arc::new(target)
        });
        without_orphans(list, ImageList::new(kept.collect::<Vec<_>>()))
    }
}

/// What was about a manifest that went goes too, unless it has a name of its own.
fn without_orphans(before: &ImageList, mut after: ImageList) -> ImageList {
    let was = known(before);
    loop {
        let is = known(&after);
        let lost = |image: &Arc<Image>| image.subject.is_some_and(|s| was.contains(&s) && !is.contains(&s));
        let is_orphan = |target: &Target| target.references.is_empty() && target.images().any(lost);
        let kept: Vec<_> = after.targets().filter(|target| !is_orphan(target)).cloned().collect();
        if kept.len() == after.targets().count() {
            return after;
        }
        after = ImageList::new(kept);
    }
}

/// What a subject can be: targets, and manifests that are here.
fn known(list: &ImageList) -> BTreeSet<Digest> {
    let manifests = list.targets().flat_map(|target| target.images()).map(|image| image.manifest);
    list.targets().map(|target| target.digest).chain(manifests).collect()
}

fn decide(
    list: &ImageList,
    found: &Found,
    force: bool,
    in_use: &dyn Fn(&Digest) -> Option<Usage>,
) -> Result<Plan> {
    match found.name.as_ref().filter(|name| name.digest().is_none()) {
        Some(name) => decide_by_name(list, found, name, force, in_use),
        None => decide_by_id(list, found, force, in_use),
    }
}

fn decide_by_name(
    list: &ImageList,
    found: &Found,
    name: &Reference,
    force: bool,
    in_use: &dyn Fn(&Digest) -> Option<Usage>,
) -> Result<Plan> {
    let untag = vec![name.clone()];
    if found.target.references.len() > 1 {
        return Ok(Plan { untag, ..Plan::default() });
    }
    let drop = BTreeSet::from([found.target.digest]);
    for image in lost(list, &drop) {
        match in_use(&image.id) {
            // Force takes the name away; the image stays, nameless, as long as it runs.
            Some(Usage { running: true, .. }) if force => return Ok(Plan { untag, ..Plan::default() }),
            Some(usage) if !force => {
                return Err(conflict(format!(
                    "unable to remove repository reference {:?} (must force) - container {} is using its referenced image {}",
                    name.familiar(),
                    short(&usage.container),
                    image.id.short()
                )));
            }
            _ => {}
        }
    }
    Ok(Plan { untag, drop, ..Plan::default() })
}

fn decide_by_id(
    list: &ImageList,
    found: &Found,
    force: bool,
    in_use: &dyn Fn(&Digest) -> Option<Usage>,
) -> Result<Plan> {
    let image = &found.image;
    let mut plan = Plan::default();
    let mut names = 0;
    for target in list.targets_with(image.id) {
        if target.image().is_none_or(|shown| shown.id == image.id) {
            plan.drop.insert(target.digest);
            names += target.references.len();
            plan.untag.extend(target.references.iter().cloned());
        } else {
            let manifests = target.images().filter(|member| member.id == image.id);
            plan.forget.extend(manifests.map(|member| (target.digest, member.manifest)));
        }
    }
    let mut lost = lost(list, &plan.drop);
    if !lost.iter().any(|gone| gone.id == image.id) {
        lost.push(Arc::clone(image));
    }
    for gone in &lost {
        let usage = in_use(&gone.id);
        if names > 1 && !force {
            check_usage(gone, usage.as_ref().filter(|usage| usage.running), force)?;
            return Err(refusal(image, "must be forced", "image is referenced in multiple repositories"));
        }
        check_usage(gone, usage.as_ref(), force)?;
    }
    plan.untag.sort();
    Ok(plan)
}

fn decide_by_platform(
    list: &ImageList,
    found: &Found,
    (text, platforms): (&str, &[Preference]),
    force: bool,
    in_use: &dyn Fn(&Digest) -> Option<Usage>,
) -> Result<Plan> {
    let target = &found.target;
    let mut going = BTreeSet::new();
    for wanted in platforms {
        let fits = |member: &&Member| member.platform().is_some_and(|p| wanted.rank(&p).is_some());
        let runs =
            target.members.iter().filter(|member| member.image.as_ref().is_some_and(|i| i.is_runnable()));
        let before = going.len();
        going.extend(runs.filter(fits).map(|member| member.digest));
        if going.len() == before {
            target.choose(text, Some(wanted))?;
        }
    }
    if !target.images().any(|image| image.is_runnable() && !going.contains(&image.manifest)) {
        let image = Arc::clone(target.image().unwrap_or(&found.image));
        let whole = Found { target: Arc::clone(target), image, name: None };
        return decide_by_id(list, &whole, force, in_use);
    }
    let stays = |id: Digest| {
        let elsewhere = list.targets_with(id).any(|other| other.digest != target.digest);
        elsewhere || target.images().any(|image| image.id == id && !going.contains(&image.manifest))
    };
    for image in target.images().filter(|image| going.contains(&image.manifest) && !stays(image.id)) {
        check_usage(image, in_use(&image.id).as_ref(), force)?;
    }
    let about = |member: &&Member| matches!(member.role, Role::Attestation { of } if going.contains(&of));
    let about: Vec<Digest> = target.members.iter().filter(about).map(|member| member.digest).collect();
    let forget = going.into_iter().chain(about).map(|manifest| (target.digest, manifest)).collect();
    Ok(Plan { forget, ..Plan::default() })
}

/// The images that no other target has.
fn lost(list: &ImageList, dropped: &BTreeSet<Digest>) -> Vec<Arc<Image>> {
    let stays =
        |image: &Arc<Image>| list.targets_with(image.id).any(|target| !dropped.contains(&target.digest));
    list.iter()
        .filter(|image| list.targets_with(image.id).next().is_some() && !stays(image))
        .cloned()
        .collect()
}

fn check_usage(image: &Image, usage: Option<&Usage>, force: bool) -> Result<()> {
    match usage {
        Some(Usage { container, running: true }) => {
            let why = format!("image is being used by running container {}", short(container));
            Err(refusal(image, "cannot be forced", &why))
        }
        Some(Usage { container, running: false }) if !force => {
            let why = format!("image is being used by stopped container {}", short(container));
            Err(refusal(image, "must be forced", &why))
        }
        _ => Ok(()),
    }
}

fn refusal(image: &Image, force: &str, why: &str) -> Error {
    conflict(format!("unable to delete {} ({force}) - {why}", image.id.short()))
}

fn conflict(what: String) -> Error {
    Error::new(Kind::Conflict, format!("conflict: {what}"))
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// A repository's digest goes with its last name.
fn lost_digests(before: &ImageList, after: &ImageList) -> impl Iterator<Item = String> {
    let digests = |list: &ImageList| -> BTreeSet<String> {
        list.targets().flat_map(|target| target.repo_digests.clone()).collect()
    };
    let kept = digests(after);
    digests(before).into_iter().filter(move |digest| !kept.contains(digest))
}
