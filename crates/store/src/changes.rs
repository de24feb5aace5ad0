//! `--change` of an import or commit: Dockerfile instructions that only touch the configuration.

use std::collections::BTreeMap;

use oci::image::{ContainerConfig, Nothing};

use crate::error::{Error, Result};
use crate::healthcheck;

const KNOWN: [&str; 11] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Applies instructions such as `CMD ["sh"]` or `ENV a=b` in order. An entrypoint takes away the command that was there before.
///
/// # Errors
/// `InvalidInput` names the instruction that is none, or is none for this.
pub fn apply(config: &mut ContainerConfig, changes: &[String]) -> Result<()> {
    let mut has_command = false;
    for change in changes {
        let text = change.trim();
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let name = name.to_ascii_uppercase();
        if !KNOWN.contains(&name.as_str()) {
            let name = name.to_ascii_lowercase();
            return Err(Error::invalid(format!("{name} is not a valid change command")));
        }
        instruction(config, &name, rest.trim()).map_err(|e| e.within(format!("change {change:?}")))?;
        match name.as_str() {
            "CMD" => has_command = true,
            "ENTRYPOINT" if !has_command => config.cmd = None,
            _ => {}
        }
    }
    Ok(())
}

fn instruction(config: &mut ContainerConfig, name: &str, rest: &str) -> Result<()> {
    if rest.is_empty() {
        return Err(Error::invalid("it needs an argument"));
    }
    match name {
        "CMD" => config.cmd = Some(command(config, rest)),
        "ENTRYPOINT" => config.entrypoint = Some(command(config, rest)),
        "HEALTHCHECK" => config.healthcheck = Some(healthcheck::read(rest)?),
        "ENV" => set_env(&mut config.env, pairs(rest)?),
        "LABEL" => config.labels.extend(pairs(rest)?),
        "EXPOSE" => config.exposed_ports.extend(ports(rest)?),
        "VOLUME" => config.volumes.extend(list(rest)?.into_iter().map(|path| (path, Nothing {}))),
        "WORKDIR" => config.working_dir = join(&config.working_dir, &words(rest)?.join(" ")),
        "USER" => config.user = one(rest)?,
        "STOPSIGNAL" => config.stop_signal = one(rest)?,
        _ => config.on_build.push(rest.to_owned()),
    }
    Ok(())
}

/// A JSON list is taken as it is; anything else goes to the shell.
fn command(config: &ContainerConfig, text: &str) -> Vec<String> {
    json_list(text).unwrap_or_else(|| {
        let mut words = config.shell.clone().unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
        words.push(text.to_owned());
        words
    })
}

pub(crate) fn json_list(text: &str) -> Option<Vec<String>> {
    if text.starts_with('[') { serde_json::from_str(text).ok() } else { None }
}

fn list(text: &str) -> Result<Vec<String>> {
    json_list(text).map_or_else(|| words(text), Ok)
}

fn one(text: &str) -> Result<String> {
    match words(text)?.as_slice() {
        [word] => Ok(word.clone()),
        _ => Err(Error::invalid("it needs exactly one argument")),
    }
}

fn set_env(env: &mut Vec<String>, pairs: BTreeMap<String, String>) {
    for (name, value) in pairs {
        let line = format!("{name}={value}");
        match env.iter_mut().find(|known| known.split('=').next() == Some(&name)) {
            Some(known) => *known = line,
            None => env.push(line),
        }
    }
}

/// `a=b c="d e"`, or the old form `a rest of the line`.
fn pairs(text: &str) -> Result<BTreeMap<String, String>> {
    let first = text.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let (name, value) = text
            .split_once(char::is_whitespace)
            .ok_or_else(|| Error::invalid("it needs a name and a value"))?;
        return Ok(BTreeMap::from([(name.to_owned(), value.trim().to_owned())]));
    }
    let pair = |word: String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Error::invalid(format!("{word:?} is not name=value"))),
    };
    words(text)?.into_iter().map(pair).collect()
}

fn ports(text: &str) -> Result<Vec<(String, Nothing)>> {
    let port = |word: String| {
        let (number, protocol) = word.split_once('/').unwrap_or((&word, "tcp"));
        let valid = number.split('-').all(|n| n.parse::<u16>().is_ok_and(|n| n > 0))
            && number.split('-').count() <= 2
            && matches!(protocol, "tcp" | "udp" | "sctp");
        if valid {
            Ok((format!("{number}/{protocol}"), Nothing {}))
        } else {
            Err(Error::invalid(format!("{word:?} is not a port")))
        }
    };
    words(text)?.into_iter().map(port).collect()
}

/// A relative directory continues the one before.
fn join(base: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{base}/{path}") };
    let mut clean: Vec<&str> = Vec::new();
    for component in whole.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(clean.pop()),
            name => clean.push(name),
        }
    }
    format!("/{}", clean.join("/"))
}

/// Splits at blanks; quotes and backslashes keep them.
fn words(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(letters.next()),
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if quote.is_some() { Err(Error::invalid("a quote is not closed")) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(changes: &[&str], want: &str) {
        let mut config = ContainerConfig::default();
        let changes: Vec<String> = changes.iter().map(|&c| c.to_owned()).collect();
        let got = match apply(&mut config, &changes) {
            Ok(()) => serde_json::to_string(&config).unwrap(),
            Err(e) => e.to_string(),
        };
        assert!(got.contains(want), "{changes:?}: {got}");
    }

    #[test]
    fn instructions() {
        check(&[r#"CMD ["a","b c"]"#], r#""Cmd":["a","b c"]"#);
        check(&["cmd echo $HOME"], r#""Cmd":["/bin/sh","-c","echo $HOME"]"#);
        check(&[r#"ENTRYPOINT ["/x"]"#], r#""Entrypoint":["/x"]"#);
        check(&["ENV A=1 B=\"x y\"", "ENV A=2"], r#""Env":["A=2","B=x y"]"#);
        check(&["ENV A some words"], r#""Env":["A=some words"]"#);
        check(&["EXPOSE 80 53/udp"], r#""ExposedPorts":{"53/udp":{},"80/tcp":{}}"#);
        check(&["WORKDIR /a", "WORKDIR b/../c"], r#""WorkingDir":"/a/c""#);
        check(&["LABEL a.b=c 'd e'=f"], r#""Labels":{"a.b":"c","d e":"f"}"#);
        check(&[r#"VOLUME ["/data"]"#, "VOLUME /x /y"], r#""Volumes":{"/data":{},"/x":{},"/y":{}}"#);
        check(&["USER 1000:1000"], r#""User":"1000:1000""#);
        check(&["STOPSIGNAL SIGINT"], r#""StopSignal":"SIGINT""#);
        check(&["RUN ls"], "run is not a valid change command");
        check(&["CMD a", "ENTRYPOINT [\"/x\"]"], r#""Cmd":["/bin/sh","-c","a"]"#);
        check(
            &["HEALTHCHECK --interval=1m30s --retries=2 CMD [\"x\"]"],
            r#"{"Test":["CMD","x"],"Interval":90000000000,"Retries":2}"#,
        );
        check(&["EXPOSE 0"], "\"0\" is not a port");
        check(&["ENV A"], "it needs a name and a value");
        check(&["LABEL \"a=b"], "a quote is not closed");
        check(&["CMD"], "it needs an argument");
    }
}
