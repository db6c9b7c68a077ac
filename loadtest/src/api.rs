//! What the server says about a day: the day itself and its appointments, read over HTTP into plain rows.
//! Must not know: who pressed, or what the rows ought to be.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use uuid::Uuid;

use crate::driver::clock;
use crate::driver::connection::{Connection, TransportError};
use crate::driver::target::Target;

/// How long one read may take, connection included.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// More pages than the largest day can have (500 slots of 100,000 places in pages of 200), so that a cursor that
/// never ends is noticed.
const MAX_PAGES: usize = 250_001;

/// Why something could not be read.
#[derive(Debug, Error)]
pub(crate) enum ApiError {
    /// The server cannot be reached or does not answer.
    #[error("GET {path}: {source}")]
    Unreachable {
        /// What was asked.
        path: String,
        /// What went wrong.
        source: TransportError,
    },
    /// Another status than 200.
    #[error("GET {path}: status {status}: {body}")]
    Status {
        /// What was asked.
        path: String,
        /// What came.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// 200, but not what the contract says.
    #[error("GET {path}: unreadable: {reason}")]
    Unreadable {
        /// What was asked.
        path: String,
        /// Why.
        reason: String,
    },
}

/// UTC milliseconds of an RFC 3339 instant; `None` if it is none.
pub(crate) fn instant_millis(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// One slot of a day.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// Its start as the server writes it, to be named in a request.
    pub(crate) start: String,
    /// Its start, UTC milliseconds.
    pub(crate) start_millis: i64,
    /// Places in all.
    pub(crate) capacity: u64,
    /// Places that everyone can book now.
    pub(crate) remaining: u64,
}

/// A day as it stood at `server_time_millis`.
#[derive(Clone, Debug)]
pub(crate) struct Day {
    /// `scheduled`, `open`, `sold_out` or `closed`.
    pub(crate) state: String,
    /// The next release to come, UTC milliseconds.
    pub(crate) release_at_millis: Option<i64>,
    /// The server's time when it answered, UTC milliseconds.
    pub(crate) server_time_millis: i64,
    /// By start.
    pub(crate) slots: Vec<Slot>,
}

impl Day {
    /// Places that cannot be booked now.
    pub(crate) fn taken(&self) -> u64 {
        self.slots.iter().map(|slot| slot.capacity.saturating_sub(slot.remaining)).sum()
    }

    /// Whether it is the same but for the server's time.
    pub(crate) fn shows_the_same(&self, other: &Self) -> bool {
        let slot = |slot: &Slot| (slot.start_millis, slot.capacity, slot.remaining);
        self.state == other.state
            && self.release_at_millis == other.release_at_millis
            && self.slots.iter().map(slot).eq(other.slots.iter().map(slot))
    }
}

/// A day from the JSON of an answer or of a stream's event; else why it is none.
pub(crate) fn day_of(json: &[u8]) -> Result<Day, String> {
    serde_json::from_slice::<DayBody>(json).map_err(|error| error.to_string())?.day()
}

/// One appointment of a day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appointment {
    /// Its id.
    pub(crate) id: Uuid,
    /// Whose.
    pub(crate) patient: Uuid,
    /// Its slot's start, UTC milliseconds.
    pub(crate) start_millis: i64,
    /// When it was made, by the server, UTC milliseconds; `None` if the server does not say.
    pub(crate) created_millis: Option<i64>,
    /// Whether it keeps a place: neither cancelled nor expired.
    pub(crate) keeps_place: bool,
    /// Until when, UTC milliseconds of the server; `None` where it is no hold.
    pub(crate) held_until_millis: Option<i64>,
}

#[derive(Deserialize)]
struct DayBody {
    state: String,
    release_at: Option<String>,
    server_time: String,
    slots: Vec<SlotBody>,
}

impl DayBody {
    fn day(self) -> Result<Day, String> {
        let instant = |text: &str| instant_millis(text).ok_or_else(|| format!("{text} is no instant"));
        let slots = self.slots.into_iter().map(|slot| {
            let start_millis = instant(&slot.start)?;
            Ok(Slot { start: slot.start, start_millis, capacity: slot.capacity, remaining: slot.remaining })
        });
        Ok(Day {
            slots: slots.collect::<Result<_, String>>()?,
            release_at_millis: self.release_at.as_deref().map(instant).transpose()?,
            server_time_millis: instant(&self.server_time)?,
            state: self.state,
        })
    }
}

#[derive(Deserialize)]
struct SlotBody {
    start: String,
    capacity: u64,
    remaining: u64,
}

#[derive(Deserialize)]
struct PageBody {
    items: Vec<AppointmentBody>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct AppointmentBody {
    id: Uuid,
    patient_id: Uuid,
    start: String,
    created_at: Option<String>,
    status: String,
    hold_expires_at: Option<String>,
}

/// Reads one day with an admin's eyes, over a connection of its own that it opens again when needed.
pub(crate) struct DayReader {
    target: Target,
    day_path: String,
    admin_token: Box<str>,
    connection: Option<Connection>,
}

impl DayReader {
    /// For the day `date` of `doctor`; connects with the first read.
    pub(crate) fn new(target: Target, doctor: Uuid, date: jiff::civil::Date, admin_token: Box<str>) -> Self {
        Self { target, day_path: format!("/v1/doctors/{doctor}/days/{date}"), admin_token, connection: None }
    }

