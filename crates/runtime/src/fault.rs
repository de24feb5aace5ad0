//! Failing on purpose, for the test that fails every step of a start in turn.

use protocol::Plan;
use types::Kind;

use crate::Error;

/// Fails when the plan says so.
pub(crate) fn point(plan: &Plan, step: u32) -> Result<(), Error> {
    if plan.fault_step == Some(step) {
        return Err(Error::said(Kind::Internal, format!("fault: step {step} was made to fail")).at_step(step));
    }
    Ok(())
}
