//! The automatic policy for images: a budget in bytes, off by default. What it would do can be asked for without doing it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dockerapi::{Collected, CollectedImage};
use plan::garbage::{Candidate, Choice, Kept, Piece, choose};
use store::Image;
use types::{Digest, Reference};

use crate::clock::rfc3339;
use crate::engine::{Engine, Inner, blocking};
use crate::{Error, Result};

/// Between two looks at the budget, unless an image comes in.
const PERIOD: Duration = Duration::from_secs(60);

impl Engine {
    /// Removes images that were used longest ago until all take no more than `budget` bytes (the daemon's, when none is given);
    /// or only says which ones.
    ///
    /// # Errors
    /// When there is no budget.
    pub async fn collect(&self, budget: Option<u64>, dry_run: bool) -> Result<Collected> {
        let budget = budget.or(self.0.options.image_budget_bytes).ok_or_else(|| {
            Error::invalid("no budget is set for images: name one, or start the daemon with --image-budget")
        })?;
        let engine = self.clone();
        blocking(move || engine.0.collect(budget, dry_run)).await?
    }

    /// Pins an image, so that no prune and no policy removes it, or lets it go again.
    ///
    /// # Errors
    /// When there is no such image, or it cannot be written down.
    pub async fn image_pin(&self, name: &str, pinned: bool) -> Result<()> {
        let image = self.image_for(name).await?;
        let engine = self.clone();
        blocking(move || {
            engine.0.store.set_pinned(&image.id, pinned)?;
            engine.0.tell_image(if pinned { "pin" } else { "unpin" }, &image, name_of(&image).as_str());
            Ok(())
        })
        .await?
    }

    /// Keeps to the daemon's budget for as long as the engine lives.
    pub(crate) fn keep_to_budget(&self) {
        if self.0.options.image_budget_bytes.is_none() {
            return;
        }
        let engine = Arc::downgrade(&self.0);
        let arrived = Arc::clone(&self.0.arrived);
        tokio::spawn(async move {
            loop {
                let Some(inner) = engine.upgrade() else { return };
                if let Err(error) = Self(inner).collect(None, false).await {
                    tracing::warn!(%error, "the budget for images could not be kept to");
                }
                let _ = tokio::time::timeout(PERIOD, arrived.notified()).await;
            }
        });
    }
}

impl Inner {
    fn collect(&self, budget: u64, dry_run: bool) -> Result<Collected> {
        self.store.forget_notes();
        let list = self.store.images();
        // What is about an image goes with that one.
        let own = list.iter().filter(|image| !list.is_attached(image));
        let candidates: Vec<Candidate> = own.map(|image| self.candidate(image)).collect();
        let kept = candidates.iter().filter_map(|one| Some((one.id, one.kept?))).collect::<Vec<_>>();
        let choice = choose(candidates, budget);
        let shown = |id: &Digest| list.get(id).map(|image| self.shown(image));
        let mut collected = Collected {
            budget,
            before: choice.before,
            after: choice.after,
            dry_run,
            images: choice.remove.iter().filter_map(shown).collect(),
            kept: kept
                .iter()
                .filter_map(|(id, why)| Some(CollectedImage { kept: word(*why).to_owned(), ..shown(id)? }))
                .collect(),
        };
        if !dry_run && !choice.remove.is_empty() {
            let removed = self.remove_chosen(&choice)?;
            collected.images.retain(|image| removed.contains(&image.id));
        }
        Ok(collected)
    }

    /// Removes what was chosen, if nobody has used it since; answers the ids of what went.
    fn remove_chosen(&self, choice: &Choice) -> Result<Vec<String>> {
        let list = self.store.images();
        let chosen: Vec<_> = choice.remove.iter().filter_map(|id| list.get(id)).cloned().collect();
        let used: BTreeMap<Digest, i64> =
            chosen.iter().map(|image| (image.id, self.used_at(image))).collect();
        let is_same =
            |now: &Image| used.get(&now.id) == Some(&self.used_at(now)) && !self.store.is_pinned(&now.id);
        let taken = self.take_images(&chosen, &is_same)?;
        for image in chosen.iter().filter(|image| taken.iter().any(|(id, _)| *id == image.id)) {
            tracing::info!(image = %image.id, names = ?image.repo_tags(), "removed: images exceeded their budget");
        }
        Ok(taken.iter().map(|(id, _)| id.to_string()).collect())
    }

    fn candidate(&self, image: &Arc<Image>) -> Candidate {
        let kept = if self.store.is_pinned(&image.id) {
            Some(Kept::Pinned)
        } else if self.user_of_image(&image.id).is_some() {
            Some(Kept::Used)
        } else if self.store.is_leased(image) || self.claims.of_image(&image.id).is_some() {
            Some(Kept::Leased)
        } else {
            None
        };
        let layers = image.layers.iter().zip(&image.layer_sizes);
        let layers = layers.map(|(layer, bytes)| (Piece::Layer(*layer), *bytes));
        let blobs = self.store.blob_sizes(image).into_iter().map(|(blob, bytes)| (Piece::Blob(blob), bytes));
        Candidate { id: image.id, used: self.used_at(image), pieces: layers.chain(blobs).collect(), kept }
    }

    /// When it was used; one that never was counts from when it was made, or came.
    fn used_at(&self, image: &Image) -> i64 {
        self.store.used_at(&image.id).max(image.created)
    }

    fn shown(&self, image: &Arc<Image>) -> CollectedImage {
        CollectedImage {
            id: image.id.to_string(),
            names: image.repo_tags(),
            size: i64::try_from(image.size).unwrap_or(i64::MAX),
            last_used: rfc3339(self.used_at(image).saturating_mul(1_000_000_000)),
            kept: String::new(),
        }
    }
}

fn name_of(image: &Image) -> String {
    image.references.first().map_or_else(|| image.id.to_string(), Reference::familiar)
}

const fn word(kept: Kept) -> &'static str {
    match kept {
        Kept::Pinned => "pinned",
        Kept::Used => "used by a container",
        Kept::Leased => "in use by something in progress",
    }
}
