//! Paths with queries, escaped.

use std::fmt::Write as _;

/// A path and its query.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    text: String,
    first: bool,
    identity: String,
}

impl Query {
    /// A path whose `{}` are replaced by the escaped parts, in order. Slashes in parts stay: names of images have them.
    pub(crate) fn path(pattern: &str, parts: &[&str]) -> Self {
        let mut pieces = pattern.split("{}");
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for (piece, part) in pieces.zip(parts) {
            escape(&mut text, part, b"/:@");
            text.push_str(piece);
        }
        Self { text, first: true, identity: String::new() }
    }

    /// One more parameter.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.text.push(if self.first { '?' } else { '&' });
        self.first = false;
        self.text.push_str(name);
        self.text.push('=');
        escape(&mut self.text, value, b"");
        self
    }

    /// One more parameter, unless it is empty.
    pub(crate) fn with_some(self, name: &str, value: &str) -> Self {
        if value.is_empty() { self } else { self.with(name, value) }
    }

    /// A parameter that says yes, when it is so.
    pub(crate) fn with_switch(self, name: &str, on: bool) -> Self {
        if on { self.with(name, "1") } else { self }
    }

    /// `--filter` values as the API takes them, when there are any.
    pub(crate) fn with_filters(self, given: &[String]) -> Self {
        let mut filters =
            std::collections::BTreeMap::<String, serde_json::Map<String, serde_json::Value>>::new();
        for text in given.iter().filter(|text| !text.is_empty()) {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            let values = filters.entry(key.trim().to_lowercase()).or_default();
            values.insert(value.trim().to_owned(), true.into());
        }
        if filters.is_empty() {
            return self;
        }
        let text = serde_json::to_string(&filters).unwrap_or_default();
        self.with("filters", &text)
    }

    /// The same, with who the user is to a registry (`X-Registry-Auth`).
    pub(crate) fn identified(mut self, header: String) -> Self {
        self.identity = header;
        self
    }

    /// Who the user is to a registry; empty when that does not matter.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// The text to send.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<&str> for Query {
    fn from(path: &str) -> Self {
        Self::path(path, &[])
    }
}

fn escape(out: &mut String, text: &str, also: &[u8]) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || also.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn escapes() {
        let query = Query::path("/images/{}/tag", &["h:5/a b"]).with("repo", "a/b:c").with_switch("x", false);
        assert_eq!(query.as_str(), "/images/h:5/a%20b/tag?repo=a%2Fb%3Ac");
        let query = Query::from("/x").with_filters(&["label=a=b".to_owned(), "Name= y".to_owned()]);
        assert_eq!(
            query.as_str(),
            "/x?filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%7D%2C%22name%22%3A%7B%22y%22%3Atrue%7D%7D"
        );
    }
}
