//! What is run and with which environment: Docker's rules for merging a request with its image.

use std::collections::BTreeMap;

/// The search path of a container that sets none.
pub const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Entrypoint and command after merging with the image. The request's entrypoint puts the image's command aside, and
/// `[""]` means "none".
#[must_use]
pub fn merge_command(
    asked: (Option<Vec<String>>, Option<Vec<String>>),
    image: (Option<Vec<String>>, Option<Vec<String>>),
) -> (Option<Vec<String>>, Option<Vec<String>>) {
    let (mut entrypoint, mut command) = asked;
    let is_empty = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
    if is_empty(&entrypoint) {
        if is_empty(&command) {
            command = image.1;
        }
        if entrypoint.is_none() {
            entrypoint = image.0;
        }
    }
    if entrypoint.as_deref().is_some_and(|e| e == [""]) {
        entrypoint = None;
    }
    (entrypoint, command)
}

/// The program and its arguments; `None` when there is nothing to run.
#[must_use]
pub fn args(entrypoint: Option<&[String]>, command: Option<&[String]>) -> Option<Vec<String>> {
    let args: Vec<String> = entrypoint.into_iter().chain(command).flatten().cloned().collect();
    (!args.is_empty()).then_some(args)
}

/// The request's environment, then the image's variables that it does not name.
#[must_use]
pub fn merge_env(asked: &[String], image: &[String]) -> Vec<String> {
    let named = |name: &str| asked.iter().any(|e| key(e) == name);
    asked.iter().chain(image.iter().filter(|e| !named(key(e)))).cloned().collect()
}

/// Entries of `more` that `base` does not have.
pub fn merge_map<T: Clone>(base: &mut BTreeMap<String, T>, more: &BTreeMap<String, T>) {
    for (name, value) in more {
        base.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

/// The environment a process really gets: Docker's own variables, then `env`, where a later entry replaces an earlier
/// one in its place and a name without `=` removes it. `HOME` is added when nobody set it.
#[must_use]
pub fn environment(hostname: &str, terminal: bool, env: &[String], home: &str) -> Vec<String> {
    let mut all = vec![PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if terminal {
        all.push("TERM=xterm".to_owned());
    }
    overlay(&mut all, env);
    if !all.iter().any(|e| key(e) == "HOME") {
        all.push(format!("HOME={home}"));
    }
    all
}

/// Puts `more` over `env`: same names are replaced in their place, names without `=` removed.
fn overlay(env: &mut Vec<String>, more: &[String]) {
    for entry in more {
        let name = key(entry);
        let at = env.iter().position(|e| key(e) == name);
        match (entry.contains('='), at) {
            (true, Some(at)) => env[at].clone_from(entry),
            (true, None) => env.push(entry.clone()),
            (false, Some(at)) => drop(env.remove(at)),
            (false, None) => {}
        }
    }
}

fn key(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Option<Vec<String>> {
        match text {
            "-" => None,
            "[]" => Some(Vec::new()),
            "['']" => Some(vec![String::new()]),
            words => Some(words.split(' ').map(str::to_owned).collect()),
        }
    }

    #[test]
    fn commands() {
        for (entry, cmd, image_entry, image_cmd, expected) in [
            ("-", "-", "e", "c d", "e c d"),
            ("-", "x", "e", "c", "e x"),
            ("[]", "x", "e", "c", "x"),
            ("[]", "[]", "e", "c", "c"),
            ("-", "[]", "e", "c", "e c"),
            ("n", "-", "e", "c", "n"),
            ("n", "x y", "e", "c", "n x y"),
            ("['']", "x", "e", "c", "x"),
            ("['']", "-", "e", "c", "-"),
            ("-", "-", "-", "-", "-"),
            ("-", "-", "['']", "c", "c"),
            ("-", "-", "-", "c", "c"),
        ] {
            let merged = merge_command((list(entry), list(cmd)), (list(image_entry), list(image_cmd)));
            let got = args(merged.0.as_deref(), merged.1.as_deref());
            assert_eq!(got, list(expected), "{entry} {cmd} {image_entry} {image_cmd}");
        }
    }

    #[test]
    fn environments() {
        let env = |text: &str| list(text).unwrap_or_default();
        assert_eq!(merge_env(&env("A=1 B"), &env("A=2 B=3 C=4")), env("A=1 B C=4"));
        let all = environment("h", true, &env("A=1 HOSTNAME=x TERM A=2"), "/root");
        assert_eq!(all[1..], env("HOSTNAME=x A=2 HOME=/root"));
        assert_eq!(
            environment("h", false, &env("HOME=/x PATH=/b"), "/")[..],
            env("PATH=/b HOSTNAME=h HOME=/x")
        );
    }
}
