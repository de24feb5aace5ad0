//! Restart policies with Docker's back-off: 100 ms, doubling to a minute, forgotten after ten seconds of life.

use protocol::{Restart, RestartName};

const FIRST_DELAY_MS: u64 = 100;
const LONGEST_DELAY_MS: u64 = 60_000;
const HEALTHY_AFTER_MS: u64 = 10_000;

/// How a container's first process ended, as far as the policy asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ended {
    /// The exit code; `None` when nobody could tell, which counts as a failure.
    pub code: Option<i32>,
    /// How long it lived, in milliseconds.
    pub lived_ms: u64,
    /// How often the policy has started it already.
    pub restarts: u32,
    /// A person stopped it.
    pub held: bool,
    /// The delay before the life that ended now; 0 when there was none.
    pub last_delay_ms: u64,
}

/// Milliseconds to wait before the next start, or `None` to stay down.
#[must_use]
pub fn decide(policy: Restart, ended: &Ended) -> Option<u64> {
    if ended.held {
        return None;
    }
    let again = match RestartName::try_from(policy.name) {
        Ok(RestartName::Always | RestartName::UnlessStopped) => true,
        Ok(RestartName::OnFailure) => {
            ended.code != Some(0) && (policy.maximum == 0 || ended.restarts < policy.maximum)
        }
        Ok(RestartName::No) | Err(_) => false,
    };
    again.then(|| delay(ended))
}

/// Whether the policy starts a container again that ran before the host went down. Only a boot of the host asks: the end of a
/// daemon ends no container, so its start has none to start.
#[must_use]
pub fn after_boot(policy: &str, stopped_by_hand: bool, code: Option<i32>) -> bool {
    match policy {
        "always" => true,
        "unless-stopped" => !stopped_by_hand,
        "on-failure" => !stopped_by_hand && code != Some(0),
        _ => false,
    }
}

fn delay(ended: &Ended) -> u64 {
    if ended.last_delay_ms == 0 || ended.lived_ms >= HEALTHY_AFTER_MS {
        FIRST_DELAY_MS
    } else {
        (ended.last_delay_ms * 2).min(LONGEST_DELAY_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: RestartName, maximum: u32, ended: Ended, expected: Option<u64>) {
        let policy = Restart { name: name as i32, maximum };
        assert_eq!(decide(policy, &ended), expected, "{name:?} {maximum} {ended:?}");
    }

    #[test]
    fn a_boot_starts_what_was_not_stopped_for_good() {
        for (policy, stopped_by_hand, code, expected) in [
            ("always", true, Some(0), true),
            ("unless-stopped", false, Some(0), true),
            ("unless-stopped", true, Some(137), false),
            ("on-failure", false, Some(255), true),
            ("on-failure", false, None, true),
            ("on-failure", false, Some(0), false),
            ("on-failure", true, Some(137), false),
            ("no", false, Some(1), false),
        ] {
            assert_eq!(
                after_boot(policy, stopped_by_hand, code),
                expected,
                "{policy} {stopped_by_hand} {code:?}"
            );
        }
    }

    #[test]
    fn policies() {
        use RestartName::{Always, No, OnFailure, UnlessStopped};
        let ended = |code, restarts| Ended { code: Some(code), restarts, ..Ended::default() };
        check(No, 0, ended(1, 0), None);
        check(Always, 0, ended(0, 1000), Some(100));
        check(UnlessStopped, 0, ended(0, 0), Some(100));
        check(OnFailure, 0, ended(0, 0), None);
        check(OnFailure, 0, ended(1, 1000), Some(100));
        check(OnFailure, 3, ended(137, 2), Some(100));
        check(OnFailure, 3, ended(137, 3), None);
        check(OnFailure, 0, Ended::default(), Some(100));
        for name in [Always, UnlessStopped, OnFailure] {
            check(name, 0, Ended { held: true, ..ended(1, 0) }, None);
        }
        assert_eq!(decide(Restart { name: 77, maximum: 0 }, &ended(1, 0)), None);
    }

    #[test]
    fn back_off_doubles_and_is_forgotten() {
        let policy = Restart { name: RestartName::Always as i32, maximum: 0 };
        let mut delays = Vec::new();
        let mut last_delay_ms = 0;
        for _ in 0..12 {
            last_delay_ms =
                decide(policy, &Ended { last_delay_ms, ..Ended::default() }).expect("always again");
            delays.push(last_delay_ms);
        }
        assert_eq!(delays[..4], [100, 200, 400, 800]);
        assert_eq!(delays[10..], [60_000, 60_000]);
        let healthy = Ended { last_delay_ms, lived_ms: 10_000, ..Ended::default() };
        assert_eq!(decide(policy, &healthy), Some(100));
    }
}
