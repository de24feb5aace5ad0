//! From the flags of `run` and `create` to the body of `POST /containers/create`. No wire, no terminal.

mod body;
mod devices;
mod environment;
pub(crate) mod limits;
pub(crate) mod mounts;
pub(crate) mod network;
#[cfg(test)]
mod oracle;
mod ports;
mod security;
#[cfg(test)]
mod tests;
mod volumes;

pub(crate) use body::{Body, body};
pub(crate) use environment::variables;

/// Reads one line of comma-separated values, with double quotes as the usual exception.
pub(crate) fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        let field_is_empty = fields.last().is_some_and(String::is_empty);
        match c {
            '"' if !quoted && field_is_empty => quoted = true,
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                push(&mut fields, '"');
            }
            '"' if quoted => quoted = false,
            '"' => return Err("parse error: bare \" in non-quoted field".to_owned()),
            ',' if !quoted => fields.push(String::new()),
            other => push(&mut fields, other),
        }
    }
    if quoted { Err("parse error: extraneous or missing \" in quoted-field".to_owned()) } else { Ok(fields) }
}

fn push(fields: &mut [String], c: char) {
    if let Some(last) = fields.last_mut() {
        last.push(c);
    }
}

/// A relative path that begins with a dot, made absolute against the working directory.
pub(crate) fn absolute(source: &str) -> String {
    if !source.starts_with('.') {
        return source.to_owned();
    }
    let Ok(here) = std::env::current_dir() else { return source.to_owned() };
    let mut path = here;
    for part in source.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            name => path.push(name),
        }
    }
    path.to_string_lossy().into_owned()
}
