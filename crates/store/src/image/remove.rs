//! Removing names and images, in Docker's order and words (`docker image rm`).

use std::sync::Arc;

use types::{Digest, Kind, Reference};

use super::{Image, ImageList};
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
    /// Removes a name, or an image with all its names, or refuses as Docker does. `in_use` names a container of the image,
    /// a running one if there is one.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when the image is in use or has several names.
    pub fn remove(
        &self,
        text: &str,
        force: bool,
        in_use: &dyn Fn(&Digest) -> Option<Usage>,
    ) -> Result<Vec<Removed>> {
        let change = self.change();
        let list = self.images();
        let (image, name) = list.find(text)?;
        let outcome = decide(&image, name.as_ref(), force, in_use(&image.id))?;
        let mut removed: Vec<_> =
            outcome.untag.iter().map(|name| Removed::Untagged(name.familiar())).collect();
        removed.extend(untagged_digests(&image, &outcome).map(Removed::Untagged));
        let kept: Vec<_> =
            image.references.iter().filter(|known| !outcome.untag.contains(known)).cloned().collect();
        let others = list.iter().filter(|other| other.id != image.id).cloned();
        if !outcome.delete {
            let renamed = Arc::new(image.renamed(kept));
            self.publish(&change, ImageList::new(others.chain([renamed])))?;
            return Ok(removed);
        }
        self.publish(&change, ImageList::new(others))?;
        removed.push(Removed::Deleted(image.id.to_string()));
        let (swept, trash) = self.sweep(&change)?;
        drop(change);
        drop(trash);
        // Topmost first, as they are taken off.
        let gone = image.layers.iter().rev().filter(|layer| swept.contains(layer));
        removed.extend(gone.map(|layer| Removed::Deleted(layer.to_string())));
        Ok(removed)
    }
}

#[derive(Debug)]
struct Outcome {
    untag: Vec<Reference>,
    delete: bool,
}

/// `name`: how it was asked for, when not by id.
fn decide(image: &Image, name: Option<&Reference>, force: bool, usage: Option<Usage>) -> Result<Outcome> {
    let last = image.references.len() <= 1;
    let running = usage.as_ref().filter(|usage| usage.running);
    match name.filter(|name| name.digest().is_none()) {
        Some(name) if !last => return Ok(Outcome { untag: vec![name.clone()], delete: false }),
        Some(name) => match &usage {
            // Force takes the name away; the image stays, nameless, as long as it runs.
            Some(Usage { running: true, .. }) if force => {
                return Ok(Outcome { untag: vec![name.clone()], delete: false });
            }
            Some(usage) if !force => {
                return Err(conflict(format!(
                    "unable to remove repository reference {:?} (must force) - container {} is using its referenced image {}",
                    name.familiar(),
                    short(&usage.container),
                    image.id.short()
                )));
            }
            _ => {}
        },
        None if !last && !force => {
            check_usage(image, running, force)?;
            return Err(refusal(image, "must be forced", "image is referenced in multiple repositories"));
        }
        None => {}
    }
    check_usage(image, usage.as_ref(), force)?;
    Ok(Outcome { untag: image.references.clone(), delete: true })
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
fn untagged_digests(image: &Image, outcome: &Outcome) -> impl Iterator<Item = String> {
    let kept: Vec<_> = image
        .references
        .iter()
        .filter(|name| !outcome.untag.contains(name))
        .map(|name| format!("{}@", name.familiar_name()))
        .collect();
    image.repo_digests.iter().filter(move |d| !kept.iter().any(|k| d.starts_with(k))).cloned()
}
