//! Go's nil slices and maps on the wire: input may be `null` or absent, output is `null` or `[]`/`{}` field by
//! field, as dockerd prints it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A collection that can be empty.
pub trait Emptiness {
    /// Has it no items?
    fn empty(&self) -> bool;
}

impl<T> Emptiness for Vec<T> {
    fn empty(&self) -> bool {
        self.is_empty()
    }
}

impl<K, V> Emptiness for std::collections::BTreeMap<K, V> {
    fn empty(&self) -> bool {
        self.is_empty()
    }
}

/// Reads `null` as the default value; for fields that dockerd prints as `[]` or `{}` when empty.
///
/// # Errors
/// When the value is neither `null` nor a `T`.
pub fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(input: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(input).map(Option::unwrap_or_default)
}

/// `#[serde(with = "nil::empty")]`: `null` both ways when there is nothing inside.
pub mod empty {
    use super::{Deserialize, Deserializer, Emptiness, Serialize, Serializer};

    /// Prints `null` for an empty collection.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer, T: Serialize + Emptiness>(value: &T, out: S) -> Result<S::Ok, S::Error> {
        if value.empty() { out.serialize_none() } else { value.serialize(out) }
    }

    /// Reads `null` as an empty collection.
    ///
    /// # Errors
    /// When the value is neither `null` nor a `T`.
    pub fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
        input: D,
    ) -> Result<T, D::Error> {
        super::or_default(input)
    }
}

/// A command line: a list of words or, as old clients send it, one word.
pub mod words {
    use super::{Deserialize, Deserializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        One(String),
        Many(Vec<String>),
    }

    /// Reads `null`, a word, or a list of words.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Vec<String>>, D::Error> {
        Ok(Option::<Words>::deserialize(input)?.map(|words| match words {
            Words::One(word) => vec![word],
            Words::Many(words) => words,
        }))
    }
}

/// Is it zero? For `skip_serializing_if`, Go's `omitempty` on numbers.
#[must_use]
pub fn zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
