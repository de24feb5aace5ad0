//! Commands about images, volumes and networks: a table.

use super::{Arity, Command, ask};
use crate::commands::{archives, collect, image_list, image_names, inspect, networks, prune, volumes};
use crate::flags::{Flag, check, many, missing_switch, one, switch};

const FORMAT: Flag = one("format", "Go template, or 'json'; lists also take 'table TEMPLATE'");
const INSPECT_FORMAT: Flag = one("format", "Go template, or 'json'").short('f');
const FILTER: Flag =
    many("filter", "Show only what fits (name=value)").short('f').word("filter").checked(check::filter);
const NO_TRUNC: Flag = switch("no-trunc", "Do not cut anything short");
const QUIET: Flag = switch("quiet", "Print IDs only").short('q');

/// The table.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["images", "image ls", "image list"],
        usage: "[OPTIONS] [REPOSITORY[:TAG]]",
        about: "List images",
        flags: &[&[
            switch("all", "Show intermediate images, too").short('a'),
            switch("digests", "Show digests"),
            FILTER,
            FORMAT,
            NO_TRUNC,
            QUIET,
            switch("tree", "Show platforms, and what belongs to images, as a tree"),
        ]],
        arity: Arity::AtMost(1),
        mixed: true,
        act: ask!(image_list::images),
    },
    Command {
        names: &["image inspect"],
        usage: "[OPTIONS] IMAGE [IMAGE...]",
        about: "Show everything about images",
        flags: &[&[
            INSPECT_FORMAT,
            one("platform", "Show the image for this platform (os/architecture[/variant])"),
        ]],
        arity: Arity::AtLeast(1),
        mixed: true,
        act: ask!(inspect::image),
    },
    Command {
        names: &["history", "image history"],
        usage: "[OPTIONS] IMAGE",
        about: "Show how an image was made",
        flags: &[&[
            FORMAT,
            switch("human", "Print sizes and dates for people (default true)").short('H'),
            NO_TRUNC,
            QUIET,
            one("platform", "Show the image for this platform (os/architecture[/variant])"),
        ]],
        arity: Arity::Exactly(1),
        mixed: true,
        act: ask!(image_list::history),
    },
    Command {
        names: &["load", "image load"],
        usage: "[OPTIONS]",
        about: "Load images from an archive (docker save, podman save, OCI layout)",
        flags: &[&[
            one("input", "Archive to read instead of stdin").short('i'),
            switch("quiet", "Do not show progress").short('q'),
            many("platform", "Load only these platforms (os/architecture[/variant])"),
        ]],
        arity: Arity::None,
        mixed: true,
        act: ask!(archives::load),
    },
    Command {
        names: &["import", "image import"],
        usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
        about: "Make an image from an archive of a root file system",
        flags: &[&[
            many("change", "Dockerfile instruction to apply").short('c'),
            one("message", "Note for the image's history").short('m'),
            one("platform", "Platform of the content (os/architecture)"),
        ]],
        arity: Arity::AtLeast(1),
        mixed: true,
        act: ask!(archives::import),
    },
    Command {
        names: &["tag", "image tag"],
        usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
        about: "Give an image one more name",
        flags: &[],
        arity: Arity::Exactly(2),
        mixed: true,
        act: ask!(image_names::tag),
    },
    Command {
        names: &["rmi", "image rm", "image remove"],
        usage: "[OPTIONS] IMAGE [IMAGE...]",
        about: "Remove images",
        flags: &[&[
            switch("force", "Remove all names of an image, and what stopped containers use").short('f'),
            switch("no-prune", "Leave untagged parents"),
            many("platform", "Remove only what is here for these platforms (os/architecture[/variant])"),
        ]],
        arity: Arity::AtLeast(1),
        mixed: true,
        act: ask!(image_names::remove),
    },
    Command {
        names: &["volume create"],
        usage: "[OPTIONS] [VOLUME]",
        about: "Create a volume",
        flags: &[&[
            one("driver", "Volume driver (default local)").short('d'),
            many("label", "Label (key=value)").checked(check::label),
            one("name", "Name of the volume").hidden(),
            many("opt", "Option of the driver (key=value)").short('o').word("map"),
        ]],
        arity: Arity::AtMost(1),
        mixed: true,
        act: ask!(volumes::create),
    },
    Command {
        names: &["volume ls", "volume list"],
        usage: "[OPTIONS]",
        about: "List volumes",
        flags: &[&[
            FILTER,
            FORMAT,
            switch("quiet", "Print names only").short('q'),
            missing_switch("cluster"),
        ]],
        arity: Arity::None,
        mixed: true,
        act: ask!(volumes::list),
    },
    Command {
        names: &["volume inspect"],
        usage: "[OPTIONS] VOLUME [VOLUME...]",
        about: "Show everything about volumes",
        flags: &[&[INSPECT_FORMAT]],
        arity: Arity::AtLeast(1),
        mixed: true,
        act: ask!(inspect::volume),
    },
    Command {
        names: &["volume rm", "volume remove"],
        usage: "[OPTIONS] VOLUME [VOLUME...]",
        about: "Remove volumes",
        flags: &[&[switch("force", "Do not mind those that are not there").short('f')]],
        arity: Arity::AtLeast(1),
        mixed: true,
        act: ask!(volumes::remove),
    },
    Command {
        names: &["network ls", "network list"],
        usage: "[OPTIONS]",
        about: "List networks",
        flags: &[&[FILTER, FORMAT, NO_TRUNC, QUIET]],
        arity: Arity::None,
        mixed: true,
        act: ask!(networks::list),
    },
    Command {
        names: &["network inspect"],
        usage: "[OPTIONS] NETWORK [NETWORK...]",
        about: "Show everything about networks",
        flags: &[&[INSPECT_FORMAT, switch("verbose", "Show more").short('v')]],
        arity: Arity::AtLeast(1),
        mixed: true,
        act: ask!(inspect::network),
    },
    Command {
        names: &["image prune"],
        usage: "[OPTIONS]",
        about: "Remove images that nobody uses",
        flags: &[&[
            switch("all", "All that no container uses, not only those without a name").short('a'),
            many("filter", "Prune only what fits (name=value)").word("filter").checked(check::filter),
            switch("force", "Do not ask").short('f'),
        ]],
        arity: Arity::None,
        mixed: true,
        act: ask!(prune::images),
    },
    Command {
        names: &["volume prune"],
        usage: "[OPTIONS]",
        about: "Remove volumes that no container has",
        flags: &[&[
            switch("all", "Also those with a name").short('a'),
            many("filter", "Prune only what fits (name=value)").word("filter").checked(check::filter),
            switch("force", "Do not ask").short('f'),
        ]],
        arity: Arity::None,
        mixed: true,
        act: ask!(prune::volumes),
    },
    Command {
        names: &["network prune"],
        usage: "[OPTIONS]",
        about: "Remove networks that no container uses",
        flags: &[&[
            many("filter", "Prune only what fits (name=value)").word("filter").checked(check::filter),
            switch("force", "Do not ask").short('f'),
        ]],
        arity: Arity::None,
        mixed: true,
        act: ask!(prune::networks),
    },
    Command {
        names: &["image pin"],
        usage: "IMAGE [IMAGE...]",
        about: "Keep images from every prune and budget",
        flags: &[],
        arity: Arity::AtLeast(1),
        mixed: true,
        act: ask!(collect::pin),
    },
    Command {
        names: &["image unpin"],
        usage: "IMAGE [IMAGE...]",
        about: "Let prunes and budgets have images again",
        flags: &[],
        arity: Arity::AtLeast(1),
        mixed: true,
        act: ask!(collect::unpin),
    },
];
