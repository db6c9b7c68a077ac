//! What is planted, and the search for it; and field names as they stand in source text.
//! Must not know: where things are planted.

use std::collections::BTreeMap;

use blackbox::{fresh_id, sources};

/// Begins everything that can begin with something.
pub const MARK: &str = "Planted";

/// What must not be found.
#[derive(Default)]
pub struct Planted {
    values: Vec<String>,
}

impl Planted {
    /// A new secret text.
    pub fn secret(&mut self, what: &str) -> String {
        let text = format!("{MARK}{}{}", what.replace('-', ""), fresh_id().replace('-', ""));
        self.also(&text)
    }

    /// Something of a form of its own, such as a telephone number.
    pub fn also(&mut self, value: &str) -> String {
        self.values.push(value.to_owned());
        value.to_owned()
    }

    /// The key of tokens, in the forms in which it could be shown.
    pub fn key(&mut self, key: &[u8]) {
        self.also(&hex(key));
        self.also(&hex(key).to_uppercase());
        self.also(&format!("{key:?}"));
    }

    /// `url` with a user's password in it, if it has none.
    pub fn with_password(&mut self, url: &str, what: &str) -> String {
        let password = self.secret(what);
        let (scheme, rest) = url.split_once("://").expect("a URL");
        match rest.split_once('@') {
            Some((user, rest)) => format!("{scheme}://{user}:{password}@{rest}"),
            None => format!("{scheme}://somebody:{password}@{rest}"),
        }
    }

    /// `form` with something planted in place of `{}`.
    pub fn in_text(&mut self, form: &str) -> String {
        let secret = self.secret("setting");
        form.replace("{}", &secret)
    }

    /// Fails if anything planted, or anything that looks like it, is in `lines`.
    #[track_caller]
    pub fn assert_absent(&self, lines: &[String]) {
        for line in lines {
            assert!(!line.to_lowercase().contains(&MARK.to_lowercase()), "something planted is told: {line}");
            for value in &self.values {
                assert!(!line.contains(value.as_str()), "{value} is told: {line}");
            }
        }
    }
}

/// A key of tokens that nobody else has.
pub fn signing_key() -> Vec<u8> {
    let text = fresh_id().replace('-', "");
    text.into_bytes()
}

/// In hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Brief names of fields and what a line has in their place, as the gateway's list has them.
pub fn renamed() -> BTreeMap<String, String> {
    let list = sources::read("gateway/src/logs/fields.rs".to_owned()).text;
    let rows = list.lines().filter_map(|line| line.trim().strip_prefix("named(\"")?.strip_suffix("\"),"));
    let names: BTreeMap<String, String> = rows
        .filter_map(|row| row.split_once("\", \""))
        .map(|(brief, full)| (brief.to_owned(), full.to_owned()))
        .collect();
    assert!(names.len() > 5, "the list was read: {names:?}");
    names
}

/// The names of the fields of every line that this source logs.
pub fn fields_of(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    for level in ["error", "warn", "info", "debug", "trace"] {
        for (start, call) in source.match_indices(&format!("tracing::{level}!(")) {
            names.extend(arguments(&source[start + call.len()..]).iter().filter_map(|argument| name_of(argument)));
        }
    }
    names
}

/// The arguments of a macro, up to its closing parenthesis.
fn arguments(rest: &str) -> Vec<String> {
    let (mut found, mut argument, mut depth, mut quoted) = (Vec::new(), String::new(), 0, false);
    let mut letters = rest.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if quoted => drop(letters.next()),
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' if !quoted && depth == 0 => break,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                found.push(std::mem::take(&mut argument));
                continue;
            }
            _ => {}
        }
        argument.push(letter);
    }
    found.push(argument);
    found
}

/// `name = value`, `%name`, `?name` or `name`; the message, and what says where a line belongs, are no fields.
fn name_of(argument: &str) -> Option<String> {
    let argument = argument.trim().trim_start_matches(['%', '?']);
    let name = argument.split(" = ").next()?.trim();
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '.';
    let is_name = name.starts_with(|letter: char| letter.is_ascii_lowercase()) && name.chars().all(fits);
    (is_name && !argument.starts_with("target:")).then(|| name.to_owned())
}

#[test]
fn fields_are_found_in_source() {
    let source = "x(); tracing::warn!(%error, claims = wanted.len(), a.b = f(1, \",\"), \"it, is = late\"); tracing::info!(\"no\")";
    assert_eq!(fields_of(source), ["error", "claims", "a.b"]);
}
