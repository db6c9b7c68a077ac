//! The settings of alerts: which operators are told of messages that no channel takes, in which order.
//! Must not know: what an alert says, how it leaves.

use engine::ledger::people::Channel;
use messages::{Address, validate_address};

use super::values::Reader;
use crate::alarms::AlertTarget;
use crate::couriers::kind_of;

const KEY: &str = "alert_to";
/// Most addresses: each may keep an alert for as long as a provider may take.
const TARGETS_MAX: usize = 8;
/// How a reader of the file, or whoever the webhook calls, is named who is not named.
const OPERATOR: &str = "operator";

/// Where alerts go, in the order in which it is tried. What was given is not repeated: it is how people are reached.
pub(super) fn targets(reader: &mut Reader<'_>, configured: &[Channel]) -> Vec<AlertTarget> {
    let Some(text) = reader.optional_text(KEY) else { return vec![target(Channel::File, OPERATOR)] };
    if text == "none" {
        return Vec::new();
    }
    let mut targets = Vec::new();
    for (at, item) in text.split(',').enumerate() {
        match read(item.trim(), configured) {
            Ok(known) if targets.contains(&known) => reader.mistake(KEY, &nth(at, "is named before")),
            Ok(target) => targets.push(target),
            Err(reason) => reader.mistake(KEY, &nth(at, &reason)),
        }
    }
    if targets.len() > TARGETS_MAX {
        reader.mistake(KEY, &format!("must not have more than {TARGETS_MAX} addresses"));
    }
    targets
}

/// `email:ops@example.org`; `file` and `webhook` need no address.
fn read(item: &str, configured: &[Channel]) -> Result<AlertTarget, String> {
    let (word, address) = item.split_once(':').map_or((item, None), |(word, address)| (word, Some(address.trim())));
    let channel = Channel::ALL.into_iter().find(|channel| channel.word() == word.trim());
    let channel = channel.ok_or("must be none, or channels with addresses such as email:ops@example.org,file")?;
    let names_only = matches!(channel, Channel::File | Channel::Webhook);
    let address = match address {
        Some(address) => address,
        None if names_only => OPERATOR,
        None => return Err(format!("must have an address, as in {}:ADDRESS", channel.word())),
    };
    validate_address(kind_of(channel), address).map_err(|error| format!("the address {error}"))?;
    if !configured.contains(&channel) {
        return Err(format!("{} is named, and its settings are not given", channel.word()));
    }
    Ok(target(channel, address))
}

fn target(channel: Channel, address: &str) -> AlertTarget {
    AlertTarget { channel, to: Address::new(address) }
}

fn nth(at: usize, reason: &str) -> String {
    format!("address {}: {reason}", at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_channel_with_an_address_where_it_needs_one() {
        let all = Channel::ALL;
        for (item, channel, to) in [
            ("file", Channel::File, OPERATOR),
            ("file:night shift", Channel::File, "night shift"),
            ("webhook", Channel::Webhook, OPERATOR),
            ("email: ops@example.org", Channel::Email, "ops@example.org"),
            ("sms:+4930123456", Channel::Sms, "+4930123456"),
            ("telegram:-100123", Channel::Telegram, "-100123"),
        ] {
            assert_eq!(read(item, &all), Ok(target(channel, to)), "{item}");
        }
        for (item, told) in [
            ("", "must be none, or channels"),
            ("pigeon:loft", "must be none, or channels"),
            ("email", "must have an address, as in email:ADDRESS"),
            ("email:ops", "the address must be a mail address"),
            ("sms:030 123", "the address must be + and 7 to 15 digits"),
            ("file:", "the address must be 1 to 254 bytes"),
        ] {
            let error = read(item, &all).expect_err(item);
            assert!(error.starts_with(told), "{item}: {error}");
        }
        let error = read("sms:+4930123456", &[Channel::File]).expect_err("there is no gateway");
        assert_eq!(error, "sms is named, and its settings are not given");
    }
}
