//! What the daemon knows of containers: records on disk, an immutable picture of them in memory.

mod record;
pub(crate) mod spare;
mod table;

pub(crate) use record::{LogRecord, MountRecord, NetworkRecord, Phase, Record, State, Status};
pub(crate) use table::{Entry, Table};
