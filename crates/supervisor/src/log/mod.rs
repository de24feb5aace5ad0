//! Container output on its way to the log file: cut into lines, printed as Docker's json-file entries, rotated.

mod batch;
pub(crate) mod entry;
mod file;
pub(crate) mod line;

pub(crate) use batch::{ContainerLog, Last, recover};
