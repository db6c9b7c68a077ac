//! The doctor-days of one turn, published through the same calls to every system.
//! Must not know: which system it is, who presses.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::system::Shape;
use crate::driver::clock;
use crate::driver::connection::{Connection, TransportError};
use crate::driver::target::Target;

/// Dates of one doctor; more days need more doctors.
const DATES_OF_A_DOCTOR: u32 = 80;
/// Dates begin so many days after today: none begins during the turn, whatever the time of day.
const FIRST_DATE_AFTER_DAYS: i64 = 2;

/// How often a day is put where the answer is 503: nodes that wait for their turn on a busy machine may not find each other in time. It
/// is not part of what is measured, and the same day put twice is one day.
const ATTEMPTS_MAX: u32 = 10;
/// The pause before the next of them.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 500 });

/// Why a day is not there.
#[derive(Debug, Error)]
pub(crate) enum PublishError {
    /// The system is away.
    #[error("{call}: {source}")]
    Transport {
        /// What was asked.
        call: String,
        /// What went wrong.
        source: TransportError,
    },
    /// Another status than 201.
    #[error("{call}: status {status}: {body}")]
    Status {
        /// What was asked.
        call: String,
        /// What came.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// A date past all calendars.
    #[error("no date: {0}")]
    Date(#[from] jiff::Error),
    /// A task ended without a result.
    #[error("a publisher failed: {0}")]
    Died(String),
}

#[derive(Deserialize)]
struct Created {
    id: Uuid,
}

/// One day to publish.
struct Job {
    doctor: Uuid,
    date: Date,
}

/// Publishes `count` doctor-days of that shape; answers whose and when they are. Each token has a connection of its own,
/// and all of them publish at once, so that the commits of a system are shared; limits that are on would stop one
/// administrator who publishes thousands of days at once.
pub(crate) async fn publish(
    target: &Target,
    admin_tokens: &[Box<str>],
    shape: Shape,
    count: u32,
) -> Result<Vec<(Uuid, Date)>, PublishError> {
    let doctors = create_doctors(target, admin_tokens, count.div_ceil(DATES_OF_A_DOCTOR)).await?;
    let seconds = i64::try_from(clock::wall_seconds()).unwrap_or(0);
    let today = Timestamp::from_second(seconds)?.to_zoned(TimeZone::UTC).date();
    let mut days = Vec::with_capacity(count as usize);
    for number in 0..count {
        let ahead = FIRST_DATE_AFTER_DAYS + i64::from(number % DATES_OF_A_DOCTOR);
        let doctor = doctors.get((number / DATES_OF_A_DOCTOR) as usize).copied().unwrap_or_default();
        days.push((doctor, today.checked_add(ahead.days())?));
    }
    let jobs = Arc::new(days.clone());
    let mut publishers = JoinSet::new();
    let stride = admin_tokens.len().max(1);
    for (first, token) in admin_tokens.iter().enumerate() {
        let (jobs, target, token) = (Arc::clone(&jobs), target.clone(), token.clone());
        publishers.spawn(async move {
            let mut caller = Caller::open(target, token).await?;
            for (doctor, date) in jobs.iter().skip(first).step_by(stride) {
                caller.put_day(&Job { doctor: *doctor, date: *date }, shape).await?;
            }
            Ok::<_, PublishError>(())
        });
    }
    while let Some(ended) = publishers.join_next().await {
        ended.map_err(|error| PublishError::Died(error.to_string()))??;
    }
    Ok(days)
}

/// So many new doctors, in no order.
async fn create_doctors(target: &Target, admin_tokens: &[Box<str>], count: u32) -> Result<Vec<Uuid>, PublishError> {
    let mut creators = JoinSet::new();
    let stride = admin_tokens.len().max(1);
    for (first, token) in admin_tokens.iter().enumerate().take(count as usize) {
        let (target, token) = (target.clone(), token.clone());
        creators.spawn(async move {
            let mut caller = Caller::open(target, token).await?;
            let mut doctors = Vec::new();
            for _ in (first..count as usize).step_by(stride) {
                doctors.push(caller.create_doctor().await?);
            }
            Ok::<_, PublishError>(doctors)
        });
    }
    let mut doctors = Vec::with_capacity(count as usize);
    while let Some(ended) = creators.join_next().await {
        doctors.extend(ended.map_err(|error| PublishError::Died(error.to_string()))??);
    }
    Ok(doctors)
}

/// One connection of an administrator.
struct Caller {
    target: Target,
    token: Box<str>,
    connection: Connection,
}

impl Caller {
    async fn open(target: Target, token: Box<str>) -> Result<Self, PublishError> {
        let connection = Connection::open(target.address).await;
        let connection = connection
            .map_err(|source| PublishError::Transport { call: "connect".to_owned(), source: source.into() })?;
        Ok(Self { target, token, connection })
    }

    async fn create_doctor(&mut self) -> Result<Uuid, PublishError> {
        let body = json!({
            "name": "Dr. Vera Lind", "specialties": ["dermatology"], "time_zone": "UTC",
            "location": {"name": "Clinic at the Park", "city": "Utrecht", "lat": 52.09, "lon": 5.12},
        });
        let answer = self.call("POST /v1/doctors", &body.to_string()).await?;
        let unreadable = |_| PublishError::Died("a doctor without an id".to_owned());
        Ok(serde_json::from_slice::<Created>(&answer).map_err(unreadable)?.id)
    }

    async fn put_day(&mut self, job: &Job, shape: Shape) -> Result<(), PublishError> {
        let call = format!("PUT /v1/doctors/{}/days/{}", job.doctor, job.date);
        let body = day_body(job.date, shape)?;
        let mut attempts = 1;
        loop {
            match self.call(&call, &body).await {
                Err(PublishError::Status { status: 503, .. }) if attempts < ATTEMPTS_MAX => attempts += 1,
                // An earlier attempt has done it after all.
                Err(PublishError::Status { status: 200, .. }) if attempts > 1 => return Ok(()),
                put => return put.map(drop),
            }
            tokio::time::sleep(ATTEMPT_PAUSE).await;
        }
    }

    /// Anything but 201 is an error.
    async fn call(&mut self, call: &str, body: &str) -> Result<Vec<u8>, PublishError> {
        let request = format!(
            "{call} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.target.host,
            self.token,
            body.len()
        );
        let answer = self.connection.exchange(request.as_bytes()).await;
        let answer = answer.map_err(|source| PublishError::Transport { call: call.to_owned(), source })?;
        if answer.head.status != 201 {
            let body = String::from_utf8_lossy(answer.body).chars().take(300).collect();
            return Err(PublishError::Status { call: call.to_owned(), status: answer.head.status, body });
        }
        Ok(answer.body.to_vec())
    }
}

/// The body of a day: slots that follow each other, from 06:00 UTC on.
fn day_body(date: Date, shape: Shape) -> Result<String, PublishError> {
    let Shape { slots, places, minutes } = shape;
    let first = date.at(6, 0, 0, 0).to_zoned(TimeZone::UTC)?.timestamp();
    let start = |number: u32| first + SignedDuration::from_mins(minutes * i64::from(number));
    let slots = (0..slots).map(
        |number| json!({"start": start(number).to_string(), "end": start(number + 1).to_string(), "capacity": places}),
    );
    Ok(json!({"slots": slots.collect::<Vec<_>>()}).to_string())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::system::Workload;
    use super::*;

    /// Puts one day to a server that answers these, the last one for ever; tells how often it was asked.
    async fn put(statuses: &'static [u16]) -> (Result<(), PublishError>, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target { address: listener.local_addr().unwrap(), host: "h".to_owned() };
        let (job, shape) =
            (Job { doctor: Uuid::nil(), date: jiff::civil::date(2030, 1, 2) }, Workload::SoldOut.shape());
        let body = day_body(job.date, shape).unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut asked, mut received, mut buffer) = (0, Vec::new(), [0; 4_096]);
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                received.extend_from_slice(&buffer[..count]);
                if received.ends_with(body.as_bytes()) {
                    let status = statuses[asked.min(statuses.len() - 1)];
                    let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 2\r\n\r\n{{}}");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    (asked, received) = (asked + 1, Vec::new());
                }
            }
            asked
        });
        let mut caller = Caller::open(target, "token".into()).await.unwrap();
        let put = caller.put_day(&job, shape).await;
        drop(caller);
        (put, server.await.unwrap())
    }

    #[tokio::test]
    async fn a_day_is_put_again_after_503_and_nothing_else() {
        for (statuses, is_put, asked) in [
            (&[201][..], true, 1),
            (&[503, 503, 201], true, 3),
            (&[503, 200], true, 2),
            (&[200], false, 1),
            (&[409], false, 1),
        ] {
            let (put, times) = put(statuses).await;
            assert_eq!((put.is_ok(), times), (is_put, asked), "{statuses:?}: {put:?}");
        }
        let (put, times) = put(&[503]).await;
        assert!(matches!(put, Err(PublishError::Status { status: 503, .. })), "{put:?}");
        assert_eq!(times, ATTEMPTS_MAX as usize);
    }

    #[test]
    fn a_day_has_the_shape_of_its_workload() {
        let date = jiff::civil::date(2030, 1, 2);
        let body: serde_json::Value = serde_json::from_str(&day_body(date, Workload::Spread.shape()).unwrap()).unwrap();
        let slots = body["slots"].as_array().unwrap();
        assert_eq!(slots.len(), 20);
        assert_eq!(slots[1], json!({"start": "2030-01-02T06:15:00Z", "end": "2030-01-02T06:30:00Z", "capacity": 1000}));
        let body: serde_json::Value =
            serde_json::from_str(&day_body(date, Workload::OneHotDay.shape()).unwrap()).unwrap();
        // 200 slots of five minutes end on the same date.
        assert_eq!(body["slots"][199]["end"], "2030-01-02T22:40:00Z");
    }
}
