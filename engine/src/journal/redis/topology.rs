//! Which server has which shard: one primary, or the masters of a cluster.
//! Must not know: what is written there.

use std::sync::Arc;

use booking_core::SHARD_COUNT;
use redis::{Cmd, Value};

use super::wire::slot_of;

/// Host and port.
pub(super) type Address = (Arc<str>, u16);

/// Where each shard is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Topology {
    /// The servers that take writes.
    pub(super) masters: Vec<Address>,
    /// Every server that was named, for the next look.
    pub(super) known: Vec<Address>,
    /// By shard: an index of `masters`.
    places: Vec<u16>,
}

impl Topology {
    /// Everything on one server.
    pub(super) fn single(master: Address) -> Self {
        Self { masters: vec![master], known: Vec::new(), places: vec![0; usize::from(SHARD_COUNT)] }
    }

    /// The master of `shard`, if one is known.
    pub(super) fn master_of(&self, shard: u16) -> Option<&Address> {
        self.masters.get(usize::from(*self.places.get(usize::from(shard))?))
    }

    /// From the answer to CLUSTER SLOTS; `None` unless it places every shard. `asked` stands for a host that is left out.
    pub(super) fn of_slots(answer: &Value, asked: &Address) -> Option<Self> {
        let mut this = Self::default();
        let mut ranges = Vec::new();
        for range in list(answer)? {
            let [first, last, master, replicas @ ..] = list(range)? else { return None };
            let (first, last) = (number(first)?, number(last)?);
            let master = node(master, asked)?;
            this.known.extend(replicas.iter().filter_map(|replica| node(replica, asked)));
            this.known.push(master.clone());
            let place = this.masters.iter().position(|other| *other == master).unwrap_or_else(|| {
                this.masters.push(master);
                this.masters.len() - 1
            });
            ranges.push((first, last, u16::try_from(place).ok()?));
        }
        for shard in 0..SHARD_COUNT {
            let slot = i64::from(slot_of(shard));
            let (_, _, place) = ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot))?;
            this.places.push(*place);
        }
        Some(this)
    }
}

/// The items of an array.
pub(super) fn list(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) | Value::Set(items) => Some(items),
        _ => None,
    }
}

/// The bytes of a string, whatever its kind.
pub(super) fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        Value::Okay => Some(b"OK"),
        _ => None,
    }
}

/// A string that is text.
pub(super) fn text(value: &Value) -> Option<&str> {
    std::str::from_utf8(bytes(value)?).ok()
}

/// A whole number, also one that is written out.
pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        other => text(other)?.parse().ok(),
    }
}

fn node(value: &Value, asked: &Address) -> Option<Address> {
    let [host, port, ..] = list(value)? else { return None };
    let host = text(host).filter(|host| !host.is_empty()).map_or_else(|| Arc::clone(&asked.0), Arc::from);
    Some((host, u16::try_from(number(port)?).ok()?))
}

/// The value behind `name:` in an answer to INFO.
pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// A command of these words.
pub(super) fn command(words: &[&str]) -> Cmd {
    let mut command = Cmd::new();
    words.iter().for_each(|word| {
        command.arg(*word);
    });
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64, host: &str, port: i64) -> Value {
        let node = Value::Array(vec![Value::BulkString(host.into()), Value::Int(port), Value::BulkString("id".into())]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node])
    }

    #[test]
    fn every_shard_has_a_master_or_there_is_no_topology() {
        let asked: Address = ("seed".into(), 1);
        let whole = Value::Array(vec![range(0, 8_000, "one", 7_001), range(8_001, 16_383, "", 7_002)]);
        let topology = Topology::of_slots(&whole, &asked).expect("it is whole");
        assert_eq!(topology.master_of(7), Some(&("one".into(), 7_001)), "slot 1716");
        assert_eq!(topology.master_of(0), Some(&("seed".into(), 7_002)), "slot 13907");
        assert_eq!(topology.master_of(SHARD_COUNT), None);
        let part = Value::Array(vec![range(0, 16_000, "one", 7_001)]);
        assert!(Topology::of_slots(&part, &asked).is_none());
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let info = "# Replication\r\nrole:master\r\nmaster_replid2:00\r\nmaster_replid:ab\r\n";
        assert_eq!((field(info, "master_replid"), field(info, "replid")), (Some("ab"), None));
    }
}
