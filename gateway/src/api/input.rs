//! The strict words of request bodies: objects that are objects, ids, dates and instants in one spelling each.
//! Must not know: which call a body belongs to, where it came from.

use std::fmt;
use std::marker::PhantomData;

use booking_core::{Date, UtcMillis};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use uuid::Uuid;

/// A JSON object as `T`. Derived structs alone would also take an array of their fields.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// A UUID in its hyphenated form, as ids are answered.
pub(crate) fn parse_uuid(text: &str) -> Option<Uuid> {
    if text.len() == 36 { Uuid::try_parse(text).ok() } else { None }
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident($inner:ty), $expecting:literal, $parse:path) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) struct $name(pub(crate) $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct TextVisitor;

                impl Visitor<'_> for TextVisitor {
                    type Value = $name;

                    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                        formatter.write_str($expecting)
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                        $parse(text).map($name).ok_or_else(|| E::custom(concat!("must be ", $expecting)))
                    }
                }

                deserializer.deserialize_str(TextVisitor)
            }
        }
    };
}

text_type!(
    /// A UUID.
    Id(Uuid),
    "a UUID such as 0190a3c4-0000-7000-8000-000000000000",
    parse_uuid
);
text_type!(
    /// A civil date.
    DateText(Date),
    "a date such as 2026-01-31",
    Date::parse
);
text_type!(
    /// An instant.
    Moment(UtcMillis),
    "an RFC 3339 instant such as 2026-01-31T07:00:00Z",
    super::instant::parse
);

/// For fields of a patch: present with a value, present as null, or absent (by `#[serde(default)]`).
pub(crate) fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
