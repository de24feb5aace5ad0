//! Failing on purpose, for the test that fails every step of a start in turn: the annotation `berth.fault-engine-step` of a
//! container names the step of the engine that fails (`berth.fault-step` does the same for the plan's).

use crate::state::Record;
use crate::{Error, Result};

/// Fails when the container asks for it.
pub(crate) fn step(record: &Record, name: &str) -> Result<()> {
    if record.host.annotations.get("berth.fault-engine-step").is_some_and(|chosen| chosen == name) {
        return Err(Error::new(types::Kind::Internal, format!("fault: the step {name:?} was made to fail")));
    }
    Ok(())
}
