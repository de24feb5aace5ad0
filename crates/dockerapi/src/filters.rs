//! Filters of list, event and prune calls: a JSON map from key to values, in the form of today
//! (`{"label":["a=b"]}`) or of old (`{"label":{"a=b":true}}`).

mod pattern;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Error;
pub use pattern::matches as pattern_matches;

/// Key to values. An item passes when for every key at least one value fits it (labels: all values).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Reads the `filters` parameter; an empty text has no filters.
    ///
    /// # Errors
    /// When the text has neither form.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let fail = || Error::new("invalid filter: want a JSON map of strings to lists of strings");
        let map: BTreeMap<String, Value> = serde_json::from_str(text).map_err(|_| fail())?;
        let mut filters = Self::default();
        for (key, value) in map {
            for value in values(value).ok_or_else(fail)? {
                filters.add(&key, &value);
            }
        }
        Ok(filters)
    }

    /// Reads the `key=value` texts of a command line.
    ///
    /// # Errors
    /// When a text has no `=`.
    pub fn from_flags(flags: &[String]) -> Result<Self, Error> {
        let mut filters = Self::default();
        for flag in flags {
            let (key, value) = flag
                .split_once('=')
                .ok_or_else(|| Error::new(format!("invalid filter '{flag}': expected key=value")))?;
            filters.add(&key.trim().to_lowercase(), value.trim());
        }
        Ok(filters)
    }

    /// Adds a value under a key.
    pub fn add(&mut self, key: &str, value: &str) {
        self.0.entry(key.to_owned()).or_default().push(value.to_owned());
    }

    /// Is nothing filtered?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values under a key; none when the key is absent.
    #[must_use]
    pub fn get(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Is the key there?
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Refuses keys that the call does not know.
    ///
    /// # Errors
    /// Names the first unknown key.
    pub fn only(&self, known: &[&str]) -> Result<(), Error> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(Error::new(format!("invalid filter '{key}'"))),
        }
    }

    /// The one truth value under a key (`1`, `t`, `true`, `0`, `f`, `false`), `None` when absent.
    ///
    /// # Errors
    /// When the values are not truth values or contradict each other.
    pub fn truth(&self, key: &str) -> Result<Option<bool>, Error> {
        let mut answer = None;
        for value in self.get(key) {
            let truth = parse_bool(value)
                .filter(|truth| answer.is_none_or(|before| before == *truth))
                .ok_or_else(|| Error::new(format!("invalid filter '{key}={value}'")))?;
            answer = Some(truth);
        }
        Ok(answer)
    }

    /// Does a value under the key equal the text? True when the key is absent.
    #[must_use]
    pub fn exact(&self, key: &str, text: &str) -> bool {
        !self.has(key) || self.get(key).iter().any(|value| value == text)
    }

    /// Does a value under the key match the text as a pattern? True when the key is absent.
    #[must_use]
    pub fn pattern(&self, key: &str, text: &str) -> bool {
        !self.has(key) || self.get(key).iter().any(|value| value == text || pattern::matches(value, text))
    }

    /// Does the text begin with a value under the key? True when the key is absent.
    #[must_use]
    pub fn prefix(&self, key: &str, text: &str) -> bool {
        !self.has(key) || self.get(key).iter().any(|value| text.starts_with(value.as_str()))
    }

    /// Do the labels have all of `label` (`key` or `key=value`) and none of `label!`?
    #[must_use]
    pub fn labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let fits = |wanted: &String| match wanted.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|have| have == value),
            None => labels.contains_key(wanted),
        };
        self.get("label").iter().all(fits) && !self.get("label!").iter().any(fits)
    }

    /// Prints today's form, for a request.
    #[must_use]
    pub fn print(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }
}

fn values(value: Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.into_iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        Value::Object(map) => {
            let chosen = map.into_iter().filter(|(_, on)| on.as_bool() != Some(false));
            Some(chosen.map(|(value, _)| value).collect())
        }
        _ => None,
    }
}

/// Go's `strconv.ParseBool`.
#[must_use]
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms() {
        for text in [r#"{"label":["a=b","c"]}"#, r#"{"label":{"a=b":true,"c":true,"d":false}}"#] {
            let filters = Filters::parse(text).unwrap();
            assert_eq!(filters.get("label"), ["a=b", "c"], "{text}");
        }
        assert!(Filters::parse("").unwrap().is_empty());
        for bad in ["zz", "[]", r#"{"a":1}"#, r#"{"a":[1]}"#, "{"] {
            assert!(Filters::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn refuses_unknown_keys() {
        let filters = Filters::parse(r#"{"nope":["x"]}"#).unwrap();
        assert_eq!(filters.only(&["name"]).unwrap_err().to_string(), "invalid filter 'nope'");
        assert!(filters.only(&["nope"]).is_ok());
    }

    #[test]
    fn labels_must_all_fit() {
        let have = BTreeMap::from([("a".to_owned(), "b".to_owned()), ("c".to_owned(), String::new())]);
        let fits = |text: &str| Filters::parse(text).unwrap().labels(&have);
        assert!(fits(r#"{"label":["a","c"]}"#));
        assert!(fits(r#"{"label":["a=b","c="]}"#));
        assert!(!fits(r#"{"label":["a=x"]}"#));
        assert!(!fits(r#"{"label":["a","d"]}"#));
        assert!(fits(r#"{"label!":["d"]}"#));
        assert!(!fits(r#"{"label!":["a=b"]}"#));
    }

    #[test]
    fn truths_must_agree() {
        let truth = |text: &str| Filters::parse(text).unwrap().truth("dangling");
        assert_eq!(truth("{}"), Ok(None));
        assert_eq!(truth(r#"{"dangling":["1","true"]}"#), Ok(Some(true)));
        assert!(truth(r#"{"dangling":["1","0"]}"#).is_err());
        assert!(truth(r#"{"dangling":["yes"]}"#).is_err());
    }
}
