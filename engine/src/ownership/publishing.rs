//! One publisher a doctor among all nodes, as a port: two of its days that are published at once on two nodes could each miss the other.
//! Must not know: how the lock is kept, what is published.

use async_trait::async_trait;
use booking_core::DoctorId;

/// Where nodes agree on who publishes for a doctor.
#[async_trait]
pub trait PublishLock: Send + Sync + 'static {
    /// Waits for the lock of `doctor`, within a deadline of its own; an error says in words why it is not had.
    async fn lock(&self, doctor: DoctorId) -> Result<Box<dyn PublishGuard>, String>;
}

/// A lock that is held. Dropped without [`PublishGuard::release`], it must be free again soon.
#[async_trait]
pub trait PublishGuard: Send {
    /// Whether it is still held, as the store says now; false also if the store does not answer.
    async fn is_held(&mut self) -> bool;

    /// Gives it back.
    async fn release(self: Box<Self>);
}
