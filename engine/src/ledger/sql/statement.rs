//! One statement with its values.
//! Must not know: tables, which database runs it.

use booking_core::DayKey;
use uuid::Uuid;

use crate::ownership::ShardSet;

/// A value, or none of its kind.
#[derive(Clone, Debug)]
pub(in crate::ledger) enum Value {
    /// Sixteen bytes: a UUID, or half of a hash.
    Id(Option<Uuid>),
    /// A number.
    Integer(Option<i64>),
    /// A text.
    Text(Option<String>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
    /// A measure.
    Real(f64),
    /// A list of shards, where there is such a column.
    Shards(Box<ShardSet>),
}

/// A text and what is bound to `$1`, `$2` and so on.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct Statement {
    pub(in crate::ledger) text: &'static str,
    pub(in crate::ledger) values: Vec<Value>,
}

impl Statement {
    /// Without values.
    pub(in crate::ledger) fn new(text: &'static str) -> Self {
        Self { text, values: Vec::new() }
    }

    /// Binds the next placeholder.
    #[must_use]
    pub(in crate::ledger) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Binds the next two: a doctor and a date.
    #[must_use]
    pub(in crate::ledger) fn bind_day(self, day: DayKey) -> Self {
        self.bind(day.doctor.0).bind(day.date.days())
    }
}

/// Databases' integers are signed: sequences and positions stay below 2^63.
pub(in crate::ledger) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// From what stands for a value, and from an optional one.
macro_rules! into_value {
    ($($from:ty => $kind:ident),* $(,)?) => {
        $(
            impl From<$from> for Value {
                fn from(value: $from) -> Self {
                    Self::$kind(Some(value.into()))
                }
            }

            impl From<Option<$from>> for Value {
                fn from(value: Option<$from>) -> Self {
                    Self::$kind(value.map(Into::into))
                }
            }
        )*
    };
}

into_value!(
    Uuid => Id,
    i64 => Integer,
    i32 => Integer,
    u32 => Integer,
    u16 => Integer,
    String => Text,
    &str => Text,
    Vec<u8> => Bytes,
);

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(Some(signed(number)))
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<ShardSet> for Value {
    fn from(shards: ShardSet) -> Self {
        Self::Shards(Box::new(shards))
    }
}
