//! The small grammars of `run`'s flags that also travel in requests: `-p`, `-v` and `--mount`.

mod bind;
mod mount;
mod port;

pub use bind::{Bind, BindSource, parse_bind, parse_volume_flag};
pub use mount::parse_mount;
pub use port::{ExposedPorts, PortSpec, parse_expose, parse_port, parse_ports, split_port};
