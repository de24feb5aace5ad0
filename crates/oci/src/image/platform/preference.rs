//! Which platforms a host can run, best first, and which manifest of an index is the one for it.

use std::fmt;

use crate::image::{Descriptor, Platform};

/// Platforms that will do, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Preference {
    wanted: Platform,
    order: Vec<Platform>,
}

/// No manifest of an index fits. Worded as Docker words it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub struct NoMatch {
    wanted: Platform,
}

impl fmt::Display for NoMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no matching manifest for {} in the manifest list entries", self.wanted)
    }
}

impl Preference {
    /// What a machine of that platform can run: itself, older variants, then the 32-bit architecture of the same family
    /// (containerd's `platforms.Only`).
    #[must_use]
    pub fn of(wanted: &Platform) -> Self {
        Self { wanted: wanted.clone(), order: order(&wanted.normalized()) }
    }

    /// That platform and no other (containerd's `platforms.OnlyStrict`).
    #[must_use]
    pub fn only(wanted: &Platform) -> Self {
        Self { wanted: wanted.clone(), order: vec![wanted.normalized()] }
    }

    /// What this host can run.
    #[must_use]
    pub fn host() -> Self {
        Self::of(&Platform::host())
    }

    /// The platform that was asked for, as it was written.
    #[must_use]
    pub fn wanted(&self) -> &Platform {
        &self.wanted
    }

    /// How good the platform is: 0 is best, `None` is no good.
    #[must_use]
    pub fn rank(&self, platform: &Platform) -> Option<usize> {
        let platform = platform.normalized();
        self.order.iter().position(|good| does(good, &platform))
    }

    /// The entries of an index that will do, best first, equals in the index's order. One that says no platform may be anything,
    /// so it comes last: its configuration has to be asked. What only describes others (`Descriptor::is_attached`) is left out.
    #[must_use]
    pub fn choose<'a>(&self, manifests: &'a [Descriptor]) -> Vec<&'a Descriptor> {
        let rank = |descriptor: &Descriptor| match &descriptor.platform {
            Some(platform) => self.rank(platform),
            None => Some(self.order.len()),
        };
        let mut fitting: Vec<_> = manifests
            .iter()
            .filter(|descriptor| !descriptor.is_attached())
            .filter_map(|descriptor| Some((rank(descriptor)?, descriptor)))
            .collect();
        fitting.sort_by_key(|(rank, _)| *rank);
        fitting.into_iter().map(|(_, descriptor)| descriptor).collect()
    }

    /// The best entry of an index.
    ///
    /// # Errors
    /// Docker's sentence, when none will do.
    pub fn best<'a>(&self, manifests: &'a [Descriptor]) -> Result<&'a Descriptor, NoMatch> {
        self.choose(manifests).into_iter().next().ok_or_else(|| self.refusal())
    }

    /// What to say when none will do.
    #[must_use]
    pub fn refusal(&self) -> NoMatch {
        NoMatch { wanted: self.wanted.clone() }
    }
}

/// Both are normalised. The system's version counts where programs are bound to it: on Windows, up to the build number.
fn does(good: &Platform, platform: &Platform) -> bool {
    let build = |version: &str| version.splitn(4, '.').take(3).map(str::to_owned).collect::<Vec<_>>();
    let same_version = good.os != "windows"
        || good.os_version.is_empty()
        || platform.os_version.is_empty()
        || build(&good.os_version) == build(&platform.os_version);
    (&good.os, &good.architecture, &good.variant) == (&platform.os, &platform.architecture, &platform.variant)
        && same_version
}

fn order(wanted: &Platform) -> Vec<Platform> {
    let with = |architecture: &str, variant: &str| Platform {
        architecture: architecture.into(),
        variant: variant.into(),
        ..wanted.clone()
    };
    let mut order = vec![wanted.clone()];
    match wanted.architecture.as_str() {
        "amd64" => {
            let version = number(&wanted.variant).unwrap_or(1);
            order.extend((1..version).rev().map(|v| with("amd64", &format!("v{v}"))));
            order.push(with("386", ""));
        }
        "arm" => order.extend(below_arm(&wanted.variant).map(|v| with("arm", &v))),
        "arm64" => {
            order.extend(below_arm64(&wanted.variant).into_iter().map(|v| with("arm64", &v)));
            // Those know the 32-bit instructions of version 8, and all before it.
            order.push(with("arm", "v8"));
            order.extend(below_arm("v8").map(|v| with("arm", &v)));
        }
        _ => {}
    }
    order.iter().map(Platform::normalized).collect()
}

/// Variants of arm below this one, down to 5.
fn below_arm(variant: &str) -> impl Iterator<Item = String> + use<> {
    (5..number(variant).unwrap_or(5)).rev().map(|version| format!("v{version}"))
}

/// Variants of arm64 that run on this one: v9.x has what v8.(x+5) has.
fn below_arm64(variant: &str) -> Vec<String> {
    let (major, minor) = variant.split_once('.').unwrap_or((variant, "0"));
    let minor: u32 = minor.parse().unwrap_or(0).min(99);
    let named = |major: u32, minors: std::ops::Range<u32>| {
        let name = move |minor| if minor == 0 { format!("v{major}") } else { format!("v{major}.{minor}") };
        minors.rev().map(name)
    };
    match number(major) {
        Some(9) => named(9, 0..minor).chain(named(8, 0..minor + 6)).collect(),
        Some(8) => named(8, 0..minor).collect(),
        _ => Vec::new(),
    }
}

/// The 7 of `v7`. Nobody has three digits.
fn number(variant: &str) -> Option<u32> {
    variant.strip_prefix('v').and_then(|digits| digits.parse().ok()).filter(|version| *version < 100)
}
