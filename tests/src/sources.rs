//! The repository's own files, as git lists them, and rough readings of Rust text for the tidiness tests.
//! Must not know: which rules there are.

use std::process::Command;

use crate::program::repository;

/// One file of the repository.
#[derive(Clone, Debug)]
pub struct Source {
    /// Path from the root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A function and its length.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// The line on which it starts, counted from 1.
    pub line: usize,
    /// Lines from its first to its closing brace.
    pub length: usize,
}

/// Paths of all files that are committed or could be: what git lists and what it does not ignore.
pub fn paths() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(repository())
        .output()
        .expect("git can be run");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).expect("paths in UTF-8");
    let paths: Vec<String> =
        listed.lines().filter(|path| repository().join(path).is_file()).map(str::to_owned).collect();
    assert!(paths.len() > 20, "the repository was found: {paths:?}");
    paths
}

/// The Rust files.
pub fn rust() -> Vec<Source> {
    paths().into_iter().filter(|path| path.ends_with(".rs")).map(read).collect()
}

/// One file of the repository.
pub fn read(path: String) -> Source {
    let text = std::fs::read_to_string(repository().join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    Source { path, text }
}

impl Source {
    /// Numbered lines without comments and without what stands between double quotes (roughly).
    pub fn code(&self) -> impl Iterator<Item = (usize, String)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, code_of(line)))
    }

    /// Every function, by its layout as rustfmt leaves it: it ends at the first closing brace as far in as its start.
    pub fn functions(&self) -> Vec<Function> {
        let lines: Vec<&str> = self.text.lines().collect();
        (0..lines.len()).filter_map(|start| function_at(&lines, start)).collect()
    }
}

fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if quoted => drop(letters.next()),
            '"' => quoted = !quoted,
            '/' if !quoted && letters.peek() == Some(&'/') => break,
            _ if !quoted => code.push(letter),
            _ => {}
        }
    }
    code
}

fn function_at(lines: &[&str], start: usize) -> Option<Function> {
    let first = lines[start];
    let inside = first.trim_start();
    let indent = &first[..first.len() - inside.len()];
    let mut words = inside.split([' ', '(']).filter(|word| !word.is_empty());
    let opening = ["pub", "crate)", "super)", "in", "const", "async", "unsafe", "extern"];
    let word = words.find(|word| !opening.contains(word))?;
    if word != "fn" {
        return None;
    }
    let head_end = (start..lines.len()).find(|line| lines[*line].trim_end().ends_with(['{', ';', '}']))?;
    let head = lines[head_end].trim_end();
    if !head.ends_with('{') {
        return head.ends_with('}').then_some(Function { line: start + 1, length: head_end - start + 1 });
    }
    let closing = format!("{indent}}}");
    let end = (head_end..lines.len()).find(|line| lines[*line].trim_end() == closing)?;
    Some(Function { line: start + 1, length: end - start + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_from_head_to_brace() {
        let text = "fn one() -> u8 { 1 }\n\npub(crate) async fn two(\n    a: u8,\n) -> u8 {\n    a\n}\n\ntrait T {\n    fn three();\n}\n";
        let source = Source { path: String::new(), text: text.to_owned() };
        let expected = [Function { line: 1, length: 1 }, Function { line: 3, length: 5 }];
        assert_eq!(source.functions(), expected);
    }

    #[test]
    fn comments_and_quoted_text_are_no_code() {
        assert_eq!(code_of("let a = \"dbg \\\" x\"; // comment"), "let a = ; ");
    }
}
