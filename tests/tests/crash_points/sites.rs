//! Is every point of the table passed by the sources, and has every durable boundary of the stores a point?
//! Must not know: what a point means.

use blackbox::Point;
use blackbox::sources::{self, Source};

/// What makes something durable in the stores: a commit, a statement that is a transaction of its own, a schema, a checkpoint.
const DURABLE: [&str; 7] = [
    ".commit()",
    "query(\"COMMIT",
    "query(WRITE_AND_COMMIT",
    "query(SAVE",
    "(\"UPDATE",
    "MIGRATOR.run",
    "wal_checkpoint",
];
/// Where the stores of the embedded profile are, whose processes the sweep kills: its SQLite files, and the SQL that its ledger shares
/// with PostgreSQL. What commits on a server does so in another process, and has no points; those who use it are killed anywhere by
/// the tests of those profiles.
const STORES: [&str; 3] = ["engine/src/journal/sqlite/", "engine/src/ledger/sqlite/", "engine/src/ledger/sql/"];

fn product() -> Vec<Source> {
    let mut sources = sources::rust();
    sources.retain(|source| source.path.starts_with("engine/src/") || source.path.starts_with("gateway/src/"));
    sources.retain(|source| !source.path.ends_with("/tests.rs"));
    sources
}

/// The points that `crash_point!` names in the product's code, each as often as it is named.
fn sites(sources: &[Source]) -> Vec<String> {
    let sites = sources.iter().flat_map(Source::code).filter_map(|(_, code)| {
        let (_, rest) = code.split_once("crash_point!(")?;
        rest.split_once(");").map(|(point, _)| point.to_owned())
    });
    sites.collect()
}

#[test]
fn every_point_is_passed_somewhere_and_at_one_place_only() {
    let mut sites = sites(&product());
    sites.sort();
    let mut points: Vec<String> = Point::ALL.iter().map(|point| format!("{point:?}")).collect();
    points.sort();
    // That no site names an unknown point is the compiler's business too: the macro takes a variant.
    assert_eq!(sites, points);
}

#[test]
fn names_are_different_and_lead_back_to_their_points() {
    for point in Point::ALL {
        assert_eq!(Point::of_name(point.name()), Some(*point), "{}", point.name());
    }
}

#[test]
fn whatever_becomes_durable_in_a_store_has_a_point_beside_it() {
    let mut without = Vec::new();
    let mut boundaries = 0;
    for source in product().iter().filter(|source| STORES.iter().any(|store| source.path.starts_with(store))) {
        let lines: Vec<&str> = source.text.lines().collect();
        for function in source.functions() {
            let body = lines[function.line - 1..function.line - 1 + function.length].join("\n");
            if DURABLE.iter().any(|mark| body.contains(mark)) {
                boundaries += 1;
                if !body.contains("crash_point!(") {
                    without.push(format!("{}:{}", source.path, function.line));
                }
            }
        }
    }
    assert!(boundaries >= 8, "the boundaries were found: {boundaries}");
    assert!(without.is_empty(), "functions that make something durable and pass no point: {without:?}");
}
