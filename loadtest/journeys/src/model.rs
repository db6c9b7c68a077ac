//! What the API says of days and appointments, read from its JSON and checked for sense. Pure.
//! Must not know: who asked, or how it travelled.

use jiff::civil::Date;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// Where an appointment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Kept until it expires.
    Held,
    /// Kept.
    Booked,
    /// Given back.
    Cancelled,
    /// Lapsed.
    Expired,
    /// Over.
    Completed,
    /// Over, without the patient.
    NoShow,
}

impl Status {
    /// Whether it takes a place of its slot.
    pub(crate) const fn keeps_place(self) -> bool {
        !matches!(self, Self::Cancelled | Self::Expired)
    }
}

/// One doctor-day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DayId {
    /// Whose.
    pub(crate) doctor: Uuid,
    /// When, in the doctor's zone.
    pub(crate) date: Date,
}

/// An appointment as the API tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appointment {
    /// Its id.
    pub(crate) id: Uuid,
    /// Whose.
    pub(crate) patient: Uuid,
    /// On which day.
    pub(crate) day: DayId,
    /// Its slot's start, UTC milliseconds.
    pub(crate) start_millis: i64,
    /// Where it stands.
    pub(crate) status: Status,
    /// When it lapses, UTC milliseconds; only while it is held, or has lapsed.
    pub(crate) expires_at_millis: Option<i64>,
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Its start as the server writes it, to be named in a request.
    pub(crate) start: String,
    /// Its end, likewise.
    pub(crate) end: String,
    /// Its start, UTC milliseconds.
    pub(crate) start_millis: i64,
    /// Places in all.
    pub(crate) capacity: u64,
    /// Places that everyone can book now.
    pub(crate) remaining: u64,
}

/// A day with its slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Day {
    /// Which.
    pub(crate) id: DayId,
    /// `scheduled`, `open`, `sold_out` or `closed`.
    pub(crate) state: String,
    /// The next release to come, as the server writes it.
    pub(crate) release_at: Option<String>,
    /// The server's time when it answered, UTC milliseconds.
    pub(crate) server_time_millis: i64,
    /// By start.
    pub(crate) slots: Vec<Slot>,
}

/// A day of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DayInList {
    /// Which.
    pub(crate) id: DayId,
    /// Places that everyone can book now.
    pub(crate) remaining: u64,
}

#[derive(Deserialize)]
struct AppointmentBody {
    id: Uuid,
    patient_id: Uuid,
    doctor_id: Uuid,
    date: String,
    start: String,
    status: Status,
    hold_expires_at: Option<String>,
}

#[derive(Deserialize)]
struct DayBody {
    doctor_id: Uuid,
    date: String,
    state: String,
    release_at: Option<String>,
    server_time: String,
    slots: Vec<SlotBody>,
}

#[derive(Deserialize)]
struct SlotBody {
    start: String,
    end: String,
    capacity: u64,
    remaining: u64,
}

#[derive(Deserialize)]
struct DayInListBody {
    doctor_id: Uuid,
    date: String,
    remaining: u64,
}

#[derive(Deserialize)]
struct PageBody {
    items: Vec<Value>,
    next_cursor: Option<String>,
}

fn instant_millis(text: &str) -> Result<i64, String> {
    text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond).map_err(|_| format!("{text} is no instant"))
}

fn day_id(doctor: Uuid, date: &str) -> Result<DayId, String> {
    Ok(DayId { doctor, date: date.parse().map_err(|_| format!("{date} is no date"))? })
}

fn body<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| error.to_string())
}

/// An appointment.
pub(crate) fn appointment(value: &Value) -> Result<Appointment, String> {
    let body: AppointmentBody = body(value)?;
    Ok(Appointment {
        id: body.id,
        patient: body.patient_id,
        day: day_id(body.doctor_id, &body.date)?,
        start_millis: instant_millis(&body.start)?,
        status: body.status,
        expires_at_millis: body.hold_expires_at.as_deref().map(instant_millis).transpose()?,
    })
}

