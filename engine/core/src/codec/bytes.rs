//! How numbers, texts and ids are written as bytes, and read again from bytes that nobody vouches for.
//! Must not know: what is written.

use crate::appointment::PersonalText;
use crate::codec::DecodeError;
use crate::time::UtcMillis;

/// Bytes in the making.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Seven bits a byte, lowest first.
    pub(super) fn number(&mut self, value: u64) {
        let mut rest = value;
        while rest >= 0x80 {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
    }

    /// Small either way of zero is short (zigzag).
    pub(super) fn signed(&mut self, value: i64) {
        self.number(((value << 1) ^ (value >> 63)) as u64);
    }

    /// An instant as its distance from `base`.
    pub(super) fn instant(&mut self, value: UtcMillis, base: UtcMillis) {
        self.signed(value.0.wrapping_sub(base.0));
    }

    pub(super) fn fixed(&mut self, value: &[u8; 16]) {
        self.bytes.extend_from_slice(value);
    }

    pub(super) fn block(&mut self, value: &[u8]) {
        self.number(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    pub(super) fn optional_text(&mut self, value: Option<&str>) {
        self.number(value.map_or(0, |text| text.len() as u64 + 1));
        self.bytes.extend_from_slice(value.unwrap_or_default().as_bytes());
    }

    pub(super) fn personal_text(&mut self, value: &PersonalText) {
        self.number(u64::from(value.key));
        self.block(&value.bytes);
    }

    /// A key: most are UUIDs and take seventeen bytes.
    pub(super) fn key(&mut self, value: &str) {
        match canonical_uuid(value) {
            Some(uuid) => {
                self.optional_text(None);
                self.fixed(uuid.as_bytes());
            }
            None => self.optional_text(Some(value)),
        }
    }
}

/// The UUID that `text` is the usual spelling of: its own text form is `text` again.
fn canonical_uuid(text: &str) -> Option<uuid::Uuid> {
    let uuid = uuid::Uuid::try_parse(text).ok()?;
    let mut buffer = uuid::Uuid::encode_buffer();
    (uuid.hyphenated().encode_lower(&mut buffer) == text).then_some(uuid)
}

/// Bytes being read. Every error names the offset and what was to be read there.
pub(super) struct Reader<'bytes> {
    bytes: &'bytes [u8],
    offset: usize,
}

impl<'bytes> Reader<'bytes> {
    pub(super) fn new(bytes: &'bytes [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(super) fn invalid(&self, what: &'static str) -> DecodeError {
        DecodeError::Invalid { offset: self.offset, what }
    }

    pub(super) fn take(&mut self, count: usize, what: &'static str) -> Result<&'bytes [u8], DecodeError> {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        let Some((taken, _)) = rest.split_at_checked(count) else {
            return Err(DecodeError::Truncated { offset: self.offset, what });
        };
        self.offset += count;
        Ok(taken)
    }

    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        Ok(self.take(1, what)?[0])
    }

    pub(super) fn number(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            // More bits than there are, or a byte that says nothing: nobody writes either.
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                return Err(self.invalid(what));
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.invalid(what))
    }

    pub(super) fn number_u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        let value = self.number(what)?;
        u32::try_from(value).map_err(|_| self.invalid(what))
    }

    pub(super) fn signed(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        let value = self.number(what)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub(super) fn instant(&mut self, base: UtcMillis, what: &'static str) -> Result<UtcMillis, DecodeError> {
        Ok(UtcMillis(base.0.wrapping_add(self.signed(what)?)))
    }

    pub(super) fn fixed(&mut self, what: &'static str) -> Result<[u8; 16], DecodeError> {
        let taken = self.take(16, what)?;
        taken.try_into().map_err(|_| self.invalid(what))
    }

    /// A number of things that take at least `least` bytes each: never more than the bytes left can hold, so that
    /// room for them may be set aside.
    pub(super) fn count(&mut self, least: usize, what: &'static str) -> Result<usize, DecodeError> {
        let value = self.number(what)?;
        let room = (self.bytes.len() - self.offset) / least;
        usize::try_from(value).ok().filter(|count| *count <= room).ok_or_else(|| self.invalid(what))
    }

    pub(super) fn block(&mut self, what: &'static str) -> Result<&'bytes [u8], DecodeError> {
        let count = self.count(1, what)?;
        self.take(count, what)
    }

    pub(super) fn text(&mut self, what: &'static str) -> Result<Box<str>, DecodeError> {
        let block = self.block(what)?;
        self.utf8(block, what)
    }

    fn utf8(&self, block: &[u8], what: &'static str) -> Result<Box<str>, DecodeError> {
        std::str::from_utf8(block).map(Box::from).map_err(|_| self.invalid(what))
    }

    pub(super) fn personal_text(&mut self, what: &'static str) -> Result<PersonalText, DecodeError> {
        Ok(PersonalText { key: self.number_u32(what)?, bytes: self.block(what)?.into() })
    }

    pub(super) fn key(&mut self, what: &'static str) -> Result<Box<str>, DecodeError> {
        match self.optional_text(what)? {
            Some(text) => Ok(text),
            None => Ok(uuid::Uuid::from_bytes(self.fixed(what)?).hyphenated().to_string().into()),
        }
    }

    /// A position in a list.
    pub(super) fn position(&mut self, what: &'static str) -> Result<usize, DecodeError> {
        let value = self.number(what)?;
        usize::try_from(value).map_err(|_| self.invalid(what))
    }

    /// The inverse of [`Writer::optional_text`].
    pub(super) fn optional_text(&mut self, what: &'static str) -> Result<Option<Box<str>>, DecodeError> {
        let Some(length) = self.position(what)?.checked_sub(1) else { return Ok(None) };
        let block = self.take(length, what)?;
        self.utf8(block, what).map(Some)
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        match self.bytes.len() - self.offset {
            0 => Ok(()),
            count => Err(DecodeError::TrailingBytes { count }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_at_the_edges_of_their_lengths() {
        for value in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut writer = Writer::default();
            writer.number(value);
            writer.signed(value as i64);
            let mut reader = Reader::new(&writer.bytes);
            assert_eq!(reader.number("number"), Ok(value));
            assert_eq!(reader.signed("signed"), Ok(value as i64));
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn a_number_of_more_than_sixty_four_bits_is_refused() {
        let mut bytes = vec![0xff; 9];
        bytes.push(0x02);
        assert!(matches!(Reader::new(&bytes).number("number"), Err(DecodeError::Invalid { .. })));
        assert!(matches!(Reader::new(&[0x80; 11]).number("number"), Err(DecodeError::Invalid { .. })));
        assert!(matches!(Reader::new(&[0x85, 0x80, 0x00]).number("number"), Err(DecodeError::Invalid { .. })));
    }

    #[test]
    fn keys_come_back_letter_for_letter() {
        let uuid = "0190b8a2-7c31-7f10-9a55-0123456789ab";
        let upper = uuid.to_uppercase();
        let simple = uuid.replace('-', "");
        for key in [uuid, upper.as_str(), simple.as_str(), "", "k", "urn:uuid:0190b8a2-7c31-7f10-9a55-0123456789ab"] {
            let mut writer = Writer::default();
            writer.key(key);
            assert_eq!(writer.bytes.len(), if key == uuid { 17 } else { key.len() + 1 });
            assert_eq!(Reader::new(&writer.bytes).key("key").as_deref(), Ok(key));
        }
    }

    #[test]
    fn a_count_that_the_bytes_cannot_hold_is_refused() {
        assert_eq!(Reader::new(&[2, 0, 0, 0, 0]).count(2, "count"), Ok(2));
        assert!(Reader::new(&[3, 0, 0, 0, 0]).count(2, "count").is_err());
    }
}
