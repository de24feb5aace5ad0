//! Tables: text → platform, host → what it runs, index → the chosen entry.

use super::*;
use crate::image::{Descriptor, Platform};

fn parsed(text: &str) -> Platform {
    text.parse().unwrap()
}

#[test]
fn texts_mean_platforms() {
    for (text, shown, normal) in [
        ("linux/amd64", "linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64", "linux/amd64"),
        ("Linux/X86-64/v1", "linux/amd64", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3", "linux/amd64/v3"),
        ("linux/i386", "linux/386", "linux/386"),
        ("linux/aarch64", "linux/arm64", "linux/arm64"),
        ("linux/aarch64/8", "linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/v8.2", "linux/arm64/v8.2", "linux/arm64/v8.2"),
        ("linux/arm64/9.0", "linux/arm64/v9", "linux/arm64/v9"),
        ("linux/arm", "linux/arm", "linux/arm/v7"),
        ("linux/arm/7", "linux/arm/v7", "linux/arm/v7"),
        ("linux/arm/5", "linux/arm/v5", "linux/arm/v5"),
        ("linux/armhf", "linux/arm", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6", "linux/arm/v6"),
        ("macos/arm64", "darwin/arm64", "darwin/arm64"),
        ("arm64", "linux/arm64", "linux/arm64"),
        ("armhf", "linux/arm", "linux/arm/v7"),
        ("windows(10.0.17763)/amd64", "windows(10.0.17763)/amd64", "windows(10.0.17763)/amd64"),
        ("strange/machine/x", "strange/machine/x", "strange/machine/x"),
    ] {
        let platform = parsed(text);
        assert_eq!(
            (platform.to_string(), platform.normalized().to_string()),
            (shown.into(), normal.into()),
            "{text}"
        );
    }
    assert_eq!(parsed("linux").normalized(), Platform::host().normalized());
    assert_eq!(Platform::default().to_string(), "unknown");
}

#[test]
fn other_texts_are_refused_in_a_sentence() {
    for (text, sentence) in [
        ("", r#""" is an invalid component of the platform "": invalid argument"#),
        ("linux/", r#""" is an invalid component of the platform "linux/": invalid argument"#),
        ("linux/*", r#""*" is an invalid component of the platform "linux/*": invalid argument"#),
        (
            "windows(1/2)/amd64",
            r#""windows(1" is an invalid component of the platform "windows(1/2)/amd64": invalid argument"#,
        ),
        ("linux/arm/v7/x", r#""linux/arm/v7/x": cannot parse platform specifier: invalid argument"#),
        ("potato", r#""potato": unknown operating system or architecture: invalid argument"#),
        ("amd64(1)", r#""amd64(1)": unknown operating system or architecture: invalid argument"#),
    ] {
        assert_eq!(text.parse::<Platform>().unwrap_err().to_string(), sentence);
    }
}

#[test]
fn a_host_runs_its_own_kind_and_what_came_before() {
    for (host, best_first) in [
        ("linux/amd64", "amd64 386"),
        ("linux/amd64/v3", "amd64/v3 amd64/v2 amd64 386"),
        ("linux/386", "386"),
        ("linux/arm64", "arm64 arm/v8 arm/v7 arm/v6 arm/v5"),
        ("linux/arm64/v8.2", "arm64/v8.2 arm64/v8.1 arm64 arm/v8 arm/v7 arm/v6 arm/v5"),
        (
            "linux/arm64/v9.1",
            "arm64/v9.1 arm64/v9 arm64/v8.6 arm64/v8.5 arm64/v8.4 arm64/v8.3 arm64/v8.2 arm64/v8.1 arm64 \
             arm/v8 arm/v7 arm/v6 arm/v5",
        ),
        ("linux/arm", "arm/v7 arm/v6 arm/v5"),
        ("linux/arm/v6", "arm/v6 arm/v5"),
        ("linux/arm/v5", "arm/v5"),
        ("linux/riscv64", "riscv64"),
    ] {
        let preference = Preference::of(&parsed(host));
        for (rank, text) in best_first.split_whitespace().enumerate() {
            assert_eq!(preference.rank(&parsed(&format!("linux/{text}"))), Some(rank), "{host}: {text}");
        }
        let all = ["amd64", "386", "arm64", "arm/v8", "arm/v7", "arm/v6", "arm/v5", "riscv64", "amd64/v4"];
        for other in all.iter().filter(|text| !best_first.split_whitespace().any(|good| good == **text)) {
            assert_eq!(preference.rank(&parsed(&format!("linux/{other}"))), None, "{host}: {other}");
        }
    }
}

#[test]
fn strict_is_strict_and_windows_counts_builds() {
    let rank = |preference: Preference, text: &str| preference.rank(&parsed(text));
    assert_eq!(rank(Preference::only(&parsed("linux/amd64")), "linux/386"), None);
    assert_eq!(rank(Preference::only(&parsed("linux/arm64")), "linux/arm64/v8"), Some(0));
    let windows = || Preference::of(&parsed("windows(10.0.17763.1)/amd64"));
    assert_eq!(rank(windows(), "windows(10.0.17763.9)/amd64"), Some(0));
    assert_eq!(rank(windows(), "windows(10.0.20348)/amd64"), None);
}

fn entry(text: &str) -> Descriptor {
    let platform = (text != "-").then(|| parsed(text));
    Descriptor { platform, ..Descriptor::default() }
}

#[test]
fn the_best_entry_of_an_index() {
    for (wanted, index, want) in [
        ("linux/amd64", "linux/386 linux/amd64", "linux/amd64"),
        ("linux/amd64", "linux/386 linux/arm64", "linux/386"),
        ("linux/arm64", "linux/arm/v6 linux/arm/v7 linux/amd64", "linux/arm/v7"),
        ("linux/arm/v7", "linux/arm/v5 linux/arm/v6 linux/arm/v8", "linux/arm/v6"),
        ("linux/amd64", "- linux/amd64", "linux/amd64"),
        ("linux/amd64", "- linux/arm64", "-"),
        ("linux/amd64", "unknown/unknown linux/amd64/v2", "no matching manifest for linux/amd64"),
        ("linux/arm64/v8", "linux/amd64", "no matching manifest for linux/arm64/v8"),
        ("linux/s390x", "", "no matching manifest for linux/s390x"),
    ] {
        let entries: Vec<_> = index.split_whitespace().map(entry).collect();
        match Preference::of(&parsed(wanted)).best(&entries) {
            Ok(found) => assert_eq!(*found, entry(want), "{wanted} in {index}"),
            Err(e) => assert_eq!(
                e.to_string(),
                format!("{want} in the manifest list entries"),
                "{wanted} in {index}"
            ),
        }
    }
}

#[test]
fn what_describes_others_is_never_chosen() {
    let mut attestation = entry("-");
    attestation.annotations.insert("vnd.docker.reference.type".into(), "attestation-manifest".into());
    let signature = Descriptor { artifact_type: "application/x.signature".into(), ..Descriptor::default() };
    let index = [attestation, signature];
    assert!(Preference::host().best(&index).is_err());
}
