//! Every field of every document is found by asking the types themselves, and each is given everything that it is not.

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Error;
use serde_json::{Value, json};

use super::*;
use crate::runtime::{LinuxResources, Process, Spec};

/// One field: its path, and a value that it takes.
type Field = (Vec<String>, Value);

/// A source of values that gives every type what it asks for, and notes where it was asked. Lists and maps have one entry.
struct Asker<'a> {
    path: Vec<String>,
    fields: &'a mut Vec<Field>,
}

impl Asker<'_> {
    fn below(&mut self, key: &str) -> Asker<'_> {
        let path = self.path.iter().cloned().chain([key.to_owned()]).collect();
        Asker { path, fields: self.fields }
    }

    fn note(&mut self, value: Value) {
        self.fields.push((self.path.clone(), value));
    }
}

macro_rules! scalars {
    ($($method:ident $visit:ident $value:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
            self.note(json!($value));
            visitor.$visit($value)
        })*
    };
}

impl<'de> Deserializer<'de> for Asker<'_> {
    type Error = Error;

    scalars! {
        deserialize_bool visit_bool true;
        deserialize_u16 visit_u16 1_u16;
        deserialize_u32 visit_u32 1_u32;
        deserialize_u64 visit_u64 1_u64;
        deserialize_i32 visit_i32 1_i32;
        deserialize_i64 visit_i64 1_i64;
        deserialize_string visit_str "text";
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom(format!("{:?} is of a type that this test does not know", self.path)))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        self.note(json!([]));
        visitor.visit_seq(Entries { asker: self, keys: vec!["[0]"] })
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        self.note(json!({}));
        visitor.visit_map(Entries { asker: self, keys: vec!["key"] })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.note(json!({}));
        visitor.visit_map(Entries { asker: self, keys: fields.iter().rev().copied().collect() })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.note(json!(variants[0]));
        visitor.visit_enum(StrDeserializer::new(variants[0]))
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u128 f32 f64 char str bytes byte_buf unit unit_struct newtype_struct tuple tuple_struct
        identifier ignored_any
    }
}

/// The fields of a struct, or the one entry of a list or map.
struct Entries<'a> {
    asker: Asker<'a>,
    keys: Vec<&'static str>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let key = self.keys.last().copied();
        key.map(|key| seed.deserialize(StrDeserializer::new(key))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let key = self.keys.pop().unwrap();
        seed.deserialize(self.asker.below(key))
    }
}

impl<'de> SeqAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.keys.pop().map(|key| seed.deserialize(self.asker.below(key))).transpose()
    }
}

/// Every field of a document's type, depth first.
fn fields<T: DeserializeOwned>() -> Vec<Field> {
    let mut fields = Vec::new();
    let asker = Asker { path: Vec::new(), fields: &mut fields };
    T::deserialize(asker).unwrap();
    fields
}

/// As the errors write it.
fn written(path: &[String]) -> String {
    path.join(".").replace(".[", "[")
}

/// A document with nothing but this value at this path, on several lines.
fn document(path: &[String], value: &str) -> String {
    path.iter().rev().fold(value.to_owned(), |inner, key| match key.as_str() {
        "[0]" => format!("[\n{inner}\n]"),
        "key" => format!("{{\"key\":\n{inner}}}"),
        key => format!("{{ \"unknown\": [{{}}],\n\"{key}\":\n {inner} }}"),
    })
}

/// Values of every JSON type, and numbers that no field takes.
const VALUES: [&str; 9] = [
    "true",
    "\"text\"",
    "[]",
    "{}",
    "1.5",
    "-9223372036854775809",
    "18446744073709551616",
    "[[]]",
    "{\"a\": 1}",
];

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

#[track_caller]
fn refused<T: DeserializeOwned>(path: &[String], text: &str) {
    let Err(error) = read::<T>(document(path, text).as_bytes()) else {
        panic!("{} takes {text}", written(path));
    };
    let said = error.to_string();
    assert!(
        said.strip_prefix(&written(path)).is_some_and(|rest| rest.starts_with([':', '[', '.'])),
        "{said} does not name {}",
        written(path)
    );
    assert!(!said.contains('\n') && said.len() < 1000, "{said}");
}

