//! Floor 1: the protocol between the daemon and a supervisor, and the plan that travels over it.
//!
//! Knows the shape of the messages and of their frames. Must not know sockets, files or the kernel: the
//! same bytes travel over a Unix socket on the host and over vsock or virtio-serial into a guest.
//!
//! A supervisor outlives daemons, so old and new must talk: fields are only ever added, tags are never
//! reused, and both sides name their version in [`Hello`].

mod frame;
pub mod plan;
mod supervise;

pub use frame::{Frame, FrameError, FrameReader, MAX_FRAME_BYTES, encode};
pub use plan::Plan;
pub use supervise::*;

/// The protocol version this build speaks. Raised when a new message appears that an old peer must know.
pub const VERSION: u32 = 1;
