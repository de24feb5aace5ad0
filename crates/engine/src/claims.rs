//! Who needs which image and volume before the table of containers can tell: creations in progress. A removal asks here first, and
//! what it is about to take is not given to a creation any more.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use types::Digest;

/// Between two looks whether a removal is through.
const PAUSE: Duration = Duration::from_millis(1);

/// The claims of one engine. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claims(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Containers being made: of which image, and with which volumes.
    making: HashMap<String, (Digest, Vec<String>)>,
    /// Images that removals are about to take.
    doomed: HashSet<Digest>,
}

impl State {
    fn maker(&self, image: &Digest) -> Option<String> {
        self.making.iter().find(|(_, (of, _))| of == image).map(|(id, _)| id.clone())
    }
}

/// Keeps an image for a creation while it lives.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Claims,
    container: String,
}

/// Gives the images back that a removal doomed, whether it took them or not.
#[derive(Debug)]
pub(crate) struct Doom {
    claims: Claims,
    images: Mutex<Vec<Digest>>,
}

impl Claims {
    /// Claims an image, and volumes by name, for a container that is being made. `None`: a removal is about to take the image.
    pub(crate) fn claim(&self, image: Digest, container: &str, volumes: Vec<String>) -> Option<Claim> {
        let mut state = self.lock();
        if state.doomed.contains(&image) {
            return None;
        }
        state.making.insert(container.to_owned(), (image, volumes));
        Some(Claim { claims: self.clone(), container: container.to_owned() })
    }

    /// Waits until no removal is about to take the image.
    pub(crate) async fn spared(&self, image: &Digest) {
        while self.lock().doomed.contains(image) {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A removal begins.
    pub(crate) fn removal(&self) -> Doom {
        Doom { claims: self.clone(), images: Mutex::default() }
    }

    /// The containers being made that will mount this volume, or for which it was made.
    pub(crate) fn of_volume(&self, name: &str, made_for: &str) -> Vec<String> {
        let state = self.lock();
        let users = state.making.iter().filter(|(id, (_, volumes))| {
            id.as_str() == made_for || volumes.iter().any(|volume| volume == name)
        });
        users.map(|(id, _)| id.clone()).collect()
    }

    /// A container that is being made of this image.
    pub(crate) fn of_image(&self, image: &Digest) -> Option<String> {
        self.lock().maker(image)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Doom {
    /// Takes the image for the removal; false when a creation has claimed it.
    pub(crate) fn takes(&self, image: &Digest) -> bool {
        let mut state = self.claims.lock();
        if state.maker(image).is_some() {
            return false;
        }
        if state.doomed.insert(*image) {
            self.images.lock().unwrap_or_else(PoisonError::into_inner).push(*image);
        }
        true
    }
}

impl Drop for Doom {
    fn drop(&mut self) {
        let mut state = self.claims.lock();
        for image in self.images.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            state.doomed.remove(&image);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().making.remove(&self.container);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(n: u8) -> Digest {
        Digest::from_hash([n; 32])
    }

    #[test]
    fn who_comes_first_has_it() {
        let claims = Claims::default();
        let claim = claims.claim(image(1), "c", vec!["v".to_owned()]).unwrap();
        let removal = claims.removal();
        assert!(!removal.takes(&image(1)) && removal.takes(&image(2)));
        assert!(claims.claim(image(2), "d", Vec::new()).is_none());
        assert_eq!(claims.of_volume("v", ""), ["c"]);
        assert_eq!(claims.of_volume("anonymous", "c"), ["c"]);
        assert!(claims.of_volume("w", "").is_empty());
        drop(claim);
        assert!(removal.takes(&image(1)));
        drop(removal);
        assert!(
            claims.claim(image(1), "c", Vec::new()).is_some()
                && claims.claim(image(2), "d", Vec::new()).is_some()
        );
        assert!(claims.of_volume("v", "c").is_empty());
    }
}
