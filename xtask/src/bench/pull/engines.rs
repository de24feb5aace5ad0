//! Who takes part, and how each is told what to do.

/// Something that an engine does with an image.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Pull,
    Save,
    Tag,
    Push,
    Untag,
    Remove,
    Load,
}

impl Act {
    pub(super) fn shown(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Save => "save",
            Self::Tag => "tag",
            Self::Push => "push",
            Self::Untag => "untag",
            Self::Remove => "rmi",
            Self::Load => "load",
        }
    }
}

/// A contestant. In its commands `%root` is a directory on a fresh file system, `%socket` its daemon's, `%1` and `%2` what the
/// act is about.
pub(super) struct Engine {
    pub(super) name: &'static str,
    /// Empty for who has no daemon.
    pub(super) daemon: &'static str,
    acts: &'static [(Act, &'static str)],
}

impl Engine {
    /// The command for an act; `None` when it has no such thing.
    pub(super) fn command(&self, act: Act) -> Option<&'static str> {
        self.acts.iter().find(|(own, _)| *own == act).map(|(_, command)| *command)
    }
}

pub(super) const ENGINES: &[Engine] = &[
    Engine {
        name: "berth",
        daemon: "%berth daemon --temporary --data-root %root/data --exec-root %root/run --host unix://%socket --cgroup-parent /%mark-berth --bridge bbench0",
        acts: &[
            (Act::Pull, "%berth --host unix://%socket pull --quiet %1"),
            (Act::Save, "%berth --host unix://%socket save --output %2 %1"),
            (Act::Tag, "%berth --host unix://%socket tag %1 %2"),
            (Act::Push, "%berth --host unix://%socket push --quiet %1"),
            (Act::Untag, "%berth --host unix://%socket rmi %1"),
            (Act::Remove, "%berth --host unix://%socket rmi %1"),
            (Act::Load, "%berth --host unix://%socket load --quiet --input %2"),
        ],
    },
    Engine {
        name: "docker",
        daemon: "dockerd --data-root %root/data --exec-root %root/run --pidfile %root/pid --config-file %root/none.json --host unix://%socket --cgroup-parent /%mark-docker --bip 172.31.250.1/24 --exec-opt native.cgroupdriver=cgroupfs --storage-driver overlay2",
        acts: &[
            (Act::Pull, "docker --host unix://%socket pull --quiet %1"),
            (Act::Save, "docker --host unix://%socket save --output %2 %1"),
            (Act::Tag, "docker --host unix://%socket tag %1 %2"),
            (Act::Push, "docker --host unix://%socket push --quiet %1"),
            (Act::Untag, "docker --host unix://%socket rmi %1"),
            (Act::Remove, "docker --host unix://%socket rmi %1"),
            (Act::Load, "docker --host unix://%socket load --quiet --input %2"),
        ],
    },
    Engine {
        name: "podman",
        daemon: "",
        acts: &[
            (Act::Pull, "podman --root %root/data --runroot %root/run pull --quiet --tls-verify=false %1"),
            (Act::Save, "podman --root %root/data --runroot %root/run save --quiet --output %2 %1"),
            (Act::Tag, "podman --root %root/data --runroot %root/run tag %1 %2"),
            (Act::Push, "podman --root %root/data --runroot %root/run push --quiet --tls-verify=false %1"),
            (Act::Untag, "podman --root %root/data --runroot %root/run untag %1 %1"),
            (Act::Remove, "podman --root %root/data --runroot %root/run rmi %1"),
            (Act::Load, "podman --root %root/data --runroot %root/run load --quiet --input %2"),
        ],
    },
    Engine {
        name: "ctr",
        daemon: "containerd --config %root/none.toml --root %root/data --state %root/run --address %socket",
        acts: &[
            (Act::Pull, "ctr --address %socket images pull --plain-http --snapshotter overlayfs %1"),
            (Act::Save, "ctr --address %socket images export %2 %1"),
            (Act::Tag, "ctr --address %socket images tag %1 %2"),
            (Act::Push, "ctr --address %socket images push --plain-http %1"),
            (Act::Untag, "ctr --address %socket images rm %1"),
            (Act::Remove, "ctr --address %socket images rm --sync %1"),
            (Act::Load, "ctr --address %socket images import --snapshotter overlayfs %2"),
        ],
    },
    Engine {
        name: "skopeo",
        daemon: "",
        acts: &[
            (Act::Pull, "skopeo copy --quiet --src-tls-verify=false docker://%1 dir:%root/data"),
            (Act::Push, "skopeo copy --quiet --dest-tls-verify=false dir:%root/data docker://%1"),
            (Act::Remove, "rm -rf %root/data"),
        ],
    },
];
