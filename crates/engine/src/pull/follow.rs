//! What is told of a layer on its way: what happened since the last look, in Docker's words and order.

use dockerapi::{Progress, ProgressDetail};
use store::Layer;

use super::say::of_layer;

/// How far a layer is.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Progressed {
    /// Its turn has come.
    pub(super) started: bool,
    /// Bytes of its blob that are there.
    pub(super) received: u64,
    /// All of them are there, and the right ones.
    pub(super) verified: bool,
    /// Bytes of its blob that were unpacked.
    pub(super) unpacked: u64,
    /// It arrived.
    pub(super) done: bool,
}

/// How far it was when it was last told.
#[derive(Default)]
pub(super) struct Told {
    before: Progressed,
    waiting: bool,
}

impl Told {
    /// What is to be told now.
    pub(super) fn catch_up(&mut self, layer: &Layer, now: Progressed) -> Vec<Progress> {
        let mut news = Vec::new();
        let words = |text: &str| of_layer(layer, text, ProgressDetail::default());
        let bar = |text: &str, current: u64| {
            let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
            of_layer(layer, text, ProgressDetail { current: number(current), total: number(layer.size) })
        };
        let before = std::mem::replace(&mut self.before, now);
        if !now.started && !now.done && !std::mem::replace(&mut self.waiting, true) {
            news.push(words("Waiting"));
        }
        if !now.verified && now.received > before.received {
            news.push(bar("Downloading", now.received));
        }
        if now.verified && !before.verified {
            news.extend([words("Verifying Checksum"), words("Download complete")]);
        }
        if now.verified && now.unpacked > 0 && (now.unpacked > before.unpacked || !before.verified) {
            news.push(bar("Extracting", now.unpacked));
        }
        if now.done && !before.done {
            news.push(words("Pull complete"));
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use types::Digest;

    use super::*;

    fn check(steps: &[Progressed], want: &[&str]) {
        let digest = Digest::from_hash([1; 32]);
        let layer = Layer { blob: digest, size: 100, diff_id: digest, is_opaque: false };
        let mut told = Told::default();
        let news: Vec<String> = steps
            .iter()
            .flat_map(|now| told.catch_up(&layer, *now))
            .map(|progress| {
                let detail = progress.detail.expect("a layer's message has one");
                match detail.total {
                    0 => progress.status,
                    total => format!("{} {}/{total}", progress.status, detail.current),
                }
            })
            .collect();
        assert_eq!(news, want);
    }

    #[test]
    fn what_happened_is_told_once_and_in_order() {
        let none = Progressed::default();
        let started = Progressed { started: true, ..none };
        let half = Progressed { received: 50, unpacked: 40, ..started };
        let whole = Progressed { received: 100, verified: true, ..half };
        let done = Progressed { unpacked: 100, done: true, ..whole };
        check(&[none, none, started], &["Waiting"]);
        check(
            &[started, half, half, whole, done, done],
            &[
                "Downloading 50/100",
                "Verifying Checksum",
                "Download complete",
                "Extracting 40/100",
                "Extracting 100/100",
                "Pull complete",
            ],
        );
        // Seen for the first time when all is over.
        check(&[done], &["Verifying Checksum", "Download complete", "Extracting 100/100", "Pull complete"]);
    }
}
