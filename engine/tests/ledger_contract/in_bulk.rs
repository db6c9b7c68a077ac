//! Reads of many rows: page by page, or by many ids at once.
//! Must not know: what becomes of them.

use booking_core::{AppointmentId, UtcMillis};
use engine::ownership::ShardSet;
use uuid::Uuid;

use crate::Backend;
use crate::reminders::profile;
use crate::sending::{due, town};
use crate::story::{day, patient};

/// Page by page it is the same as at once, also where many rows have one instant.
pub(crate) async fn due_rows_come_in_pages(backend: &impl Backend) {
    let stores = backend.open().await;
    let store = &*stores.reminders;
    town(&stores, 8).await;
    let all = due(store, UtcMillis(i64::MAX)).await;
    assert!(all.windows(2).any(|pair| pair[0].next_at == pair[1].next_at));
    assert!(all.is_sorted_by_key(|row| (row.next_at, row.key)));
    let halves = [ShardSet::ALL, [day(1).shard()].into_iter().collect()];
    for (shards, limit) in halves.iter().flat_map(|shards| [1, 3, 5, 100].map(|limit| (shards, limit))) {
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = store.due(shards, after, UtcMillis(i64::MAX), limit).await.expect("read");
            let is_last = page.len() < limit;
            after = page.last().map(|row| (row.next_at, row.key)).or(after);
            paged.extend(page);
            if is_last {
                break;
            }
        }
        let wanted = all.iter().filter(|row| shards.contains(row.day.shard()));
        assert!(paged.iter().eq(wanted), "in pages of {limit}");
    }
}

pub(crate) async fn many_are_read_at_once(backend: &impl Backend) {
    let stores = backend.open().await;
    let (_, ids) = town(&stores, 5).await;
    let unknown = AppointmentId(Uuid::from_u128(77));
    let wanted = [&ids[1..4], &[unknown]].concat();
    let mut found = stores.ledger.appointments_of(&wanted).await.expect("read");
    found.sort_unstable_by_key(|placed| ids.iter().position(|id| *id == placed.appointment.id));
    for (placed, id) in found.iter().zip(&ids[1..4]) {
        assert_eq!(Some(placed), stores.ledger.appointment(*id).await.expect("read").as_ref());
    }
    assert_eq!(found.len(), 3);
    for who in [1, 2] {
        stores.registry.put_patient(patient(who), &profile(None), UtcMillis(1)).await.expect("written");
    }
    let mut known = stores.registry.patients(&[2, 3, 1].map(patient)).await.expect("read");
    known.sort_unstable_by_key(|patient| patient.id);
    let mut expected = Vec::new();
    for who in [1, 2] {
        expected.extend(stores.registry.patient(patient(who)).await.expect("read"));
    }
    expected.sort_unstable_by_key(|patient| patient.id);
    assert_eq!(known, expected);
    assert_eq!(stores.registry.patients(&[]).await.expect("read"), []);
}
