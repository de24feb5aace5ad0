//! What an answer says that is not the content asked for (distribution-spec, Error Codes).

use hyper::header::RETRY_AFTER;
use serde::Deserialize;

use crate::error::Error;
use crate::http::Response;

/// More than this of an error's text nobody wants to read.
const MOST: u64 = 64 << 10;

#[derive(Default, Deserialize)]
struct Document {
    #[serde(default)]
    errors: Vec<One>,
    /// What some token services write instead.
    #[serde(default)]
    details: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct One {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    /// Some registries write the sentence here.
    #[serde(default)]
    detail: serde_json::Value,
}

/// The refusal that an answer is. `asked` is the request, for answers that say nothing else.
pub(crate) async fn refusal(asked: &str, mut response: Response) -> Error {
    let status = response.status.as_u16();
    let after = response.header(RETRY_AFTER).map(str::to_owned);
    let text = response.body.whole(MOST).await.ok().flatten().unwrap_or_default();
    let (code, sentence) = sentence(&text);
    if sentence.is_empty() {
        let reason = response.status.canonical_reason().unwrap_or("a status without a name");
        let sentence = format!("{asked}: unexpected status: {status} {reason}");
        return Error::refused(status, &code, sentence).after(after);
    }
    Error::refused(status, &code, sentence).after(after)
}

/// The first code, and all errors in one line as Docker prints them.
fn sentence(text: &[u8]) -> (String, String) {
    let document: Document = serde_json::from_slice(text).unwrap_or_default();
    let code = document.errors.first().map(|one| one.code.clone()).unwrap_or_default();
    let lines: Vec<String> = document.errors.iter().map(line).filter(|line| !line.is_empty()).collect();
    let sentence = match lines.as_slice() {
        [] if document.details.is_empty() => document.message,
        [] => document.details,
        lines => lines.join("; "),
    };
    (code, one_line(&sentence))
}

fn line(one: &One) -> String {
    let code = one.code.to_ascii_lowercase().replace('_', " ");
    let message = match (&*one.message, one.detail.as_str()) {
        ("", Some(detail)) => detail,
        (message, _) => message,
    };
    match (code.is_empty(), message.is_empty()) {
        (false, false) => format!("{code}: {message}"),
        (false, true) => code,
        (true, _) => message.to_owned(),
    }
}

/// Foreign text, fit for a terminal.
pub(crate) fn one_line(text: &str) -> String {
    let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1000).collect();
    shown.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_as_docker_prints_them() {
        for (text, code, shown) in [
            (
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#,
                "MANIFEST_UNKNOWN",
                "manifest unknown: manifest unknown",
            ),
            (r#"{"errors":[{"code":"DENIED"},{"message":"no"}]}"#, "DENIED", "denied; no"),
            (r#"{"errors":[{"code":"X","detail":"why"}]}"#, "X", "x: why"),
            (r#"{"details":"incorrect username or password"}"#, "", "incorrect username or password"),
            ("{\"message\":\"a\\u001b[31m\\nb\"}", "", "a [31m b"),
            ("<html>", "", ""),
            ("", "", ""),
        ] {
            assert_eq!(sentence(text.as_bytes()), (code.to_owned(), shown.to_owned()), "{text}");
        }
    }
}
