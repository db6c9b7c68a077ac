//! Texts that must not show up in logs: secrets of providers, and addresses of people.
//! Must not know: what they open or reach.

use std::fmt;

/// A password, token or key. Shown as dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Where somebody is reached. Personal: shown as dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

macro_rules! hidden {
    ($name:ident) => {
        impl $name {
            /// Keeps `text` out of sight.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text itself, for whoever needs it on the wire.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

hidden!(Secret);
hidden!(Address);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_not_shown() {
        assert_eq!(format!("{:?} {:#?}", Secret::new("swordfish"), Address::new("+4930")), "Secret(..) Address(..)");
    }
}