    /// From now on reads the day `date` of `doctor`, over the same connection.
    pub(crate) fn turn_to(&mut self, doctor: Uuid, date: jiff::civil::Date) {
        self.day_path = format!("/v1/doctors/{doctor}/days/{date}");
    }

    /// The day as everyone sees it, and the local instant at which the answer was whole.
    pub(crate) async fn day(&mut self) -> Result<(Day, Instant), ApiError> {
        let path = self.day_path.clone();
        let (body, received): (DayBody, _) = self.get(&path).await?;
        let day = body.day().map_err(|reason| ApiError::Unreadable { path, reason })?;
        Ok((day, received))
    }

    /// All appointments of the day, of every status, page by page in the server's order. Gives up at `deadline`.
    pub(crate) async fn appointments(&mut self, deadline: Instant) -> Result<Vec<Appointment>, ApiError> {
        let base = format!("{}/appointments?limit=200", self.day_path);
        let (mut path, mut rows) = (base.clone(), Vec::new());
        for _ in 0..MAX_PAGES {
            if clock::now() >= deadline {
                return Err(ApiError::Unreachable { path, source: TransportError::Timeout });
            }
            let (page, _): (PageBody, _) = self.get(&path).await?;
            for item in page.items {
                rows.push(read_appointment(&item, &path)?);
            }
            match page.next_cursor {
                Some(cursor) => path = format!("{base}&cursor={}", percent_encoded(&cursor)),
                None => return Ok(rows),
            }
        }
        Err(ApiError::Unreadable { path, reason: "the pages never end".to_owned() })
    }

    async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<(T, Instant), ApiError> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nAccept: application/json\r\n\r\n",
            self.target.host, self.admin_token
        );
        let kept = self.connection.take().filter(Connection::is_usable);
        let was_kept = kept.is_some();
        let mut outcome = self.exchange(kept, &request).await;
        if was_kept && outcome.is_err() {
            // The server may have closed a connection that idled; a GET can be asked again.
            outcome = self.exchange(None, &request).await;
        }
        let (status, body, received) =
            outcome.map_err(|source| ApiError::Unreachable { path: path.to_owned(), source })?;
        if status != 200 {
            let body = String::from_utf8_lossy(&body).chars().take(300).collect();
            return Err(ApiError::Status { path: path.to_owned(), status, body });
        }
        let value = serde_json::from_slice(&body)
            .map_err(|error| ApiError::Unreadable { path: path.to_owned(), reason: error.to_string() })?;
        Ok((value, received))
    }

    /// One exchange within the time limit, over `kept` or a new connection, which is kept in turn.
    async fn exchange(
        &mut self,
        kept: Option<Connection>,
        request: &str,
    ) -> Result<(u16, Vec<u8>, Instant), TransportError> {
        let read = async {
            let mut connection = match kept {
                Some(connection) => connection,
                None => Connection::open(self.target.address).await?,
            };
            let answer = connection.exchange(request.as_bytes()).await?;
            let read = (answer.head.status, answer.body.to_vec(), clock::now());
            self.connection = Some(connection);
            Ok(read)
        };
        tokio::time::timeout(READ_TIMEOUT, read).await.unwrap_or(Err(TransportError::Timeout))
    }
}

fn read_appointment(body: &AppointmentBody, path: &str) -> Result<Appointment, ApiError> {
    let reason = || format!("{} is no instant", body.start);
    let start_millis =
        instant_millis(&body.start).ok_or_else(|| ApiError::Unreadable { path: path.to_owned(), reason: reason() })?;
    let keeps_place = !matches!(body.status.as_str(), "cancelled" | "expired");
    let held_until = body.hold_expires_at.as_deref().filter(|_| body.status == "held");
    let created_millis = body.created_at.as_deref().and_then(instant_millis);
    Ok(Appointment {
        id: body.id,
        patient: body.patient_id,
        start_millis,
        created_millis,
        keeps_place,
        held_until_millis: held_until.and_then(instant_millis),
    })
}

/// `text` with everything but unreserved characters (RFC 3986) escaped, for a query value.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_the_query() {
        assert_eq!(percent_encoded("aZ9-._~"), "aZ9-._~");
        assert_eq!(percent_encoded("a+b/c=&é"), "a%2Bb%2Fc%3D%26%C3%A9");
    }

    #[test]
    fn instants_are_read_with_and_without_milliseconds() {
        assert_eq!(instant_millis("1970-01-01T00:00:01Z"), Some(1000));
        assert_eq!(instant_millis("1970-01-01T00:00:01.250Z"), Some(1250));
        assert_eq!(instant_millis("1970-01-01"), None);
    }
}
