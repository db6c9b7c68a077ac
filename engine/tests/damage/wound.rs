//! One damage to the bytes of a file: flipped, overwritten, zeroed, cut.
//! Must not know: what the bytes mean.

use std::ops::Range;
use std::path::Path;

use crate::dice::Dice;

/// What is done to a file, and where.
#[derive(Clone, Debug)]
pub(crate) enum Wound {
    /// One bit is the other.
    Bit { at: usize, bit: u8 },
    /// All bits of one byte are the other.
    Byte { at: usize },
    /// A range is zero: a sector that was never written.
    Zeroed { at: usize, length: usize },
    /// A range has somebody else's bytes.
    Overwritten { at: usize, length: usize, seed: u64 },
    /// The file ends here.
    Cut { at: usize },
}

impl Wound {
    /// A wound of a file of `length` bytes that begins in one of `places`. Flips are half of all: they are the hardest to
    /// see.
    pub(crate) fn draw(dice: &mut Dice, places: &[Range<usize>], length: usize) -> Self {
        let place = &places[dice.below(places.len())];
        let at = place.start + dice.below(place.len());
        let range = |dice: &mut Dice| (16 << dice.below(9)).min(length - at);
        match dice.below(10) {
            0..=2 => Self::Bit { at, bit: dice.below(8) as u8 },
            3 | 4 => Self::Byte { at },
            5 | 6 => Self::Zeroed { at, length: range(dice) },
            7 | 8 => Self::Overwritten { at, length: range(dice), seed: dice.next() },
            _ => Self::Cut { at },
        }
    }

    /// Where its last byte ends.
    pub(crate) fn end(&self) -> usize {
        match *self {
            Self::Bit { at, .. } | Self::Byte { at } => at + 1,
            Self::Zeroed { at, length } | Self::Overwritten { at, length, .. } => at + length,
            Self::Cut { .. } => usize::MAX,
        }
    }

    /// Does it to the file at `path`; whether any byte has changed.
    pub(crate) fn inflict(&self, path: &Path) -> bool {
        let before = std::fs::read(path).expect("the file");
        let mut bytes = before.clone();
        match *self {
            Self::Bit { at, bit } => bytes[at] ^= 1 << bit,
            Self::Byte { at } => bytes[at] ^= 0xff,
            Self::Zeroed { at, length } => bytes[at..at + length].fill(0),
            Self::Overwritten { at, length, seed } => {
                let mut dice = Dice::new(seed);
                bytes[at..at + length].fill_with(|| dice.next() as u8);
            }
            Self::Cut { at } => bytes.truncate(at),
        }
        std::fs::write(path, &bytes).expect("it is written");
        bytes != before
    }
}
