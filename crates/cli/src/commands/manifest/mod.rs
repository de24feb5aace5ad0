//! `manifest`: lists of images for several platforms, put together here and pushed. The command asks registries itself, as Docker's
//! does: the daemon takes no part.

mod drawer;
mod kept;
mod remote;

use oci::image::{Descriptor, Platform, media};
use registry::Target;
use serde::Serialize;
use types::{Kind, Reference};

use super::joined;
use crate::error::{Error, Result};
use crate::render::indent;
use crate::stream;
use crate::tree::Call;
use drawer::Drawer;
use kept::Kept;
use remote::Remote;

/// Pairs of system and architecture that an entry may have: those that Go builds for.
const PLATFORMS: &[(&str, &[&str])] = &[
    ("darwin", &["386", "amd64", "arm", "arm64"]),
    ("dragonfly", &["amd64"]),
    ("freebsd", &["386", "amd64", "arm"]),
    ("linux", &["386", "amd64", "arm", "arm64", "mips64", "mips64le", "ppc64le", "riscv64", "s390x"]),
    ("netbsd", &["386", "amd64", "arm"]),
    ("openbsd", &["386", "amd64", "arm"]),
    ("plan9", &["386", "amd64"]),
    ("solaris", &["amd64"]),
    ("windows", &["386", "amd64"]),
];

/// `berth manifest create`.
pub(crate) async fn create(call: Call) -> Result<u8> {
    let list = parsed(&call.args[0])
        .map_err(|e| Error::new(format!("error parsing name for manifest list {}: {e}", call.args[0])))?;
    let drawer = Drawer::of(&call);
    if drawer.list(&list)?.is_some() && !call.flags.is("amend") {
        return Err(Error::new("refusing to amend an existing manifest list with no --amend flag"));
    }
    for text in &call.args[1..] {
        let image = parsed(text)?;
        let kept = match drawer.get(&list, &image)? {
            Some(kept) => kept,
            None => Remote::of(&call, &image)?.image(&image).await?,
        };
        drawer.put(&list, &image, &kept)?;
    }
    stream::print_line(&format!("Created manifest list {list}"))?;
    Ok(0)
}

/// `berth manifest annotate`.
pub(crate) async fn annotate(call: Call) -> Result<u8> {
    let named = |what: &str, text: &str| {
        parsed(text).map_err(|e| Error::new(format!("annotate: error parsing name for {what} {text}: {e}")))
    };
    let (list, image) = (named("manifest list", &call.args[0])?, named("manifest", &call.args[1])?);
    let drawer = Drawer::of(&call);
    let Some(mut kept) = drawer.get(&list, &image)? else {
        let text = format!("manifest for image {} does not exist in {}", call.args[1], call.args[0]);
        return Err(Error::new(text).of(Kind::NotFound));
    };
    let platform = kept.descriptor.platform.get_or_insert_with(Platform::default);
    let fields = [
        ("os", &mut platform.os),
        ("arch", &mut platform.architecture),
        ("os-version", &mut platform.os_version),
        ("variant", &mut platform.variant),
    ];
    for (flag, field) in fields {
        if let Some(text) = call.flags.given(flag).filter(|text| !text.is_empty()) {
            text.clone_into(field);
        }
    }
    let features = call.flags.list("os-features").iter().flat_map(|text| text.split(','));
    for feature in features.filter(|feature| !feature.is_empty()) {
        if !platform.os_features.iter().any(|known| known == feature) {
            platform.os_features.push(feature.to_owned());
        }
    }
    if !is_buildable(platform) {
        return Err(Error::new(format!(
            "manifest entry for image has unsupported os/arch combination: {}/{}",
            platform.os, platform.architecture
        )));
    }
    drawer.put(&list, &image, &kept)?;
    Ok(0)
}

/// `berth manifest inspect`.
pub(crate) async fn inspect(call: Call) -> Result<u8> {
    let verbose = call.flags.is("verbose");
    let image = parsed(call.args.last().map_or("", String::as_str))?;
    let drawer = Drawer::of(&call);
    let text = if call.args.len() == 2 {
        let list = parsed(&call.args[0])?;
        one(&drawer.get(&list, &image)?.ok_or_else(|| drawer::absent(&image))?, verbose)?
    } else if let Some(list) = drawer.list(&image)? {
        if verbose { all(&list)? } else { index(&image, &list)?.1 }
    } else {
        let remote = Remote::of(&call, &image)?;
        let found = remote.manifest(&Target::of(&image), &image).await?;
        match (media::is_index(&found.media_type), verbose) {
            (false, _) => one(&remote.described(&image, found).await?, verbose)?,
            (true, false) => indent(&String::from_utf8_lossy(&found.bytes), "   "),
            (true, true) => all(&remote.members(&image, &found).await?)?,
        }
    };
    stream::print_line(&text)?;
    Ok(0)
}

