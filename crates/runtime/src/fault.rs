//! Failing on purpose, for the test that fails every step of a start in turn (feature `fault`; otherwise nothing).

use crate::Error;

/// Fails when the environment says so: `BERTH_FAIL_STEP=<n>`.
#[cfg(feature = "fault")]
pub(crate) fn point(step: u32) -> Result<(), Error> {
    let asked = std::env::var("BERTH_FAIL_STEP").ok().and_then(|n| n.parse::<u32>().ok());
    if asked == Some(step) {
        return Err(Error::said(types::Kind::Internal, format!("step {step} was made to fail")).at_step(step));
    }
    Ok(())
}

#[cfg(not(feature = "fault"))]
#[allow(clippy::unnecessary_wraps, reason = "the twin of the one above")]
pub(crate) const fn point(_step: u32) -> Result<(), Error> {
    Ok(())
}
