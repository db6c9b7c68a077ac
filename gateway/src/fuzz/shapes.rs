//! How a text or a JSON tree is changed a little.
//! Must not know: what it is for.

use serde_json::{Map, Value, json};

use super::Dice;

/// Pieces that have been somebody's trouble.
const PIECES: [&str; 24] = [
    "",
    " ",
    "\t",
    "0",
    "-1",
    "9223372036854775808",
    "1e999",
    "NaN",
    "null",
    "\u{0}",
    "\u{feff}",
    "é",
    "日本",
    "😀",
    "%",
    "%ff",
    "../",
    "\"",
    "\\",
    ",",
    "W/\"1.2.3\"",
    "*",
    "9999-12-31T23:59:59+14:00",
    "2026-02-29",
];

/// `text` with up to three changes.
pub(super) fn text(dice: &mut Dice, text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    for _ in 0..=dice.below(3) {
        let at = dice.below(letters.len() + 1);
        let end = (at + dice.below(9)).min(letters.len());
        match dice.below(6) {
            0 => drop(letters.drain(at..end)),
            1 => drop(letters.splice(at..at, dice.one_of(&PIECES).chars().collect::<Vec<_>>())),
            2 => drop(letters.splice(at..end, dice.one_of(&PIECES).chars().collect::<Vec<_>>())),
            3 if at < letters.len() => letters[at] = char::from(dice.below(256) as u8),
            4 => {
                let again = letters[at..end].to_vec();
                drop(letters.splice(at..at, again));
            }
            5 if dice.below(40) == 0 => letters.extend(std::iter::repeat_n('a', 1 << dice.below(14))),
            _ => letters.truncate(at),
        }
    }
    letters.into_iter().collect()
}

/// A value that a field did not expect.
fn strange(dice: &mut Dice, from: &Value) -> Value {
    match dice.below(14) {
        0 => Value::Null,
        1 => json!(dice.below(2) == 0),
        2 => json!(dice.next() as i64),
        3 => json!(dice.next()),
        4 => json!(1e300 * (dice.below(3) as f64 - 1.0)),
        5 => json!(0.1),
        6 => json!([]),
        7 => json!({}),
        8 => json!([from]),
        9 => json!({"a": from}),
        10 => (0..dice.below(200)).fold(json!(0), |inner, _| json!([inner])),
        11 => json!("a".repeat(1 << dice.below(16))),
        12 => json!(dice.below(100_000) as i64 - 50_000),
        _ => json!(*dice.one_of(&PIECES)),
    }
}

/// Changes one place of `tree`.
pub(super) fn tree(dice: &mut Dice, tree_of: &mut Value) {
    match tree_of {
        Value::Object(fields) if !fields.is_empty() && dice.below(5) > 0 => field(dice, fields),
        Value::Array(items) if !items.is_empty() && dice.below(5) > 0 => {
            let at = dice.below(items.len());
            match dice.below(6) {
                0 => drop(items.remove(at)),
                1 => {
                    let again = items[at].clone();
                    (0..1 << dice.below(11)).for_each(|_| items.push(again.clone()));
                }
                _ => tree(dice, &mut items[at]),
            }
        }
        Value::String(words) if dice.below(3) > 0 => *words = text(dice, words),
        Value::Number(number) if dice.below(3) > 0 => {
            let number = number.as_i64().unwrap_or(0);
            *tree_of = json!(number.wrapping_add(*dice.one_of(&[-1, 1, 1 << 31, 1 << 32, i64::MIN])));
        }
        other => *other = strange(dice, other),
    }
}

fn field(dice: &mut Dice, fields: &mut Map<String, Value>) {
    let names: Vec<String> = fields.keys().cloned().collect();
    let name = dice.one_of(&names).clone();
    match dice.below(8) {
        0 => drop(fields.remove(&name)),
        1 => {
            let value = fields.get(&name).cloned().unwrap_or_default();
            fields.insert(text(dice, &name), value);
        }
        _ => {
            if let Some(value) = fields.get_mut(&name) {
                tree(dice, value);
            }
        }
    }
}

/// `tree` as a body, now and then with a change that is no JSON.
pub(super) fn body(dice: &mut Dice, tree: &Value) -> Vec<u8> {
    let mut bytes = tree.to_string().into_bytes();
    match dice.below(8) {
        0 if !bytes.is_empty() => {
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
        }
        1 => bytes.truncate(dice.below(bytes.len() + 1)),
        2 => {
            // A name given twice.
            let text = String::from_utf8(bytes).unwrap_or_default();
            let first = text.trim_start_matches('{').split(',').next().unwrap_or_default().to_owned();
            bytes = text.replacen('{', &format!("{{{},", first.trim_end_matches('}')), 1).into_bytes();
        }
        _ => {}
    }
    bytes
}
