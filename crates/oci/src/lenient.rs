//! How fields are read and written: `null` reads as absent, what is absent is not written.

use serde::{Deserialize, Deserializer};

/// Reads `null` as the type's default (Go writes empty lists and maps as `null`).
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Whether the value can be left out.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
