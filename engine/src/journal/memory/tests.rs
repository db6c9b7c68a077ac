//! That the journal in memory keeps the contract, and plants its faults.
//! Must not know: other stores.

use super::super::contract::{self, JournalFactory, append_of, day};
use super::*;

/// Remembers the newest journal, since the contract knows it as a trait object only.
#[derive(Default)]
struct Newest(Mutex<MemoryJournal>);

impl Newest {
    fn replace(&self, journal: MemoryJournal) -> Arc<dyn Journal> {
        *self.0.lock() = journal.clone();
        Arc::new(journal)
    }
}

#[async_trait]
impl JournalFactory for Newest {
    async fn empty(&self) -> Arc<dyn Journal> {
        self.replace(MemoryJournal::default())
    }

    async fn reopen(&self, journal: Arc<dyn Journal>) -> Arc<dyn Journal> {
        journal.close().await;
        let again = self.0.lock().reopen();
        self.replace(again)
    }

    async fn damage(&self, journal: Arc<dyn Journal>, position: u64) -> Arc<dyn Journal> {
        self.0.lock().damage(position);
        journal
    }
}

#[tokio::test]
async fn it_keeps_the_contract() {
    contract::run(&Newest::default()).await;
}

#[tokio::test]
async fn a_late_append_lands_at_the_barrier() {
    let journal = MemoryJournal::default();
    let (append, _) = append_of(day(1), journal.epoch(), Head::default(), &[b"one"]);
    journal.fail_next(Fault::UnknownLate);
    assert!(matches!(journal.append(&[append]).await, Err(AppendError::Unknown(_))));
    assert!(journal.load(day(1)).await.expect("a load").is_none());
    journal.barrier().await.expect("a barrier");
    assert!(journal.load(day(1)).await.expect("a load").is_some());
}
