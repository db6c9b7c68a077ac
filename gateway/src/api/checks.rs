//! What is wrong with a body that parsed: collected with pointers, told all at once.
//! Must not know: which call a body belongs to.

use super::problem::{FieldError, Problem};

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Checks(Vec<FieldError>);

impl Checks {
    /// One mistake.
    pub(crate) fn add(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.0.push(FieldError { pointer: pointer.into(), message: message.into() });
    }

    /// A mistake unless `holds`.
    pub(crate) fn require(&mut self, holds: bool, pointer: &str, message: &str) {
        if !holds {
            self.add(pointer, message);
        }
    }

    /// One line of text: 1 to `length_max` characters, not only spaces, no control characters.
    pub(crate) fn line(&mut self, pointer: &str, text: &str, length_max: usize) {
        let length = text.chars().count();
        if length > length_max || text.trim().is_empty() {
            self.add(pointer, format!("must have 1 to {length_max} characters that are not all spaces"));
        } else if text.chars().any(char::is_control) {
            self.add(pointer, "must not have control characters");
        }
    }

    /// Free text: at most `length_max` characters, no control characters but tabs and line breaks.
    pub(crate) fn text(&mut self, pointer: &str, text: &str, length_max: usize) {
        if text.chars().count() > length_max {
            self.add(pointer, format!("must have at most {length_max} characters"));
        } else if text.chars().any(|character| character.is_control() && !matches!(character, '\t' | '\n' | '\r')) {
            self.add(pointer, "must not have control characters but tabs and line breaks");
        }
    }

    /// `Ok` if nothing is wrong.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::fields(self.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(check: impl Fn(&mut Checks)) -> usize {
        let mut checks = Checks::default();
        check(&mut checks);
        checks.0.len()
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert_eq!(count(|checks| checks.line("/x", &"ä".repeat(200), 200)), 0);
        assert_eq!(count(|checks| checks.line("/x", &"ä".repeat(201), 200)), 1);
        assert_eq!(count(|checks| checks.text("/x", "", 3)), 0);
    }

    #[test]
    fn control_characters_are_refused() {
        for text in ["a\0", "a\nb", "\u{7f}", "", " \u{a0} "] {
            assert_eq!(count(|checks| checks.line("/x", text, 10)), 1, "{text:?}");
        }
        assert_eq!(count(|checks| checks.text("/x", "a\r\n\tb", 10)), 0);
        assert_eq!(count(|checks| checks.text("/x", "a\u{1b}b", 10)), 1);
    }
}
