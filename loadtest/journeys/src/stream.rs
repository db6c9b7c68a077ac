//! Events of a day's stream, read from its bytes and checked. Pure.
//! Must not know: connections, how long somebody watches.

use crate::model::{Day, DayId, day};

/// More than the largest event (500 slots) takes, so that an event that never ends is noticed.
const EVENT_BYTES_MAX: usize = 256 * 1024;

/// Reads one stream.
pub(crate) struct EventReader {
    day: DayId,
    rest: Vec<u8>,
    last_id: u128,
}

impl EventReader {
    /// Of the stream of `day`.
    pub(crate) const fn new(day: DayId) -> Self {
        Self { day, rest: Vec::new(), last_id: 0 }
    }

    /// Takes bytes in as they come; the days of the events that they complete, or what is wrong with one.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Day>, String> {
        self.rest.extend_from_slice(bytes);
        let mut days = Vec::new();
        while let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = self.rest.drain(..end + 2).collect();
            let event = std::str::from_utf8(&event).map_err(|_| "an event that is not UTF-8")?;
            days.extend(self.read(event)?);
        }
        if self.rest.len() > EVENT_BYTES_MAX {
            return Err("an event that never ends".to_owned());
        }
        Ok(days)
    }

    /// One event; `None` for a comment.
    fn read(&mut self, event: &str) -> Result<Option<Day>, String> {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start);
        let Some(data) = field("data:") else { return Ok(None) };
        if field("event:") != Some("day") {
            return Err("an event that is not `day`".to_owned());
        }
        let id = field("id:").and_then(|id| id.parse().ok()).ok_or("an event without a numeric id")?;
        if id < self.last_id {
            return Err(format!("id {id} after {}", self.last_id));
        }
        self.last_id = id;
        let told = day(&serde_json::from_str(data).map_err(|error| error.to_string())?)?;
        if told.id != self.day {
            return Err("an event of another day".to_owned());
        }
        Ok(Some(told))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn event(id: u64, date: &str) -> String {
        let body = json!({"doctor_id": Uuid::nil(), "date": date, "state": "sold_out", "release_at": null,
            "server_time": "2030-01-01T00:00:00.000Z", "slots": []});
        format!("id: {id}\nevent: day\ndata: {body}\n\n")
    }

    fn reader() -> EventReader {
        EventReader::new(DayId { doctor: Uuid::nil(), date: jiff::civil::date(2030, 1, 2) })
    }

    #[test]
    fn events_come_whole_however_the_bytes_are_cut() {
        let text = format!("{}: heartbeat\n\n{}", event(1, "2030-01-02"), event(2, "2030-01-02"));
        for part in [1, 7, 50, text.len()] {
            let mut reader = reader();
            let read: usize = text.as_bytes().chunks(part).map(|bytes| reader.push(bytes).unwrap().len()).sum();
            assert_eq!(read, 2, "in parts of {part}");
        }
    }

    #[test]
    fn what_a_stream_must_not_say_is_told() {
        let falls = format!("{}{}", event(2, "2030-01-02"), event(1, "2030-01-02"));
        assert!(reader().push(falls.as_bytes()).unwrap_err().contains("id 1 after 2"));
        assert!(reader().push(event(1, "2030-01-03").as_bytes()).unwrap_err().contains("another day"));
        assert!(reader().push(b"id: x\nevent: day\ndata: {}\n\n").unwrap_err().contains("numeric"));
        assert!(reader().push(b"event: night\ndata: {}\n\n").is_err());
        assert!(reader().push(&vec![b'x'; EVENT_BYTES_MAX + 1]).unwrap_err().contains("never ends"));
    }
}
