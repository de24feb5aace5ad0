//! What is different for somebody who is not the host's root: where states are kept, `--rootless`, and the document to begin with.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::output::Complaint;

/// The value of `--rootless`: `None` for `auto`.
pub(super) fn option(value: Option<&str>) -> Result<Option<bool>, Complaint> {
    match value {
        None | Some("auto" | "") => Ok(None),
        Some("true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(Some(true)),
        Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(Some(false)),
        Some(other) => Err(Complaint::new(format!("--rootless {other:?} is neither true, false nor auto"))),
    }
}

/// The user's own runtime directory, for whoever cannot use the host's: another user, or the root of a user namespace who does not
/// claim to be more than that.
pub(super) fn state_directory(name: &str) -> Option<PathBuf> {
    let variable = |name: &str| std::env::var(name).ok();
    let own = if rustix::process::geteuid().is_root() {
        crate::facts::in_user_namespace() && variable("USER").as_deref() != Some("root")
    } else {
        true
    };
    let directory = variable("XDG_RUNTIME_DIR").filter(|directory| own && directory.starts_with('/'))?;
    Some(PathBuf::from(directory).join(name))
}

/// Makes the usual document one that the user `uid` may run: with a user namespace of its own, in which it is root, and without what
/// needs rights over the host.
pub(super) fn adapt(document: &mut Value, uid: u32, gid: u32) {
    let linux = &mut document["linux"];
    if let Some(namespaces) = linux["namespaces"].as_array_mut() {
        // A network of its own would have nothing but a loopback interface.
        namespaces.retain(|n| n["type"] != "network" && n["type"] != "user");
        namespaces.push(json!({"type": "user"}));
    }
    linux["uidMappings"] = json!([{"containerID": 0, "hostID": uid, "size": 1}]);
    linux["gidMappings"] = json!([{"containerID": 0, "hostID": gid, "size": 1}]);
    if let Some(linux) = linux.as_object_mut() {
        linux.remove("resources");
    }
    for mount in document["mounts"].as_array_mut().into_iter().flatten() {
        if mount["destination"] == "/sys" {
            // Only the owner of the network may mount a sysfs that shows it.
            *mount = json!({"destination": "/sys", "type": "none", "source": "/sys",
                "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]});
        } else if let Some(options) = mount["options"].as_array_mut() {
            // Nobody but root is mapped.
            let names_owner =
                |o: &Value| o.as_str().is_some_and(|o| o.starts_with("gid=") || o.starts_with("uid="));
            options.retain(|option| !names_owner(option));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_option() {
        for (word, value) in [("auto", None), ("true", Some(true)), ("0", Some(false))] {
            assert_eq!(option(Some(word)).ok(), Some(value), "{word}");
        }
        assert!(option(Some("maybe")).is_err());
    }

    #[test]
    fn the_document_of_an_ordinary_user() {
        let mut document = super::super::specification::document();
        adapt(&mut document, 1000, 100);
        let kinds: Vec<_> = document["linux"]["namespaces"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n["type"].as_str().unwrap_or_default())
            .collect();
        assert!(kinds.contains(&"user") && !kinds.contains(&"network"), "{kinds:?}");
        assert_eq!(document["linux"]["gidMappings"], json!([{"containerID": 0, "hostID": 100, "size": 1}]));
        assert!(document["linux"].get("resources").is_none());
        let text = document.to_string();
        assert!(!text.contains("gid=5") && !text.contains("sysfs") && text.contains("\"rbind\""), "{text}");
    }
}
