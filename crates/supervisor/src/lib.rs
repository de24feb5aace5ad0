//! Floor 5: the supervisor.
mod clock;
mod ledger;
mod log;
mod record;
