//! Power cuts by replay (docs/decisions/0013): what a process does to its files is recorded with strace, and a disk as a power cut
//! would have left it is laid out for whoever kept the files to judge, after every operation and in many ways.

mod crash;
mod disk;
mod place;
mod story;
mod trace;
mod trial;
mod wanted;

pub use crash::Syncs;
pub use story::{Story, chapter, memory, states};
pub use trace::{dies_here, mark};
pub use trial::Judge;
pub use wanted::Wanted;
