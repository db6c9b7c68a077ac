//! Policies of reminders and templates of messages as rows: each a JSON document.
//! Must not know: what a template says, reminders that are planned already.

use async_trait::async_trait;
use booking_core::{DoctorId, UtcMillis};
use uuid::Uuid;

use super::columns::{Columns, damaged, value};
use super::registry::{begin, commit, uncancelled};
use super::statement::Statement;
use super::store::{Store, Stored};
use super::{Dialect, ask_first};
use crate::journal::ReadError;
use crate::ledger::registry::{Policies, WriteError};
use crate::ledger::reminders::PolicyScope;
use crate::reminders::policy::ReminderPolicy;

/// The words of scopes, in the projection's statement too.
const CLINIC: &str = "clinic";
const DOCTOR: &str = "doctor";

const PUT_POLICY: &str = "INSERT INTO reminder_policy (scope, id, updated_ms, policy) VALUES ($1, $2, $3, $4) \
                          ON CONFLICT (scope, id) DO UPDATE SET policy = excluded.policy, \
                          updated_ms = excluded.updated_ms";
const FORGET_POLICY: &str = "DELETE FROM reminder_policy WHERE scope = $1 AND id = $2";
const POLICY: &str = "SELECT policy FROM reminder_policy WHERE scope = $1 AND id = $2";
/// The doctor's own before its clinic's: `doctor` sorts after `clinic`.
const POLICY_FOR: &str = "SELECT p.policy FROM reminder_policy p WHERE (p.scope = 'doctor' AND p.id = $1) \
                          OR (p.scope = 'clinic' AND p.id = (SELECT d.clinic FROM doctor d WHERE d.id = $1)) \
                          ORDER BY p.scope DESC LIMIT 1";
const PUT_TEMPLATE: &str = "INSERT INTO message_template (name, updated_ms, template) VALUES ($1, $2, $3) \
                            ON CONFLICT (name) DO UPDATE SET template = excluded.template, \
                            updated_ms = excluded.updated_ms";
const FORGET_TEMPLATE: &str = "DELETE FROM message_template WHERE name = $1";
const TEMPLATE: &str = "SELECT template FROM message_template WHERE name = $1";
const TEMPLATES: &str = "SELECT name, template FROM message_template WHERE name > $1 ORDER BY name LIMIT $2";

/// Those that look for rows, for the test of their plans.
#[cfg(test)]
pub(in crate::ledger) const STATEMENTS: [&str; 6] =
    [FORGET_POLICY, POLICY, POLICY_FOR, FORGET_TEMPLATE, TEMPLATE, TEMPLATES];

#[async_trait]
impl<L: Stored> Policies for L {
    async fn put_policy(
        &self,
        scope: PolicyScope,
        policy: Option<&ReminderPolicy>,
        at: UtcMillis,
    ) -> Result<(), WriteError> {
        let (word, id) = columns_of(scope);
        let statement = match policy {
            Some(policy) => {
                let text = serde_json::to_string(policy).map_err(|error| WriteError(error.to_string()))?;
                Statement::new(PUT_POLICY).bind(word).bind(id).bind(at.0).bind(text)
            }
            None => Statement::new(FORGET_POLICY).bind(word).bind(id),
        };
        write(self.store(), statement).await
    }

    async fn policy(&self, scope: PolicyScope) -> Result<Option<ReminderPolicy>, ReadError> {
        let (word, id) = columns_of(scope);
        let row = ask_first(&self.store().readers, Statement::new(POLICY).bind(word).bind(id)).await?;
        row.as_ref().map(policy_of).transpose()
    }

    async fn policy_for(&self, doctor: DoctorId) -> Result<Option<ReminderPolicy>, ReadError> {
        let row = ask_first(&self.store().readers, Statement::new(POLICY_FOR).bind(doctor.0)).await?;
        row.as_ref().map(policy_of).transpose()
    }

    async fn put_template(&self, name: &str, template: Option<&str>, at: UtcMillis) -> Result<(), WriteError> {
        let statement = match template {
            Some(template) => Statement::new(PUT_TEMPLATE).bind(name).bind(at.0).bind(template),
            None => Statement::new(FORGET_TEMPLATE).bind(name),
        };
        write(self.store(), statement).await
    }

    async fn template(&self, name: &str) -> Result<Option<String>, ReadError> {
        let row = ask_first(&self.store().readers, Statement::new(TEMPLATE).bind(name)).await?;
        row.as_ref().map(|row| value(row, "template")).transpose()
    }

    async fn templates(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, String)>, ReadError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let page = Statement::new(TEMPLATES).bind(after.unwrap_or("")).bind(limit);
        let rows = L::Dialect::ask(&self.store().readers, page).await?;
        rows.iter().map(|row| Ok((value(row, "name")?, value(row, "template")?))).collect()
    }
}

fn columns_of(scope: PolicyScope) -> (&'static str, Uuid) {
    match scope {
        PolicyScope::Clinic(id) => (CLINIC, id),
        PolicyScope::Doctor(doctor) => (DOCTOR, doctor.0),
    }
}

async fn write<D: Dialect>(store: &Store<D>, statement: Statement) -> Result<(), WriteError> {
    let writer = store.registry.clone();
    uncancelled(async move {
        let mut transaction = begin::<D>(&writer).await?;
        D::execute(&mut transaction, statement).await.map_err(|error| D::write_error(&error))?;
        commit(transaction, ()).await
    })
    .await
}

/// The column `policy`.
pub(in crate::ledger) fn policy_of(row: &impl Columns) -> Result<ReminderPolicy, ReadError> {
    let text: &str = value(row, "policy")?;
    serde_json::from_str(text).map_err(|error| damaged(row, format!("a policy of reminders: {error}")))
}
