//! Whether a text can be an address on a channel. What is wrong is said in words that do not repeat it.
//! Must not know: whose it is, whether anybody is there.

use crate::notice::ChannelKind;

/// Longest mail address, in bytes (RFC 5321).
const EMAIL_MAX: usize = 254;
/// Longest part of it before the `@`, in bytes.
const EMAIL_LOCAL_MAX: usize = 64;
/// Longest name on Telegram, without the `@`.
const TELEGRAM_MAX: usize = 32;
/// Longest name of a recipient in a file or for a webhook, in bytes.
const NAME_MAX: usize = 254;

/// What an address must be and is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AddressError {
    /// For text messages.
    #[error("must be + and 7 to 15 digits, as in E.164")]
    Phone,
    /// For mail.
    #[error("must be a mail address")]
    Email,
    /// For Telegram.
    #[error("must be a numeric chat id or a name with @ in front")]
    Telegram,
    /// For a file and a webhook, where it only names the recipient.
    #[error("must be 1 to 254 bytes of text in one line")]
    Name,
}

/// Says what is wrong with an address for this channel. Profiles of patients are held to the same, so whatever was taken can be sent to.
pub fn validate_address(channel: ChannelKind, text: &str) -> Result<(), AddressError> {
    let (holds, error) = match channel {
        ChannelKind::Sms => (is_phone(text), AddressError::Phone),
        ChannelKind::Email => (is_email(text), AddressError::Email),
        ChannelKind::Telegram => (is_telegram(text), AddressError::Telegram),
        ChannelKind::File | ChannelKind::Webhook => (is_name(text), AddressError::Name),
    };
    if holds { Ok(()) } else { Err(error) }
}

fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// E.164: no country code begins with 0.
fn is_phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// One `@`, a local part without blanks or what could end a header, a domain of two labels or more.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_local = |character: char| {
        !character.is_whitespace() && !character.is_control() && !r#"@<>()[],;:"\"#.contains(character)
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|character| character.is_alphanumeric() || character == '-')
    };
    text.len() <= EMAIL_MAX
        && (1..=EMAIL_LOCAL_MAX).contains(&local.len())
        && local.chars().all(is_local)
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

/// A chat id (groups have negative ones), or `@` and a name.
fn is_telegram(text: &str) -> bool {
    match text.strip_prefix('@') {
        Some(name) => {
            name.len() <= TELEGRAM_MAX
                && name.starts_with(|first: char| first.is_ascii_alphabetic())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        }
        None => !text.starts_with('+') && text.parse::<i64>().is_ok_and(|id| id != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_its_form() {
        for (channel, good, bad) in [
            (ChannelKind::Sms, "+4930123456", "030 123456"),
            (ChannelKind::Sms, "+493012345678901", "+4930123456789012"),
            (ChannelKind::Email, "jörg@müller.example", "a\r\nBcc: x@b.org"),
            (ChannelKind::Email, "first.last+tag@sub.example.com", "a@b"),
            (ChannelKind::Telegram, "-1001234567890", "0"),
            (ChannelKind::Telegram, "@ada_l", "@a-b"),
            (ChannelKind::File, "anybody at all", "two\nlines"),
            (ChannelKind::Webhook, "0190", ""),
        ] {
            assert_eq!(validate_address(channel, good), Ok(()), "{good}");
            let error = validate_address(channel, bad).expect_err(bad);
            assert!(!error.to_string().contains(bad) || bad.is_empty(), "what was given is not repeated");
        }
    }

    #[test]
    fn phones_are_e164() {
        for good in ["+4930123", "+493012345678901"] {
            assert!(is_phone(good), "{good}");
        }
        for bad in ["", "+", "4930123456", "+493012", "+4930123456789012", "+49 30 123", "+0301234567", "++4930123"] {
            assert!(!is_phone(bad), "{bad}");
        }
    }

    #[test]
    fn mail_addresses_are_plausible() {
        for good in ["a@b.org", "first.last+tag@sub.example.com", "jörg@müller.example"] {
            assert!(is_email(good), "{good}");
        }
        let long = format!("{}@b.org", "a".repeat(EMAIL_LOCAL_MAX + 1));
        for bad in ["", "a", "@b.org", "a@", "a@b", "a@@b.org", "a@b@c.org", "a b@c.org", "a@b..org", "a@-b.org", &long]
        {
            assert!(!is_email(bad), "{bad}");
        }
        assert!(!is_email("a\r\nBcc:x@b.org"));
    }

    #[test]
    fn telegram_takes_ids_and_names() {
        for good in ["123456789", "-1001234567890", "@ada_l"] {
            assert!(is_telegram(good), "{good}");
        }
        for bad in ["", "@", "ada", "@1da", "@a-b", "0", "+5", "1.5", "99999999999999999999"] {
            assert!(!is_telegram(bad), "{bad}");
        }
    }
}
