//! Clinics: put and read them.
//! Must not know: which doctors name them.

use actix_web::http::StatusCode;
use engine::ledger::people::{Clinic, ClinicProfile};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::call::{Call, json};
use super::catalogue::Code;
use super::checks::Checks;
use super::doctor_body::{NAME_MAX, ZONE_MESSAGE};
use super::instant::InstantText;
use super::problem::Problem;
use super::zone::Zone;
use crate::auth::permission::{Guard, ManageClinics};
use crate::middleware::edge::Answer;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClinicBody {
    name: String,
    time_zone: Option<String>,
}

impl ClinicBody {
    fn into_profile(self) -> Result<ClinicProfile, Problem> {
        let mut checks = Checks::default();
        checks.line("/name", &self.name, NAME_MAX);
        let zone = self.time_zone.as_deref().map(Zone::find);
        checks.require(!matches!(zone, Some(None)), "/time_zone", ZONE_MESSAGE);
        checks.finish()?;
        Ok(ClinicProfile { name: self.name, time_zone: zone.flatten().map(|zone| zone.name().to_owned()) })
    }
}

#[derive(Serialize)]
struct ClinicView<'a> {
    id: Uuid,
    name: &'a str,
    time_zone: Option<&'a str>,
    created_at: InstantText,
    updated_at: InstantText,
}

/// `PUT /v1/clinics/{id}`
pub(crate) async fn put(mut call: Call, guard: Guard<ManageClinics>) -> Answer {
    call.no_query()?;
    let id = call.path_id()?;
    let profile = call.body::<ClinicBody>().await?.into_profile()?;
    guard.permit(&())?;
    answer(&call.engine().registry().put_clinic(id, &profile, call.now()).await?)
}

/// `GET /v1/clinics/{id}`
pub(crate) async fn read(call: Call) -> Answer {
    call.no_query()?;
    let clinic = call.engine().registry().clinic(call.path_id()?).await?;
    answer(&clinic.ok_or_else(|| Problem::new(Code::NotFound, "There is no such clinic."))?)
}

fn answer(clinic: &Clinic) -> Answer {
    let view = ClinicView {
        id: clinic.id,
        name: &clinic.profile.name,
        time_zone: clinic.profile.time_zone.as_deref(),
        created_at: InstantText(clinic.created_at),
        updated_at: InstantText(clinic.updated_at),
    };
    json(StatusCode::OK, &view)
}
