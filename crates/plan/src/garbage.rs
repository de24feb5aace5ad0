//! Which images go when a budget is exceeded: the ones that were used longest ago, as many as it takes, and nothing that has to stay.

use std::collections::BTreeMap;

use types::Digest;

/// Why an image stays, whatever the budget is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// Somebody said so.
    Pinned,
    /// A container has it.
    Used,
    /// A load, pull, push, commit or creation counts on it.
    Leased,
}

/// A piece of content: a layer or blob, which images share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Piece {
    /// An unpacked layer, by its diffID.
    Layer(Digest),
    /// A file of the store.
    Blob(Digest),
}

/// An image as the choice sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Its id.
    pub id: Digest,
    /// When it was used last, seconds since 1970.
    pub used: i64,
    /// What it consists of, and the bytes of each.
    pub pieces: Vec<(Piece, u64)>,
    /// Why it stays; `None`: it may go.
    pub kept: Option<Kept>,
}

/// What goes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Choice {
    /// Bytes of all images, shared pieces once.
    pub before: u64,
    /// The same afterwards. More than the budget when everything else has to stay.
    pub after: u64,
    /// In the order in which they go.
    pub remove: Vec<Digest>,
}

/// Chooses what to remove so that images take no more than `budget` bytes. An image whose removal frees nothing, because others have
/// all of its content, stays.
#[must_use]
pub fn choose(mut candidates: Vec<Candidate>, budget: u64) -> Choice {
    let mut users: BTreeMap<Piece, usize> = BTreeMap::new();
    let mut sizes = BTreeMap::new();
    for candidate in &mut candidates {
        candidate.pieces.sort_unstable();
        candidate.pieces.dedup_by_key(|(piece, _)| *piece);
        for (piece, bytes) in &candidate.pieces {
            *users.entry(*piece).or_default() += 1;
            sizes.insert(*piece, *bytes);
        }
    }
    let before = sizes.values().sum();
    let mut choice = Choice { before, after: before, remove: Vec::new() };
    candidates.retain(|candidate| candidate.kept.is_none());
    candidates.sort_by_key(|candidate| (candidate.used, candidate.id));
    for candidate in candidates {
        if choice.after <= budget {
            break;
        }
        let own = candidate.pieces.iter().filter(|(piece, _)| users.get(piece) == Some(&1));
        let freed: u64 = own.map(|(_, bytes)| bytes).sum();
        if freed == 0 {
            continue;
        }
        for (piece, _) in &candidate.pieces {
            users.entry(*piece).and_modify(|count| *count -= 1);
        }
        choice.after -= freed;
        choice.remove.push(candidate.id);
    }
    choice
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u8) -> Digest {
        Digest::from_hash([n; 32])
    }

    /// Image `n`, used at that time, with these layers of 10 bytes each.
    fn image(n: u8, used: i64, layers: &[u8], kept: Option<Kept>) -> Candidate {
        let pieces = layers.iter().map(|layer| (Piece::Layer(digest(*layer)), 10)).collect();
        Candidate { id: digest(n), used, pieces, kept }
    }

    fn check(images: &[Candidate], budget: u64, gone: &[u8], after: u64) {
        let choice = choose(images.to_vec(), budget);
        let gone: Vec<_> = gone.iter().map(|n| digest(*n)).collect();
        assert_eq!((choice.remove, choice.after), (gone, after), "budget {budget}");
    }

    #[test]
    fn the_longest_unused_go_first() {
        let images = [image(1, 30, &[1, 2], None), image(2, 10, &[1, 3], None), image(3, 20, &[4, 4], None)];
        check(&images, 40, &[], 40);
        check(&images, 39, &[2], 30);
        check(&images, 20, &[2, 3], 20);
        check(&images, 0, &[2, 3, 1], 0);
    }

    #[test]
    fn what_has_to_stay_stays() {
        let kept = |why| [image(1, 1, &[1], Some(why)), image(2, 2, &[2], None)];
        for why in [Kept::Pinned, Kept::Used, Kept::Leased] {
            check(&kept(why), 0, &[2], 10);
        }
    }

    #[test]
    fn what_frees_nothing_stays() {
        let images =
            [image(1, 1, &[1], None), image(2, 2, &[1, 2], Some(Kept::Used)), image(3, 3, &[3], None)];
        check(&images, 20, &[3], 20);
    }
}
