//! What an operator is told of messages that no channel takes: figures, and where to look. Nobody's data.
//! Must not know: how it leaves, when it is worth telling, who reads it.
//!
//! In English only, as logs and metrics are.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::instant::instant;
use crate::notice::ChannelKind;

/// News of messages that no channel takes. Shown without harm: there are no names and no addresses in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alert {
    /// The same on every channel on which this alert is tried.
    pub message_id: Uuid,
    /// How many messages have become dead letters since the last alert; at least one.
    pub dead_letters: u64,
    /// When the first of them did, in milliseconds since 1970.
    pub since_ms: i64,
    /// The channels that gave up last, with how many messages each.
    pub channels: Vec<(ChannelKind, u64)>,
    /// Where they are listed, such as the call of an interface.
    pub where_to_look: String,
}

impl Alert {
    /// The word for it where a message has the word of its [`Kind`](crate::Kind).
    pub(crate) const WORD: &'static str = "alert";

    /// One line.
    pub(crate) fn subject(&self) -> String {
        format!("hotslot: {}", self.what())
    }

    /// Some lines of plain text.
    pub(crate) fn text(&self) -> String {
        let (what, since, channels) = (self.what(), instant(self.since_ms), self.given_up_by());
        format!(
            "{what}: no channel takes them, and whom they were for is not told.\n\n\
             Since: {since}\nGiven up by: {channels}\nListed at: {}\n\n\
             Correct the address or the channel, then re-drive or discard them.",
            self.where_to_look
        )
    }

    /// The same in the length of one text message, or two if all channels have given up.
    pub(crate) fn short(&self) -> String {
        let since = instant(self.since_ms);
        format!("{} since {since} ({}). {}", self.subject(), self.given_up_by(), self.where_to_look)
    }

    /// For programs.
    pub(crate) fn figures(&self) -> Value {
        let channels: Map<String, Value> =
            self.channels.iter().map(|(channel, count)| (channel.word().to_owned(), json!(count))).collect();
        json!({
            "dead_letters": self.dead_letters,
            "since": instant(self.since_ms),
            "channels": channels,
            "where": self.where_to_look,
        })
    }

    fn what(&self) -> String {
        match self.dead_letters {
            1 => "1 message is a dead letter".to_owned(),
            more => format!("{more} messages are dead letters"),
        }
    }

    fn given_up_by(&self) -> String {
        let each = self.channels.iter().map(|(channel, count)| format!("{} {count}", channel.word()));
        each.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(dead_letters: u64, channels: Vec<(ChannelKind, u64)>) -> Alert {
        let where_to_look = "GET /v1/dead-letters".to_owned();
        Alert { message_id: Uuid::nil(), dead_letters, since_ms: 1_798_761_600_123, channels, where_to_look }
    }

    #[test]
    fn it_says_how_many_since_when_by_which_channel_and_where() {
        let three = alert(3, vec![(ChannelKind::Email, 1), (ChannelKind::Webhook, 2)]);
        assert_eq!(three.subject(), "hotslot: 3 messages are dead letters");
        let lines =
            ["Since: 2027-01-01T00:00:00.123Z", "Given up by: email 1, webhook 2", "Listed at: GET /v1/dead-letters"];
        assert!(lines.iter().all(|line| three.text().lines().any(|it| it == *line)), "{}", three.text());
        assert_eq!(alert(1, vec![]).subject(), "hotslot: 1 message is a dead letter");
        assert_eq!(three.figures()["channels"], json!({"email": 1, "webhook": 2}));
    }

    #[test]
    fn the_short_form_is_two_text_messages_at_most() {
        let all = alert(u64::from(u32::MAX), ChannelKind::ALL.map(|channel| (channel, u64::from(u32::MAX))).to_vec());
        assert!(all.short().len() <= 306 && all.short().is_ascii(), "{}", all.short());
        let usual = alert(12, vec![(ChannelKind::Sms, 12)]);
        assert!(usual.short().len() <= 160, "{}", usual.short());
    }
}
