//! Commands about registries and archives: a table.

use super::{Arity, Command, ask};
use crate::commands::{archives, login, manifest, search, transfer};
use crate::flags::{Flag, check, many, number, one, switch};

const INSECURE: Flag = switch("insecure", "The registry may speak plain HTTP or show any certificate");
const QUIET: Flag = switch("quiet", "Do not show progress").short('q');

/// The table.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["pull", "image pull"],
        usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
        about: "Bring an image here from a registry",
        flags: &[&[
            switch("all-tags", "Every tag of the repository").short('a'),
            one("platform", "Platform to choose where there are several (os/architecture[/variant])"),
            switch(
                "referrers",
                "Also what refers to the image: signatures and other artifacts (not of Docker's)",
            ),
            QUIET,
            switch("disable-content-trust", "Means nothing").hidden(),
        ]],
        arity: Arity::Exactly(1),
        mixed: true,
        act: ask!(transfer::pull),
    },
    Command {
        names: &["push", "image push"],
        usage: "[OPTIONS] NAME[:TAG]",
        about: "Bring an image to a registry",
        flags: &[&[
            switch("all-tags", "Every tag of the repository").short('a'),
            one("platform", "Push the image of one platform only (os/architecture[/variant])"),
            switch("referrers", "Also what is here that refers to the image (not of Docker's)"),
            QUIET,
            switch("disable-content-trust", "Means nothing").hidden(),
        ]],
        arity: Arity::Exactly(1),
        mixed: true,
        act: ask!(transfer::push),
    },
    Command {
        names: &["save", "image save"],
        usage: "[OPTIONS] IMAGE [IMAGE...]",
        about: "Write images to an archive (to stdout unless named)",
        flags: &[&[
            one("output", "File to write instead of stdout").short('o'),
            many("platform", "Save only these platforms (os/architecture[/variant])"),
        ]],
        arity: Arity::AtLeast(1),
        mixed: true,
        act: ask!(archives::save),
    },
    Command {
        names: &["login"],
        usage: "[OPTIONS] [SERVER]",
        about: "Prove who you are to a registry, and keep the proof",
        flags: &[&[
            one("username", "Name").short('u'),
            one("password", "Password or access token").short('p'),
            switch("password-stdin", "Take the password from stdin"),
        ]],
        arity: Arity::AtMost(1),
        mixed: true,
        act: ask!(login::login),
    },
    Command {
        names: &["logout"],
        usage: "[SERVER]",
        about: "Forget the proof of who you are to a registry",
        flags: &[],
        arity: Arity::AtMost(1),
        mixed: true,
        act: ask!(login::logout),
    },
    Command {
        names: &["search"],
        usage: "[OPTIONS] TERM",
        about: "Search a registry for images",
        flags: &[&[
            many("filter", "Show only what fits (is-official=true, stars=3)")
                .short('f')
                .word("filter")
                .checked(check::filter),
            one("format", "Go template, or 'json'; also 'table TEMPLATE'"),
            number("limit", "Most results to show"),
            switch("no-trunc", "Do not cut anything short"),
        ]],
        arity: Arity::Exactly(1),
        mixed: true,
        act: ask!(search::search),
    },
    Command {
        names: &["manifest create"],
        usage: "[OPTIONS] MANIFEST_LIST MANIFEST [MANIFEST...]",
        about: "Put a list of images together, to annotate and push it",
        flags: &[&[switch("amend", "Add to a list that is there").short('a'), INSECURE]],
        arity: Arity::AtLeast(2),
        mixed: true,
        act: ask!(manifest::create),
    },
    Command {
        names: &["manifest annotate"],
        usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
        about: "Say what platform an image of a list is for",
        flags: &[&[
            one("arch", "Architecture"),
            one("os", "Operating system"),
            many("os-features", "Features that the operating system must have"),
            one("os-version", "Version of the operating system"),
            one("variant", "Variant of the architecture"),
        ]],
        arity: Arity::Exactly(2),
        mixed: true,
        act: ask!(manifest::annotate),
    },
    Command {
        names: &["manifest inspect"],
        usage: "[OPTIONS] [MANIFEST_LIST] MANIFEST",
        about: "Show an image's manifest, or a list",
        flags: &[&[INSECURE, switch("verbose", "Show all that is known").short('v')]],
        arity: Arity::Between(1, 2),
        mixed: true,
        act: ask!(manifest::inspect),
    },
    Command {
        names: &["manifest push"],
        usage: "[OPTIONS] MANIFEST_LIST",
        about: "Bring a list to its registry",
        flags: &[&[INSECURE, switch("purge", "Forget the list afterwards").short('p')]],
        arity: Arity::Exactly(1),
        mixed: true,
        act: ask!(manifest::push),
    },
    Command {
        names: &["manifest rm"],
        usage: "MANIFEST_LIST [MANIFEST_LIST...]",
        about: "Forget lists that are being put together",
        flags: &[],
        arity: Arity::AtLeast(1),
        mixed: true,
        act: ask!(manifest::remove),
    },
];
