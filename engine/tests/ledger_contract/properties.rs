//! However a journal is cut into batches, and however often a part of it comes again, the rows are the same.
//! Must not know: which cuts are special.

use std::collections::BTreeMap;

use engine::ledger::Ledger;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::Backend;
use crate::ledger::assert_same_rows;
use crate::story::{Story, day, patient};

const DAYS: u128 = 3;
const CASES: usize = 12;

/// Which command, on which day, by whom, on which slot.
type Wish = (u8, u128, u128, usize);

/// Lets everything happen that the core allows.
fn story_of(wishes: &[Wish], offset: u128) -> Story {
    let mut story = Story::numbered(offset);
    for number in 0..DAYS {
        story.publish(day(offset + number), 4, 2);
    }
    for (command, number, who, slot) in wishes {
        let key = day(offset + number);
        let rows: BTreeMap<_, _> =
            story.rows().into_iter().filter(|(at, _)| *at == key).map(|(_, row)| (row.id, row)).collect();
        let chosen = rows.keys().nth(*slot % rows.len().max(1)).copied();
        match (command, chosen) {
            (0..=2, _) => drop(story.take(key, patient(*who), None, None)),
            (3..=5, _) => drop(story.take(key, patient(*who), Some(*slot % 4), Some(20_000))),
            (6, Some(id)) => drop(story.confirm(key, id)),
            (7..=8, Some(id)) => drop(story.cancel(key, id, Some("so"))),
            (9, _) => story.expire(key),
            _ => story.now += 10_000,
        }
    }
    story
}

pub(crate) async fn any_cut_of_the_journal_gives_the_same_rows(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let wishes = prop::collection::vec((0..11_u8, 0..DAYS, 0..9_u128, 0..12_usize), 1..120);
    // How far each batch reaches beyond the last, and how much of what was applied it brings again.
    let cuts = prop::collection::vec((1..30_usize, 0..12_usize), 1..12);
    let mut runner = TestRunner::deterministic();
    let mut offset = 0;
    let mut total = 0;
    for _ in 0..CASES {
        let tree = (wishes.clone(), cuts.clone()).new_tree(&mut runner).expect("a case");
        let (wishes, cuts) = tree.current();
        // New days for every case, in one ledger whose positions go on.
        offset += DAYS;
        let mut story = story_of(&wishes, 1_000 * offset);
        for record in &mut story.records {
            record.position += total;
        }
        total = story.position();
        apply_in_cuts(&*ledger, &story, &cuts).await;
        assert_same_rows(&*ledger, &story).await;
        for (_, row) in story.rows() {
            let steps = ledger.history(row.id).await.expect("read");
            let versions: Vec<u32> = steps.iter().map(|step| step.version).collect();
            assert_eq!(versions, (1..=row.version).collect::<Vec<_>>());
            assert!(steps.windows(2).all(|pair| pair[1].from == Some(pair[0].to)));
            assert_eq!(steps.last().map(|step| step.to), Some(row.status));
        }
    }
}

async fn apply_in_cuts(ledger: &dyn Ledger, story: &Story, cuts: &[(usize, usize)]) {
    let records = &story.records;
    let mut applied = 0;
    for (further, again) in cuts.iter().cycle() {
        let to = (applied + further).min(records.len());
        let from = applied.saturating_sub(*again);
        ledger.apply(&records[from..to], records[to - 1].position).await.expect("applied");
        applied = to;
        if applied == records.len() {
            return;
        }
    }
}
