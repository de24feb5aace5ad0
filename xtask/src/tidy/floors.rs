//! A crate depends only on lower floors, never sideways (ARCHITECTURE.md, "Floors").

use serde_json::Value;

use crate::command;

/// Every crate's floor. A crate that is missing here is a breach: adding one is a decision.
const FLOORS: &[(&str, u8)] = &[
    ("types", 0),
    ("oci", 1),
    ("dockerapi", 1),
    ("protocol", 1),
    ("plan", 2),
    ("layer", 2),
    ("sys", 3),
    ("runtime", 4),
    ("store", 4),
    ("registry", 4),
    ("net", 4),
    ("distribution", 5),
    ("supervisor", 5),
    ("engine", 6),
    ("server", 7),
    ("cli", 7),
    ("berth", 8),
    ("berth-runtime", 8),
];

/// Crates for development: outside the floors, and nothing on a floor may ship with them.
const OUTSIDE: &[&str] = &["fuzz", "testkit", "xtask", "machine", "conformance"];

/// Arrows that go sideways on purpose, each with its reason.
const SIDEWAYS: &[(&str, &str)] = &[
    // `berth daemon` is a command: the command line parses its flags and hands the options to the server.
    ("cli", "server"),
];

/// What floors 0 to 2 may never link: they decide, and must not be able to do.
const IMPURE: &[&str] = &["libc", "rustix", "tokio", "hyper", "reqwest", "getrandom", "tempfile"];

pub(super) fn check() -> Result<Vec<String>, String> {
    let text = command::output(command::cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&text).map_err(|e| format!("cargo metadata: {e}"))?;
    let mut breaches = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        match floor(name) {
            Some(floor) => breaches.extend(arrows(name, floor, &package["dependencies"])),
            None if OUTSIDE.contains(&name) => {}
            None => {
                breaches.push(format!("crate {name} stands on no floor: add it to xtask/src/tidy/floors.rs"))
            }
        }
    }
    Ok(breaches)
}

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(n, _)| *n == name).map(|(_, floor)| *floor)
}

fn arrows(name: &str, own: u8, dependencies: &Value) -> Vec<String> {
    let shipped = dependencies.as_array().into_iter().flatten().filter(|d| d["kind"] != "dev");
    shipped.filter_map(|dependency| breach(name, own, dependency["name"].as_str()?)).collect()
}

fn breach(name: &str, own: u8, dependency: &str) -> Option<String> {
    if OUTSIDE.contains(&dependency) {
        return Some(format!("{name} ships with {dependency}, which is for development"));
    }
    if own <= 2 && IMPURE.contains(&dependency) {
        return Some(format!("{name} (floor {own}) decides and must not link {dependency}"));
    }
    let other = floor(dependency)?;
    let sideways = SIDEWAYS.contains(&(name, dependency));
    (other >= own && !sideways)
        .then(|| format!("{name} (floor {own}) must not depend on {dependency} (floor {other})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_wrong_arrows() {
        assert!(breach("plan", 2, "sys").is_some());
        assert!(breach("store", 4, "net").is_some());
        assert!(breach("plan", 2, "tokio").is_some());
        assert!(breach("engine", 6, "testkit").is_some());
        assert!(breach("engine", 6, "store").is_none());
        assert!(breach("cli", 7, "server").is_none());
    }
}
