//! Manifests that were read lately, by digest. Content only: whether a repository has one is never answered from here (D03).

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::digest::Digest;
use bytes::Bytes;

/// Most bytes kept.
const MOST: usize = 16 << 20;
/// Longest document that is worth keeping.
const LONGEST: usize = 256 << 10;

#[derive(Default)]
pub(crate) struct Recent(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    documents: HashMap<Digest, Bytes>,
    order: VecDeque<Digest>,
    bytes: usize,
}

impl Recent {
    pub(crate) fn get(&self, digest: &Digest) -> Option<Bytes> {
        self.kept().documents.get(digest).cloned()
    }

    pub(crate) fn put(&self, digest: Digest, bytes: Bytes) {
        if bytes.len() > LONGEST {
            return;
        }
        let mut kept = self.kept();
        let long = bytes.len();
        if kept.documents.insert(digest, bytes).is_some() {
            return;
        }
        kept.order.push_back(digest);
        kept.bytes += long;
        while kept.bytes > MOST {
            let Some(oldest) = kept.order.pop_front() else { break };
            kept.bytes -= kept.documents.remove(&oldest).map_or(0, |gone| gone.len());
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let recent = Recent::default();
        let digest = |n: u32| Digest::Sha256(std::array::from_fn(|i| n.to_be_bytes()[i % 4]));
        for n in 0..1000 {
            recent.put(digest(n), Bytes::from(vec![0; 100 << 10]));
        }
        let (bytes, documents, order) = {
            let kept = recent.kept();
            (kept.bytes, kept.documents.len(), kept.order.len())
        };
        assert!(
            bytes <= MOST && documents == order,
            "{bytes} bytes, {documents} documents, {order} in order"
        );
        assert!(recent.get(&digest(999)).is_some() && recent.get(&digest(0)).is_none());
        recent.put(digest(5), Bytes::from(vec![0; LONGEST + 1]));
        assert!(recent.get(&digest(5)).is_none());
    }
}
