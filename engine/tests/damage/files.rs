//! Whole files of a data directory, damaged at sampled places: what was read is refused, or is what was written.
//! Must not know: the format of the files, but for where a log's last transaction begins.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::dice::Dice;
use crate::round::{Audited, Outcome, audit, start};
use crate::world::{Applied, JOURNAL, JOURNAL_LOG, LEDGER, LEDGER_LOG, World};
use crate::wound::Wound;

/// What may become of a round beside a refusal and an answer that is right.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Allowed {
    /// Nothing.
    Nothing,
    /// The end of a log is gone if the wound reaches its last transaction, or the commit before it: that cannot be told from
    /// a crash before the commit, unless the ledger remembers.
    LostTail,
    /// Rows of the ledger are wrong, and the audit says so: they have no checksums.
    WhatTheAuditTells,
}

/// One file of one directory, and how it is damaged.
struct Samples<'world> {
    world: &'world World,
    file: &'static str,
    allowed: Allowed,
    /// Where wounds begin; the whole file if there are none.
    places: Vec<Range<usize>>,
    counts: BTreeMap<&'static str, usize>,
    failures: Vec<String>,
}

impl<'world> Samples<'world> {
    fn of(world: &'world World, file: &'static str, allowed: Allowed) -> Self {
        let length = world.length_of(file);
        assert!(length > 4096, "{file} has something to damage: {length}");
        let places = std::iter::once(0..length).collect();
        Self { world, file, allowed, places, counts: BTreeMap::new(), failures: Vec::new() }
    }

    /// As many rounds; prints what became of them.
    async fn run(mut self, seed: u64, rounds: usize) {
        let mut dice = Dice::new(seed);
        let last_commit = self.last_commit();
        for round in 0..rounds {
            let wound = Wound::draw(&mut dice, &self.places, self.world.length_of(self.file));
            let directory = self.world.copy();
            if !wound.inflict(&directory.path().join(self.file)) {
                *self.counts.entry("nothing changed").or_default() += 1;
                continue;
            }
            let audited = audit(directory.path()).await;
            let outcome = start(directory.path(), &self.world.truth).await;
            let reaches_end = wound.end() > last_commit;
            if let Err(why) = self.judge(&outcome, &audited, reaches_end) {
                let named = format!("{} seed {seed} round {round} {wound:?}", self.file);
                self.failures.push(format!("{named}: {why}: {outcome:?}; the audit: {audited:?}"));
            }
        }
        eprintln!("{} at {rounds} places: {:?}", self.file, self.counts);
        assert!(self.failures.is_empty(), "{} rounds:\n{}", self.failures.len(), self.failures.join("\n"));
        assert!(self.counts.contains_key("told") || self.counts.contains_key("refused"), "damage is noticed at all");
    }

    fn judge(&mut self, outcome: &Outcome, audited: &Audited, reaches_end: bool) -> Result<(), &'static str> {
        let (name, verdict) = match outcome {
            Outcome::Refused(words) => ("refused", is_told(words, audited)),
            Outcome::Told(words, _) => ("told", is_told(words, audited)),
            Outcome::Whole => ("whole", Ok(())),
            Outcome::TailLost(_) if self.allowed == Allowed::LostTail && reaches_end => ("tail lost", Ok(())),
            Outcome::TailLost(_) => ("tail lost", Err("records are gone")),
            Outcome::Silent(_) if self.allowed == Allowed::WhatTheAuditTells => match audited {
                Audited::Clean => ("wrong", Err("nobody tells that the ledger is wrong")),
                Audited::Findings(_) | Audited::Failed(_) => ("told by the audit", Ok(())),
            },
            Outcome::Silent(_) => ("wrong", Err("something else was read, and nobody said so")),
        };
        *self.counts.entry(name).or_default() += 1;
        match audited {
            Audited::Failed(words) if !is_clear(words) => Err("the audit does not say where, and what to do"),
            Audited::Findings(lines) if !lines.iter().any(|line| line.starts_with("finding ")) => {
                Err("findings without one")
            }
            _ => verdict,
        }
    }

    /// Where the frame begins that commits the last transaction but one of a log: without its mark, two look like one that
    /// was never finished. The end of any other file.
    fn last_commit(&self) -> usize {
        let length = self.world.length_of(self.file);
        if !self.file.ends_with("-wal") {
            return length;
        }
        let bytes = self.world.read(self.file);
        let frames = (32..length).step_by(24 + 4096);
        let commits: Vec<usize> = frames.filter(|at| bytes[at + 4..at + 8] != [0; 4]).collect();
        assert!(commits.len() > 3, "several transactions");
        commits[commits.len() - 2]
    }
}

