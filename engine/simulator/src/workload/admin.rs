//! Somebody who publishes the clinic's days, amends them while people book, and now and then closes one.
//! Must not know: who books.

use std::sync::Arc;

use booking_core::{DayDefinition, Envelope, Precondition, RequestId, Role, SubjectId};
use engine::view::{Caller, PublishRequest};
use uuid::Uuid;

use super::clinic::{Clinic, Plan, definition};
use super::wish::with_key;
use crate::kernel::{Kernel, OUTSIDE};
use crate::network::Network;
use crate::oracle::{Asked, Reply, Told};
use crate::random::Random;

/// See the module.
pub struct Admin {
    network: Network,
    kernel: Kernel,
    clinic: Arc<Clinic>,
    random: Random,
    ticks: u64,
    keys: u64,
}

impl Admin {
    /// The clinic's one administrator.
    pub fn new(network: &Network, kernel: &Kernel, clinic: &Arc<Clinic>, random: Random, ticks: u64) -> Self {
        let (network, kernel, clinic) = (network.clone(), kernel.clone(), Arc::clone(clinic));
        Self { network, kernel, clinic, random, ticks, keys: 0 }
    }

    /// Publishes every day, however long it takes, then changes things until `until_micros`.
    pub async fn run(mut self, until_micros: u64) {
        for plan in self.clinic.plans.clone() {
            while self.kernel.now_micros() < until_micros {
                if let Some(Ok(_)) = self.network.ask(&publish(&plan, None)).await {
                    break;
                }
                self.kernel.sleep(OUTSIDE, 500_000).await;
            }
        }
        while self.kernel.now_micros() < until_micros {
            let pause = self.random.between(1_000_000, 40_000_000);
            let left = until_micros.saturating_sub(self.kernel.now_micros());
            self.kernel.sleep(OUTSIDE, pause.min(left)).await;
            if self.kernel.now_micros() < until_micros {
                self.change_something().await;
            }
        }
    }

    async fn change_something(&mut self) {
        let Some(plan) = self.random.pick(&self.clinic.plans).cloned() else { return };
        if self.random.chance(60_000) {
            self.keys += 1;
            let close = Asked::Close { day: plan.day, reason: None, caller: caller() };
            let close = with_key(close, &format!("close-{}", self.keys));
            self.network.ask(&close).await;
            return;
        }
        let definition = match self.random.below(3) {
            0 => Arc::new(definition(&mut self.random, plan.day.date, self.ticks)),
            _ => Arc::new(self.resized(&plan.definition)),
        };
        let precondition = self.precondition(&plan).await;
        self.network.ask(&publish(&Plan { definition, ..plan }, precondition)).await;
    }

    /// The same day with other capacities.
    fn resized(&mut self, definition: &DayDefinition) -> DayDefinition {
        let mut resized = definition.clone();
        for slot in &mut resized.slots {
            slot.capacity = u32::try_from(self.random.between(1, 3)).unwrap_or(1);
        }
        resized
    }

    /// Often the version that was just read; by the time of the request it may be another.
    async fn precondition(&mut self, plan: &Plan) -> Option<Precondition> {
        match self.random.below(4) {
            0 => Some(Precondition::Exists),
            1 | 2 => match self.network.ask(&Asked::ReadDay(plan.day)).await {
                Some(Reply::Ok(Told::View(view))) => Some(Precondition::Version(view.snapshot.version())),
                _ => None,
            },
            _ => None,
        }
    }
}

fn caller() -> Caller {
    let subject = SubjectId(Uuid::from_u128(0xad00_0000_0000_0000_8000_0000_0000_0001));
    Caller { envelope: Envelope { subject, role: Role::Admin, request: RequestId(Uuid::nil()) }, key: None }
}

fn publish(plan: &Plan, precondition: Option<Precondition>) -> Asked {
    let (day, definition) = (plan.day, Arc::clone(&plan.definition));
    Asked::Publish(PublishRequest { day, definition, precondition, caller: caller() })
}
