//! What Docker has and Berth does not have yet, each with its sentence.

use types::Kind;

use crate::error::Error;

/// The sentence for a flag.
pub(super) fn flag(long: &str) -> String {
    let instead = match long {
        "gpus" => "Berth hands devices over one by one, with --device",
        "context" => "name the daemon with --host or DOCKER_HOST",
        "tls" | "tlsverify" | "tlscacert" | "tlscert" | "tlskey" => {
            "use a unix socket, or tcp:// on a network you trust"
        }
        "volumes-from" => "name the volumes with --volume or --mount",
        "link" | "network-alias" | "net-alias" => "containers find each other by address",
        "kernel-memory" => "kernels do not have this limit any more; --memory covers it",
        "io-maxbandwidth" | "io-maxiops" | "cpu-count" | "cpu-percent" | "isolation" => {
            "it is for containers of Windows"
        }
        name if name.starts_with("health") => "leave it out, and look at the service from outside",
        name if name.starts_with("device-") || name.starts_with("blkio") => {
            "leave it out: the container's disk traffic has no limit"
        }
        _ => "leave it out",
    };
    format!("--{long} is not available yet: {instead}")
}

/// The error for a command, if Docker has it.
pub(super) fn command(path: &str) -> Option<Error> {
    const IMAGES: &str =
        "bring images in with 'berth load' (from docker save, podman save, skopeo) or 'berth import'";
    let name = path.strip_prefix("image ").or_else(|| path.strip_prefix("container ")).unwrap_or(path);
    let instead = match name {
        "build" | "builder" | "buildx" | "bake" => {
            "build with another tool and bring the image in with 'berth load'"
        }
        "trust" => IMAGES,
        "cp" => "use 'berth exec' with tar, or a volume, to get at files",
        "network create" | "network connect" | "network disconnect" | "network rm" => {
            "there are the networks bridge, host and none, and container:NAME"
        }
        "volume update" => "make another volume",
        "compose" | "stack" | "swarm" | "node" | "service" | "secret" | "config" | "plugin"
        | "checkpoint" | "context" => "Berth runs single containers so far",
        "system dial-stdio" => "connect to the socket itself",
        _ => return None,
    };
    Some(Error::new(format!("berth: '{path}' is not available yet: {instead}")).of(Kind::Unimplemented))
}