/// `berth manifest push`.
pub(crate) async fn push(call: Call) -> Result<u8> {
    let list = parsed(&call.args[0])?;
    let drawer = Drawer::of(&call);
    let images = drawer.list(&list)?.ok_or_else(|| drawer::absent(&list))?;
    for kept in &images {
        let has_platform = |p: &Platform| !p.os.is_empty() && !p.architecture.is_empty();
        if !kept.descriptor.platform.as_ref().is_some_and(has_platform) {
            let text = format!(
                "manifest {} must have an OS and Architecture to be pushed to a registry",
                kept.reference
            );
            return Err(Error::new(text));
        }
    }
    let (media_type, document) = index(&list, &images)?;
    let remote = Remote::of(&call, &list)?;
    for kept in images.iter().filter(|kept| kept.name().is_ok_and(|name| name.path() != list.path())) {
        let said = remote.bring(kept).await?;
        stream::print_line(&said)?;
    }
    let digest = remote.put(&list, media_type, document.into_bytes()).await?;
    stream::print_line(&digest.to_string())?;
    if call.flags.is("purge") {
        drawer.remove(&list)?;
    }
    Ok(0)
}

/// `berth manifest rm`.
pub(crate) async fn remove(call: Call) -> Result<u8> {
    let drawer = Drawer::of(&call);
    let gone = |text: &String| {
        let list = parsed(text)?;
        drawer.list(&list)?.ok_or_else(|| drawer::absent(&list))?;
        drawer.remove(&list)
    };
    let errors: Vec<Error> = call.args.iter().filter_map(|text| gone(text).err()).collect();
    joined(&errors)
}

fn parsed(text: &str) -> Result<Reference> {
    text.parse().map_err(|e: types::ReferenceError| Error::new(e.to_string()))
}

fn is_buildable(platform: &Platform) -> bool {
    PLATFORMS.iter().any(|(os, known)| *os == platform.os && known.contains(&platform.architecture.as_str()))
}

/// One image's manifest, or with everything that is known of it.
fn one(kept: &Kept, verbose: bool) -> Result<String> {
    let text = if verbose { kept.print()? } else { kept.manifest().to_owned() };
    Ok(indent(&text, "\t"))
}

fn all(list: &[Kept]) -> Result<String> {
    let texts: Vec<String> = list.iter().map(Kept::print).collect::<Result<_>>()?;
    Ok(indent(&format!("[{}]", texts.join(",")), "\t"))
}

/// An entry of a list, with its fields in the order that Docker gives them: the digest of a list depends on it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    media_type: &'a str,
    size: i64,
    digest: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'a Platform>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    schema_version: i32,
    media_type: &'a str,
    manifests: Vec<Entry<'a>>,
}

/// The list as it is pushed, and its media type.
fn index(name: &Reference, list: &[Kept]) -> Result<(&'static str, String)> {
    let mut manifests = Vec::new();
    for kept in list {
        let from = kept.name()?;
        if from.domain() != name.domain() {
            return Err(Error::new(format!(
                "cannot use source images from a different registry than the target image: {} != {}",
                from.domain(),
                name.domain()
            )));
        }
        let Descriptor { media_type, size, digest, platform, .. } = &kept.descriptor;
        manifests.push(Entry { media_type, size: *size, digest, platform: platform.as_ref() });
    }
    let is_oci = list.first().is_some_and(|kept| kept.descriptor.media_type == media::MANIFEST);
    let media_type = if is_oci { media::INDEX } else { media::DOCKER_MANIFEST_LIST };
    let text = kept::printed(&List { schema_version: 2, media_type, manifests })?;
    Ok((media_type, indent(&text, "   ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(name: &str, architecture: &str) -> Kept {
        let platform =
            Platform { os: "linux".into(), architecture: architecture.into(), ..Platform::default() };
        let digest = format!("sha256:{}", "ab".repeat(32));
        let descriptor = Descriptor {
            media_type: media::DOCKER_MANIFEST.into(),
            digest,
            size: 523,
            platform: Some(platform),
            ..Descriptor::default()
        };
        Kept::new(&name.parse().unwrap(), descriptor, b"{\n \"schemaVersion\": 2 }").unwrap()
    }

    #[test]
    fn lists_are_printed_as_docker_pushes_them() {
        let list = [kept("r.test/box:1", "amd64"), kept("r.test/box:2", "arm64")];
        let (media_type, text) = index(&"r.test/list:1".parse().unwrap(), &list).unwrap();
        assert_eq!(media_type, media::DOCKER_MANIFEST_LIST);
        let head = format!(
            "{{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"{media_type}\",\n   \"manifests\": [\n      {{\n         \
             \"mediaType\": \"{}\",\n         \"size\": 523,\n         \"digest\": \"sha256:abab",
            media::DOCKER_MANIFEST
        );
        assert!(text.starts_with(&head) && text.ends_with("\n   ]\n}"), "{text}");
        assert!(index(&"s.test/list:1".parse().unwrap(), &list).is_err());
    }

    #[test]
    fn platforms_that_are_built_for() {
        let is = |os: &str, architecture: &str| {
            is_buildable(&Platform {
                os: os.into(),
                architecture: architecture.into(),
                ..Platform::default()
            })
        };
        assert!(is("linux", "riscv64") && is("windows", "amd64"));
        assert!(!is("linux", "nope") && !is("", "amd64") && !is("plan9", "arm64"));
    }
}
