//! Who calls, and what they may: keys, tokens, permissions.
//! Must not know: bodies, days, how refusals are written.

pub(crate) mod cache;
pub(crate) mod key;
pub(crate) mod pass;
pub(crate) mod permission;
pub(crate) mod token;
mod usual_form;

use std::sync::Arc;

use booking_core::{Role, SubjectId};
use uuid::Uuid;

/// A caller whose token was verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Principal {
    /// The token's `sub`: a patient's patient id, a doctor's doctor id.
    pub(crate) subject: SubjectId,
    /// In which capacity.
    pub(crate) role: Role,
    /// The clinic that the token names.
    pub(crate) clinic: Option<Uuid>,
    /// Audiences whose releases the caller may use.
    pub(crate) audiences: Arc<[Box<str>]>,
}