/// A day, with what must hold of any: slots in order, nothing free beyond the places there are.
pub(crate) fn day(value: &Value) -> Result<Day, String> {
    let body: DayBody = body(value)?;
    let slots = body.slots.into_iter().map(|slot| {
        let start_millis = instant_millis(&slot.start)?;
        let SlotBody { start, end, capacity, remaining } = slot;
        Ok(Slot { start, end, start_millis, capacity, remaining })
    });
    let slots = slots.collect::<Result<Vec<_>, String>>()?;
    if !slots.is_sorted_by(|one, next| one.start_millis < next.start_millis) {
        return Err("slots out of order".to_owned());
    }
    if let Some(slot) = slots.iter().find(|slot| slot.remaining > slot.capacity) {
        return Err(format!("slot {}: {} remaining of {}", slot.start, slot.remaining, slot.capacity));
    }
    let free: u64 = slots.iter().map(|slot| slot.remaining).sum();
    if (body.state == "open") != (free > 0) {
        return Err(format!("{free} places are free and the day is {}", body.state));
    }
    Ok(Day {
        id: day_id(body.doctor_id, &body.date)?,
        release_at: body.release_at,
        server_time_millis: instant_millis(&body.server_time)?,
        state: body.state,
        slots,
    })
}

/// The days of a list.
pub(crate) fn days(value: &Value) -> Result<Vec<DayInList>, String> {
    let items = value["items"].as_array().ok_or("no items")?;
    let item = |item| {
        let body: DayInListBody = body(item)?;
        Ok(DayInList { id: day_id(body.doctor_id, &body.date)?, remaining: body.remaining })
    };
    items.iter().map(item).collect()
}

/// The appointments of one page, and the cursor of the next.
pub(crate) fn page(value: &Value) -> Result<(Vec<Appointment>, Option<String>), String> {
    let page: PageBody = body(value)?;
    Ok((page.items.iter().map(appointment).collect::<Result<_, _>>()?, page.next_cursor))
}

/// The ids of the doctors of one page.
pub(crate) fn doctors(value: &Value) -> Result<Vec<Uuid>, String> {
    let page: PageBody = body(value)?;
    let id = |item: &Value| item["id"].as_str().and_then(|id| id.parse().ok()).ok_or("a doctor without an id");
    Ok(page.items.iter().map(id).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn day_with(state: &str, remaining: [u64; 2]) -> Value {
        let slot = |hour: u32, remaining: u64| {
            json!({"start": format!("2030-01-02T{hour:02}:00:00.000Z"), "end": format!("2030-01-02T{hour:02}:15:00.000Z"),
                   "capacity": 2, "remaining": remaining})
        };
        json!({"doctor_id": Uuid::nil(), "date": "2030-01-02", "time_zone": "UTC", "state": state, "release_at": null,
               "server_time": "2030-01-01T00:00:00.500Z", "version": 1,
               "slots": [slot(8, remaining[0]), slot(9, remaining[1])]})
    }

    #[test]
    fn a_day_is_read_and_nonsense_is_told() {
        let read = day(&day_with("open", [1, 0])).unwrap();
        assert_eq!((read.slots.len(), read.slots[0].remaining, read.release_at), (2, 1, None));
        assert_eq!(read.id.date, jiff::civil::date(2030, 1, 2));
        assert!(day(&day_with("sold_out", [0, 0])).is_ok());
        assert!(day(&day_with("open", [3, 0])).unwrap_err().contains("3 remaining of 2"));
        assert!(day(&day_with("sold_out", [1, 0])).unwrap_err().contains("1 places are free"));
        assert!(day(&day_with("open", [0, 0])).is_err());
        let mut disordered = day_with("open", [1, 1]);
        disordered["slots"].as_array_mut().unwrap().reverse();
        assert!(day(&disordered).unwrap_err().contains("out of order"));
    }

    #[test]
    fn an_appointment_is_read_with_its_expiry() {
        let mut told = json!({"id": Uuid::nil(), "doctor_id": Uuid::nil(), "patient_id": Uuid::nil(), "date": "2030-01-02",
            "time_zone": "UTC", "start": "2030-01-02T08:00:00.000Z", "end": "2030-01-02T08:15:00.000Z", "status": "held",
            "hold_expires_at": "1970-01-01T00:00:01.500Z"});
        let held = appointment(&told).unwrap();
        assert_eq!((held.status, held.expires_at_millis), (Status::Held, Some(1_500)));
        told["status"] = json!("lost");
        assert!(appointment(&told).is_err());
        assert_eq!(page(&json!({"items": [], "next_cursor": "x"})).unwrap(), (vec![], Some("x".to_owned())));
    }
}
