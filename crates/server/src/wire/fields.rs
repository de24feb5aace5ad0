//! A document's fields in their order, of which some versions of the API have fewer.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// The fields of an object.
#[derive(Debug)]
pub(crate) struct Fields(Vec<(String, Box<RawValue>)>);

impl Fields {
    /// Those of a document.
    pub(crate) fn of(document: &impl Serialize) -> serde_json::Result<Self> {
        let text = to_raw_value(document)?;
        serde_json::from_str(text.get())
    }

    /// Without these.
    pub(crate) fn remove(&mut self, names: &[&str]) {
        self.0.retain(|(name, _)| !names.contains(&name.as_str()));
    }

    /// The same for the fields of the object in this field, when it is one.
    pub(crate) fn within(&mut self, name: &str, change: impl FnOnce(&mut Self)) -> serde_json::Result<()> {
        let Some((_, value)) = self.0.iter_mut().find(|(known, _)| known == name) else { return Ok(()) };
        if value.get().starts_with('{') {
            let mut inner: Self = serde_json::from_str(value.get())?;
            change(&mut inner);
            *value = to_raw_value(&inner)?;
        }
        Ok(())
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value).map_err(S::Error::custom)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        input.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_and_what_is_not_named() {
        let mut fields: Fields =
            serde_json::from_str(r#"{"z":1,"b":{"y":"","x":[],"k":[1]},"a":null,"c":[ ],"d":{}}"#).unwrap();
        fields.remove(&["z"]);
        fields.within("b", |inner| inner.remove(&["y"])).unwrap();
        fields.within("c", |inner| inner.remove(&["k"])).unwrap();
        fields.within("none", |inner| inner.remove(&["k"])).unwrap();
        assert_eq!(
            serde_json::to_string(&fields).unwrap(),
            r#"{"b":{"x":[],"k":[1]},"a":null,"c":[ ],"d":{}}"#
        );
    }
}
