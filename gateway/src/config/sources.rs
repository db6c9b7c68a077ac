//! Where settings come from, in the order of precedence: flags, environment, file.
//! Must not know: what values mean.

use std::collections::BTreeMap;

use super::settings::{SETTINGS, Setting};

/// A value with the place it was found at, for messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    /// The value as text.
    pub(crate) text: String,
    /// Such as `--listen`, `HOTSLOT_LISTEN` or `the file`.
    pub(crate) origin: String,
}

/// All settings that were given, with what is wrong with the giving itself.
#[derive(Clone, Default, Debug)]
pub(crate) struct Sources {
    found: BTreeMap<&'static str, Found>,
    mistakes: Vec<String>,
}

impl Sources {
    /// From flags (by key), a look-up of environment variables (an empty one is none), and the text of a file.
    pub(crate) fn gather(
        flags: &BTreeMap<&'static str, String>,
        variable: impl Fn(&str) -> Option<String>,
        file: Option<&str>,
    ) -> Self {
        let mut sources = Self::default();
        let mut table = match file.map(str::parse::<toml::Table>) {
            None => toml::Table::new(),
            Some(Ok(table)) => table,
            Some(Err(error)) => {
                let message = error.message().lines().next().unwrap_or("").to_owned();
                sources.mistakes.push(format!("config: the file is not TOML: {message}"));
                toml::Table::new()
            }
        };
        for setting in SETTINGS {
            let in_file = table.remove(setting.key);
            let found = flags
                .get(setting.key)
                .map(|text| Found { text: text.clone(), origin: format!("--{}", setting.flag) })
                .or_else(|| {
                    let name = setting.variable();
                    variable(&name).filter(|text| !text.is_empty()).map(|text| Found { text, origin: name })
                })
                .or_else(|| in_file.and_then(|value| sources.of_file(setting, value)));
            if let Some(found) = found {
                sources.found.insert(setting.key, found);
            }
        }
        for key in table.keys() {
            sources.mistakes.push(format!("{key}: there is no such setting (in the file)"));
        }
        sources
    }

    /// A file that was named but cannot be read.
    pub(crate) fn unreadable_file(&mut self, path: &str, error: &std::io::Error) {
        self.mistakes.push(format!("config: {path}: {error}"));
    }

    /// The value of `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&Found> {
        self.found.get(key)
    }

    /// What is wrong with the giving.
    pub(crate) fn mistakes(&self) -> &[String] {
        &self.mistakes
    }

    fn of_file(&mut self, setting: &Setting, value: toml::Value) -> Option<Found> {
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(switch) => switch.to_string(),
            other => {
                let kind = other.type_str();
                self.mistakes.push(format!("{}: must not be a TOML {kind} (in the file)", setting.key));
                return None;
            }
        };
        Some(Found { text, origin: "in the file".to_owned() })
    }
}
