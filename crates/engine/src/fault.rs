//! Failing on purpose, for tests: `BERTH_FAIL_ENGINE_STEP=<n>` makes the n-th step of every start fail, in builds with the feature
//! `fault` only.

use crate::Result;

/// The steps of a start, in order.
#[cfg(feature = "fault")]
const STEPS: [&str; 6] = ["look up", "plan", "claim", "publish", "files", "supervisor"];

/// Fails when this step was chosen.
#[cfg(feature = "fault")]
pub(crate) fn step(name: &str) -> Result<()> {
    let chosen = std::env::var("BERTH_FAIL_ENGINE_STEP").ok().and_then(|n| n.parse::<usize>().ok());
    if chosen.and_then(|n| STEPS.get(n)).is_some_and(|s| *s == name) {
        return Err(crate::Error::new(types::Kind::Internal, format!("the step {name:?} was made to fail")));
    }
    Ok(())
}

/// Does nothing: this build cannot fail on purpose.
#[cfg(not(feature = "fault"))]
#[allow(clippy::unnecessary_wraps, reason = "the other build can fail")]
pub(crate) fn step(_name: &str) -> Result<()> {
    Ok(())
}