/// Damage that was met is told with its place and what to do, and the audit sees it too.
fn is_told(words: &str, audited: &Audited) -> Result<(), &'static str> {
    if !is_clear(words) {
        return Err("it does not say where, and what to do");
    }
    // The list of migrations is no part of the history.
    let is_of_history = !words.contains("its schema") && !words.contains("the schema");
    if is_of_history && matches!(audited, Audited::Clean) { Err("the audit sees nothing of it") } else { Ok(()) }
}

fn is_clear(words: &str) -> bool {
    let names_a_file = words.contains(JOURNAL) || words.contains(LEDGER);
    names_a_file && ["restore", "put both back", "make room"].iter().any(|advice| words.contains(advice))
}

/// In memory: the places are many, and the disk is not what is tested.
async fn sample(killed: bool, applied: Applied, file: &'static str, allowed: Allowed, seed: u64, rounds: usize) {
    let world = World::new(10, killed, applied).await;
    Samples::of(&world, file, allowed).run(seed, rounds).await;
}

#[tokio::test]
async fn a_stopped_journal_is_damaged_somewhere() {
    sample(false, Applied::Half, JOURNAL, Allowed::Nothing, 1, 350).await;
}

#[tokio::test]
async fn a_stopped_journal_whose_ledger_has_everything_is_damaged_somewhere() {
    sample(false, Applied::Whole, JOURNAL, Allowed::Nothing, 2, 350).await;
}

#[tokio::test]
async fn a_killed_journal_is_damaged_below_its_log() {
    sample(true, Applied::Half, JOURNAL, Allowed::Nothing, 3, 350).await;
}

#[tokio::test]
async fn the_log_of_a_killed_journal_is_damaged_somewhere() {
    sample(true, Applied::Half, JOURNAL_LOG, Allowed::LostTail, 4, 900).await;
}

#[tokio::test]
async fn a_lost_log_is_noticed_when_the_ledger_remembers() {
    sample(true, Applied::Whole, JOURNAL_LOG, Allowed::Nothing, 5, 600).await;
}

/// Trees that decide what is found at all: heads, their indexes, snapshots, the epoch.
#[tokio::test]
async fn the_indexes_of_a_journal_are_damaged() {
    let world = World::new(10, false, Applied::Whole).await;
    let mut samples = Samples::of(&world, JOURNAL, Allowed::Nothing);
    samples.places = world.trees_but_blocks().await;
    assert!(samples.places.len() >= 6, "{:?}", samples.places);
    samples.run(6, 350).await;
}

/// Several pages of every tree, with inner ones.
#[tokio::test]
async fn a_journal_of_many_days_is_damaged_somewhere() {
    let world = World::new(190, false, Applied::Whole).await;
    Samples::of(&world, JOURNAL, Allowed::Nothing).run(7, 60).await;
}

#[tokio::test]
async fn the_ledger_is_damaged_somewhere() {
    sample(false, Applied::Whole, LEDGER, Allowed::WhatTheAuditTells, 8, 260).await;
}

#[tokio::test]
async fn a_ledger_that_is_behind_is_damaged_somewhere() {
    sample(false, Applied::Half, LEDGER, Allowed::WhatTheAuditTells, 10, 260).await;
}

#[tokio::test]
async fn the_log_of_a_killed_ledger_is_damaged_somewhere() {
    sample(true, Applied::Whole, LEDGER_LOG, Allowed::WhatTheAuditTells, 9, 250).await;
}
