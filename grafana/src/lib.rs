//! The dashboards, as data: what each panel shows, in which unit, from where on it is bad, what it means and what to
//! do.
//! Must not know: the program. Metrics are named as the catalogue names them, which the black-box tests compare.

mod board;
mod boards;
mod panel;
mod query;

pub use board::Board;

/// Every dashboard, as its file's name and its content.
pub fn files() -> Vec<(String, String)> {
    boards::all().iter().map(|board| (format!("{}.json", board.name()), board.to_json())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_files_are_what_is_generated() {
        for (name, text) in files() {
            let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
            let committed = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
            assert_eq!(value(&committed), value(&text), "{name} is old: cargo run -p dashboards");
        }
    }

    #[test]
    fn each_dashboard_has_a_name_of_its_own() {
        let mut names: Vec<String> = files().into_iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), boards::all().len());
    }
}
