//! What the operator's templates may do: put variables in, and choose between texts. Nothing that can make much out of little.
//! Must not know: variables, channels.
//!
//! The template engine bounds the steps of a rendering and not the size of a value: a few doublings of one text would fill the memory. So
//! tags have only what cannot grow: no loops, no assignments, no calls, no arithmetic. The check is coarser than the engine's own
//! grammar, on purpose: what it lets through cannot be read by the engine as anything else.

/// Words that a `{% … %}` may begin with.
const STATEMENTS: [&str; 4] = ["if", "elif", "else", "endif"];

/// What is not allowed, and in which line (from 1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Forbidden {
    /// Line, from 1.
    pub(super) line: usize,
    /// What.
    pub(super) what: &'static str,
}

/// Checks all tags.
pub(super) fn check(source: &str) -> Result<(), Forbidden> {
    let mut position = 0;
    while let Some((start, is_statement)) = next_tag(source, position) {
        let forbidden = |what| Forbidden { line: source[..start].matches('\n').count() + 1, what };
        let close = if is_statement { "%}" } else { "}}" };
        let length = source[start..].find(close).ok_or(forbidden("a tag that is not closed"))?;
        let tag = &source[start..start + length];
        if let Some(stranger) = tag.chars().find(|character| !is_allowed(*character)) {
            return Err(forbidden(what_is(stranger)));
        }
        if !is_whole(tag) {
            return Err(forbidden("a bracket in quotes"));
        }
        if is_statement {
            let word = tag.trim_start_matches('-').split_whitespace().next().unwrap_or_default();
            if !STATEMENTS.contains(&word.trim_end_matches('-')) {
                return Err(forbidden("a statement other than if, elif, else and endif"));
            }
        }
        position = start + length + close.len();
    }
    Ok(())
}

/// Where the next tag's content begins, and whether it is a statement.
fn next_tag(source: &str, from: usize) -> Option<(usize, bool)> {
    let found = |open: &str| source[from..].find(open).map(|at| from + at + open.len());
    match (found("{{"), found("{%")) {
        (Some(expression), Some(statement)) => Some((expression.min(statement), statement < expression)),
        (Some(expression), None) => Some((expression, false)),
        (None, statement) => statement.map(|statement| (statement, true)),
    }
}

/// Whether every quoted text ends in the tag: else what looked like the tag's end was quoted.
fn is_whole(tag: &str) -> bool {
    let mut open = None;
    for character in tag.chars().filter(|character| matches!(character, '"' | '\'')) {
        match open {
            None => open = Some(character),
            Some(quote) if quote == character => open = None,
            Some(_) => {}
        }
    }
    open.is_none()
}

/// Names, texts in quotes, numbers, comparisons, filters. Not what opens a tag, even in quotes: so no quoted text can hide one.
fn is_allowed(character: char) -> bool {
    character.is_alphanumeric() || character.is_whitespace() || "_.,-!?:;=<>|'\"".contains(character)
}

fn what_is(character: char) -> &'static str {
    match character {
        '(' | ')' => "a call",
        '*' | '+' | '/' | '~' => "arithmetic",
        '{' | '}' | '%' | '#' | '[' | ']' => "a bracket in a tag",
        '\\' => "a backslash in a tag",
        _ => "a character that tags do not have",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_choices_pass() {
        for source in [
            "plain { text } 100 %",
            "{{ doctor }} {{- time|upper -}}",
            "{% if reason %}a{% elif kind == 'change' %}b{%- else -%}c{% endif %}",
            "{# a remark #}{{ date }}",
        ] {
            assert_eq!(check(source), Ok(()), "{source}");
        }
    }

    #[test]
    fn whatever_could_grow_does_not() {
        for source in [
            "{{ doctor * 1000000 }}",
            "{% set x = doctor ~ doctor %}",
            "{% for x in doctor %}{% endfor %}",
            "{{ range(1) }}",
            "{{ [1] }}",
            "{% raw %}{{ x }}{% endraw %}",
            "{{ \"}}\" * 5 }}",
            "{{ '\"' ~ '}}' }}",
            "{# {{ \" #} {{ doctor * 5 }} \" }}",
            "{{ doctor",
            "{% include 'x' %}",
            "{%- set x = 1 -%}",
            "{%setx=1%}",
        ] {
            assert!(check(source).is_err(), "{source}");
        }
        assert_eq!(check("a\nb {{ 2 * 3 }}"), Err(Forbidden { line: 2, what: "arithmetic" }));
    }
}
