//! Image documents have one reading. Of a name that is there twice in an object, readers take the first, the last, or both together:
//! a document of which what it says depends on who reads it is none.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Map, Value};

/// Reads an image document: a manifest, an index, a configuration.
///
/// # Errors
/// When the bytes are no JSON object, an object in it has a name twice, its own names differ only in case (Go's programs read `Layers`
/// as `layers`), or a field has the wrong type.
///
/// ```
/// let twice = br#"{"schemaVersion": 2, "layers": [], "layers": []}"#;
/// let error = oci::image::parse::<oci::image::Manifest>(twice).unwrap_err();
/// assert!(error.to_string().starts_with("the name \"layers\" is there twice"));
/// ```
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    let Once(value) = serde_json::from_slice(bytes)?;
    let Value::Object(map) = &value else { return Err(serde_json::Error::custom("it is not a JSON object")) };
    let mut seen = BTreeSet::new();
    if let Some(name) = map.keys().find(|name| !seen.insert(name.to_ascii_lowercase())) {
        return Err(twice(name));
    }
    serde_json::from_value(value)
}

fn twice<E: de::Error>(name: &str) -> E {
    E::custom(format_args!("the name {name:?} is there twice"))
}

/// A value in which no object has a name twice.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Once(value)) = entries.next_element()? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if map.contains_key(&name) {
                return Err(twice(&name));
            }
            let Once(value) = entries.next_value()?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use serde_json::Value;

    #[test]
    fn a_document_has_one_reading() {
        for good in [
            r#"{"a":1,"b":{"a":1},"c":[{"a":-1},{"a":1.5},null,true,"x\n"]}"#,
            r#"{"config":{"Labels":{"a":"1","A":"2"}}}"#,
            "{}",
        ] {
            assert_eq!(
                parse::<Value>(good.as_bytes()).unwrap(),
                serde_json::from_str::<Value>(good).unwrap()
            );
        }
        for bad in [
            r#"{"layers":[],"layers":[]}"#,
            r#"{"layers":[],"Layers":[]}"#,
            r#"{"config":{"digest":"a","size":1,"digest":"b"}}"#,
            r#"{"manifests":[{"digest":"a","digest":"a"}]}"#,
            r#"{"annotations":{"a":"1","a":"2"}}"#,
            r#"{"config":{"Labels":{"\u0061":"1","a":"2"}}}"#,
        ] {
            let error = parse::<Value>(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("is there twice"), "{bad}: {error}");
        }
        for bad in ["", "[]", "1", "{", "{}x", "null"] {
            assert!(parse::<Value>(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
