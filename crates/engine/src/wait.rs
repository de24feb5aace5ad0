//! `wait`: the condition is registered when the call returns, the answer comes later.

use std::future::Future;

use dockerapi::WaitResult;

use crate::Result;
use crate::engine::Engine;
use crate::state::Phase;

/// What is waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// That it does not run: also fulfilled at once.
    #[default]
    NotRunning,
    /// Its next end.
    NextExit,
    /// That it is gone.
    Removed,
}

impl Engine {
    /// Registers a wait. The future resolves with the exit code when the condition holds.
    ///
    /// # Errors
    /// When there is no such container.
    pub async fn wait(
        &self,
        who: &str,
        condition: WaitCondition,
    ) -> Result<impl Future<Output = Result<WaitResult>> + Send + 'static> {
        let entry = self.0.find(who)?;
        let mut phase = entry.phase();
        let exits = phase.borrow().exits;
        Ok(async move {
            let holds = |p: &Phase| match condition {
                WaitCondition::NotRunning => !p.live,
                WaitCondition::NextExit => p.exits > exits || p.removed,
                WaitCondition::Removed => p.removed,
            };
            // The entry lives as long as this future: the channel cannot close before.
            let code = phase.wait_for(holds).await.map_or(None, |p| p.exit_code);
            let record = entry.record();
            let unknown = i64::from(crate::exits::UNKNOWN);
            let status_code = match (code, record.state.started_ns) {
                (Some(code), _) => i64::from(code),
                (None, 0) => 0,
                (None, _) => unknown,
            };
            Ok(WaitResult { status_code, error: None })
        })
    }
}
