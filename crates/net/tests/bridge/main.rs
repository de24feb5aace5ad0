//! The bridge network on a real kernel: real sockets over published ports, judged by `ip` and `nft`.
//! Every test has a host of its own, which is a fresh network namespace; nothing else is touched. Needs root.
#![allow(clippy::disallowed_methods, reason = "a test: spawns ip and nft, opens sockets, reads clocks")]

mod host;
mod killed;
mod life;
mod limits;
mod publish;
mod reach;
