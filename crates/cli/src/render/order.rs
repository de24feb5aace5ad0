//! The order of keys in a document, which templates lose: Docker prints `{{json .X}}` in the order in which the daemon did.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Objects of a document: as printed with sorted keys, to as the document has them.
#[derive(Default)]
pub(crate) struct Order(HashMap<String, String>);

impl Order {
    /// Reads a document.
    pub(crate) fn of(document: &[u8]) -> serde_json::Result<Self> {
        let mut order = Self::default();
        order.note(serde_json::from_slice(document)?)?;
        Ok(order)
    }

    /// A text with sorted keys in the document's order.
    pub(crate) fn restore(&self, sorted: String) -> String {
        self.0.get(&sorted).cloned().unwrap_or(sorted)
    }

    /// Notes a value and everything in it; answers it with sorted keys and in its own order.
    fn note(&mut self, value: &RawValue) -> serde_json::Result<(String, String)> {
        let text = value.get();
        let both = match text.as_bytes().first() {
            Some(b'{') => {
                let Pairs(pairs) = serde_json::from_str(text)?;
                let (mut sorted, mut own) = (BTreeMap::new(), Vec::new());
                for (key, value) in pairs {
                    let name = serde_json::to_string(&key)?;
                    let (of_sorted, of_own) = self.note(value)?;
                    own.push(format!("{name}:{of_own}"));
                    sorted.insert(key, format!("{name}:{of_sorted}"));
                }
                let sorted: Vec<String> = sorted.into_values().collect();
                (format!("{{{}}}", sorted.join(",")), format!("{{{}}}", own.join(",")))
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                let noted = items.into_iter().map(|item| self.note(item));
                let (sorted, own): (Vec<_>, Vec<_>) =
                    noted.collect::<serde_json::Result<Vec<_>>>()?.into_iter().unzip();
                (format!("[{}]", sorted.join(",")), format!("[{}]", own.join(",")))
            }
            _ => {
                let scalar = serde_json::from_str::<serde_json::Value>(text)?.to_string();
                (scalar.clone(), scalar)
            }
        };
        if both.0 != both.1 {
            self.0.insert(both.0.clone(), both.1.clone());
        }
        Ok(both)
    }
}

/// An object's keys and values as they come.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> std::result::Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        input.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::Order;

    #[test]
    fn objects_come_back_as_they_were() {
        let document = br#"{"b":{"d":[{"z":1,"a":"x y"},[]],"c":null},"a":1.5}"#;
        let order = Order::of(document).unwrap_or_else(|e| panic!("{e}"));
        let restore = |text: &str| order.restore(text.to_owned());
        assert_eq!(restore(r#"{"a":"x y","z":1}"#), r#"{"z":1,"a":"x y"}"#);
        assert_eq!(
            restore(r#"{"c":null,"d":[{"a":"x y","z":1},[]]}"#),
            r#"{"d":[{"z":1,"a":"x y"},[]],"c":null}"#
        );
        assert_eq!(restore(r#"[{"a":"x y","z":1},[]]"#), r#"[{"z":1,"a":"x y"},[]]"#);
        assert_eq!(restore("1.5"), "1.5");
        assert!(Order::of(b"{").is_err());
    }
}
