//! `-e`, `--env-file`, `--label`, `--label-file`: lists of `key=value`, from the command line and from files.
#![allow(clippy::disallowed_methods, reason = "reads the files and the environment that the user named")]

use serde_json::{Map, Value};

/// The container's variables: files first, so that flags win. A name alone takes the caller's value.
pub(crate) fn variables(files: &[String], given: &[String]) -> Result<Vec<String>, String> {
    let from_here = |name: &str| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned());
    let mut list = Vec::new();
    for file in files {
        list.extend(read(file, &|name| from_here(name).map(|value| format!("{name}={value}")))?);
    }
    for text in given {
        let value = if text.contains('=') { None } else { from_here(text) };
        list.push(value.map_or_else(|| text.clone(), |value| format!("{text}={value}")));
    }
    Ok(list)
}

/// The container's labels.
pub(super) fn labels(files: &[String], given: &[String]) -> Result<Map<String, Value>, String> {
    let mut list = Vec::new();
    for file in files {
        list.extend(read(file, &|_| None)?);
    }
    list.extend_from_slice(given);
    Ok(pairs(&list))
}

/// `key=value` texts as an object; the last one counts.
pub(super) fn pairs(list: &[String]) -> Map<String, Value> {
    list.iter()
        .map(|text| text.split_once('=').unwrap_or((text, "")))
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect()
}

fn read(file: &str, alone: &dyn Fn(&str) -> Option<String>) -> Result<Vec<String>, String> {
    let bytes = std::fs::read(file).map_err(|e| format!("open {file}: {}", go_reason(&e)))?;
    lines(&bytes, alone).map_err(|reason| format!("invalid env file ({file}): {reason}"))
}

fn lines(bytes: &[u8], alone: &dyn Fn(&str) -> Option<String>) -> Result<Vec<String>, String> {
    let mut list = Vec::new();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (number, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line).map_err(|_| {
            format!("invalid utf8 bytes at line {}: {:?}", number + 1, String::from_utf8_lossy(line))
        })?;
        let text = text.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let name = text.split('=').next().unwrap_or_default();
        if name.contains(char::is_whitespace) {
            return Err(format!("variable '{name}' contains whitespaces"));
        }
        if name.is_empty() {
            return Err(format!("no variable name on line '{text}'"));
        }
        if text.contains('=') {
            list.push(text.to_owned());
        } else {
            list.extend(alone(name));
        }
    }
    Ok(list)
}

/// The reason as Go words it: lower case, without the number.
pub(super) fn go_reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn reads_files_of_variables() {
        let text = "\u{feff}# note\nA=1\n  B=x y \r\n\nSET\nGONE\nC=\n";
        let read = lines(text.as_bytes(), &|name| (name == "SET").then(|| "SET=here".to_owned()));
        assert_eq!(read.expect("the file is fine"), ["A=1", "B=x y ", "SET=here", "C="]);
        for (bad, reason) in
            [("A B=1", "variable 'A B' contains whitespaces"), ("=x", "no variable name on line '=x'")]
        {
            assert_eq!(lines(bad.as_bytes(), &|_| None).err().as_deref(), Some(reason));
        }
        assert!(lines(b"A=\xff", &|_| None).is_err());
    }
}
