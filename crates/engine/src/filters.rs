//! The `filters` parameter of lists and events: names with accepted values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{Error, Result};

/// Filters by name. All names must hold; of one name's values any one (labels: every one).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, BTreeSet<String>>);

impl Filters {
    /// Reads the JSON text of the parameter: `{"name":["value"]}`, or the old `{"name":{"value":true}}`. Empty text is no filter.
    ///
    /// # Errors
    /// The text is neither.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let bad = || Error::invalid(format!("invalid filters: {text:?} is not a JSON map of lists"));
        let Ok(Value::Object(map)) = serde_json::from_str(text) else { return Err(bad()) };
        let mut filters = BTreeMap::new();
        for (name, values) in map {
            let values = match values {
                Value::Array(list) => list
                    .into_iter()
                    .map(|v| match v {
                        Value::String(s) => Some(s),
                        _ => None,
                    })
                    .collect::<Option<BTreeSet<String>>>(),
                Value::Object(set) => {
                    Some(set.into_iter().filter(|(_, on)| on == &Value::Bool(true)).map(|(v, _)| v).collect())
                }
                _ => None,
            };
            filters.insert(name, values.ok_or_else(bad)?);
        }
        Ok(Self(filters))
    }

    /// Filters from names and values.
    #[must_use]
    pub fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        let mut filters = Self::default();
        for (name, value) in pairs {
            filters.0.entry((*name).to_owned()).or_default().insert((*value).to_owned());
        }
        filters
    }

    /// Refuses names that are not in `known`.
    ///
    /// # Errors
    /// Docker's sentence for an unknown filter.
    pub fn allow(&self, known: &[&str]) -> Result<()> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Error::invalid(format!("invalid filter '{name}'"))),
            None => Ok(()),
        }
    }

    /// The values of one name; empty when it is not there.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(String::as_str)
    }

    /// Whether there is a filter of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|v| !v.is_empty())
    }

    /// Whether the name is not filtered, or one of its values is accepted.
    pub fn any(&self, name: &str, accepts: impl FnMut(&str) -> bool) -> bool {
        !self.has(name) || self.values(name).any(accepts)
    }

    /// Whether `labels` has every `label` and none of the `label!` values (`key` or `key=value`).
    #[must_use]
    pub fn labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |wanted: &str| match wanted.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|v| v == value),
            None => labels.contains_key(wanted),
        };
        self.values("label").all(has) && !self.values("label!").any(has)
    }

    /// A filter whose values are booleans, `1` and `0` included.
    ///
    /// # Errors
    /// A value that is none, or both.
    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        let mut wanted = None;
        for value in self.values(name) {
            let value = match value {
                "1" | "true" | "True" => true,
                "0" | "false" | "False" => false,
                other => return Err(Error::invalid(format!("invalid filter '{name}={other}'"))),
            };
            if wanted.is_some_and(|w| w != value) {
                return Err(Error::invalid(format!("invalid filter '{name}={value}'")));
            }
            wanted = Some(value);
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations() {
        let new = Filters::parse(r#"{"label":["a","b=1"],"dangling":["1"]}"#).expect("new");
        let old = Filters::parse(r#"{"label":{"a":true,"b=1":true,"c":false},"dangling":{"1":true}}"#)
            .expect("old");
        assert_eq!(new, old);
        assert_eq!(new.flag("dangling").expect("flag"), Some(true));
        assert!(new.allow(&["label"]).is_err() && new.allow(&["label", "dangling"]).is_ok());
        for bad in ["x", "[]", r#"{"a":1}"#, r#"{"a":[1]}"#] {
            assert!(Filters::parse(bad).is_err(), "{bad}");
        }
        assert!(Filters::parse("").is_ok_and(|f| f == Filters::default()));
    }

    #[test]
    fn labels_are_all_needed() {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
        let check = |pairs: &[(&str, &str)]| Filters::from_pairs(pairs).labels(&labels);
        assert!(check(&[("label", "a"), ("label", "a=1"), ("label", "b="), ("label!", "c")]));
        assert!(!check(&[("label", "a"), ("label", "a=2")]));
        assert!(!check(&[("label!", "a=1")]));
    }
}