fn walk<T: DeserializeOwned>(at_least: usize) {
    let fields = fields::<T>();
    assert!(fields.len() >= at_least, "{} fields", fields.len());
    for (path, good) in fields.iter().skip(1) {
        assert!(read::<T>(document(path, &good.to_string()).as_bytes()).is_ok(), "{}", written(path));
        let entry = path.last().is_some_and(|key| key == "[0]" || key == "key");
        let null = document(path, "null");
        assert!(entry || read::<T>(null.as_bytes()).is_ok(), "{} takes no null", written(path));
        for text in VALUES {
            // Texts of an enumeration are few; a list may hold anything of its own kind.
            let value: Value = serde_json::from_str(text).unwrap();
            let other = kind(&value) != kind(good) || (good.is_number() && value.as_f64() != Some(1.0));
            if other || (good.is_string() && *good != json!("text") && value.is_string()) {
                refused::<T>(path, text);
            }
        }
        if good.is_string() {
            let nul = document(path, "\"a\\u0000b\"");
            let free = FREE.iter().any(|free| written(path).starts_with(free));
            assert_eq!(read::<T>(nul.as_bytes()).is_ok(), free, "a NUL in {}", written(path));
        }
        if !entry {
            refused::<T>(path, &format!("{good}, {:?}: {good}", path.last().unwrap()));
        }
    }
}

#[test]
fn every_field_of_every_type_is_named_when_it_is_wrong() {
    walk::<Spec>(200);
    walk::<Process>(40);
    walk::<LinuxResources>(50);
}

#[track_caller]
fn check(text: &[u8], wanted: &str) {
    let said = read::<Spec>(text).unwrap_err().to_string();
    assert!(said.contains(wanted), "{said:?} does not say {wanted:?}");
}

#[test]
fn what_is_no_document_is_told() {
    check(b"", "it is empty");
    check(b" \n\t ", "it is empty");
    check(b"\xef\xbb\xbf{}", "byte order mark");
    check(b"\xff\xfe{\0}\0", "expected value at line 1 column 1");
    check(b"<spec/>", "expected value at line 1 column 1");
    check(b"[]", "invalid type: sequence, expected an object");
    check(b"7", "invalid type: integer `7`");
    check(b"{} {}", "trailing characters");
    check(b"{\"process\": {\"cwd\": \"/\"", "process.cwd: EOF while parsing an object");
    check(b"{\"process\": {\"cwd\": \"/", "process.cwd: EOF while parsing a string");
    check(b"{\"process\": {\"cwd\": \"\xff\"}}", "process.cwd: invalid unicode");
    check(b"{\"process\": {\"cwd\": \"a\0b\"}}", "process.cwd: control character");
    check(b"{\"process\": {\"cwd\": \"\\ud800\"}}", "process.cwd: ");
    check(b"{'process': 1}", "key must be a string");
    check(b"{\"mounts\": [[]]}", "mounts[0]: invalid type: sequence, expected an object");
    check(
        b"{\"linux\": {\"maskedPaths\": [ {}]}}",
        "linux.maskedPaths[0]: invalid type: map, expected a string",
    );
    check(&"[".repeat(1 << 20).into_bytes(), "invalid type");
    check(format!("{{\"root\": {}", "[".repeat(1 << 20)).as_bytes(), "root");
    check(
        format!("{{\"hostname\": {}}}", "[".repeat(1 << 20)).as_bytes(),
        "hostname: invalid type: sequence, expected a string",
    );
    check(format!("{{\"hooks\": {:?}}}", "long ".repeat(1 << 18)).as_bytes(), "expected an object at line 1");
    check(
        b"{\"mounts\": [{}, {\"options\": [\"ro\", \"a]\\\"b\", 7]}]}",
        "mounts[1].options[2]: invalid type",
    );
}

#[test]
fn what_is_unknown_is_skipped_however_deep() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let text =
        format!("{{\"x\": {deep}, \"hostname\": \"h\", \"y\": {{\"hostname\": 1}}, \"x\": \"\\\\u0000\"}}");
    assert_eq!(read::<Spec>(text.as_bytes()).unwrap().hostname, "h");
}
