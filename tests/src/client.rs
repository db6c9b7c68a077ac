//! One caller of the API, one method an endpoint, so that tests read as prose.
//! Must not know: what the answers should be.

use reqwest::Method;
use serde_json::{Value, json};

use crate::call::Call;
use crate::clock::fresh_id;
use crate::wish::Wish;

/// A caller with a token (or without one). Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    address: String,
    /// The token's subject; empty without a token. A patient's id, for a patient.
    pub subject: String,
    token: Option<String>,
}

impl Client {
    /// A caller of the program at that address.
    pub fn new(http: &reqwest::Client, address: &str, subject: &str, token: Option<String>) -> Self {
        Self { http: http.clone(), address: address.to_owned(), subject: subject.to_owned(), token }
    }

    /// Any request, with the caller's token.
    pub fn call(&self, method: &str, path: &str) -> Call {
        let method: Method = method.parse().expect("a method");
        let call = Call::new(&self.http, method, format!("{}{path}", self.address));
        match &self.token {
            Some(token) => call.token(token),
            None => call,
        }
    }

    /// Any GET.
    pub fn get(&self, path: &str) -> Call {
        self.call("GET", path)
    }

    /// `POST /v1/doctors`.
    pub fn create_doctor(&self, body: &Value) -> Call {
        self.call("POST", "/v1/doctors").json(body)
    }

    /// `PATCH /v1/doctors/{id}`.
    pub fn patch_doctor(&self, id: &str, body: &Value) -> Call {
        self.call("PATCH", &format!("/v1/doctors/{id}")).json(body)
    }

    /// `GET /v1/doctors/{id}`.
    pub fn doctor(&self, id: &str) -> Call {
        self.get(&format!("/v1/doctors/{id}"))
    }

    /// `GET /v1/doctors?…`.
    pub fn doctors(&self, query: &str) -> Call {
        self.get(&format!("/v1/doctors?{query}"))
    }

    /// `PUT /v1/doctors/{id}/days/{date}`.
    pub fn put_day(&self, doctor: &str, date: &str, body: &Value) -> Call {
        self.call("PUT", &format!("/v1/doctors/{doctor}/days/{date}")).json(body)
    }

    /// `POST /v1/doctors/{id}/days/{date}/close`, without a body.
    pub fn close_day(&self, doctor: &str, date: &str) -> Call {
        self.call("POST", &format!("/v1/doctors/{doctor}/days/{date}/close"))
    }

    /// `GET /v1/doctors/{id}/days/{date}`.
    pub fn day(&self, doctor: &str, date: &str) -> Call {
        self.get(&format!("/v1/doctors/{doctor}/days/{date}"))
    }

    /// `GET /v1/doctors/{id}/days?from=&to=`.
    pub fn days(&self, doctor: &str, from: &str, to: &str) -> Call {
        self.get(&format!("/v1/doctors/{doctor}/days?from={from}&to={to}"))
    }

    /// `GET /v1/doctors/{id}/days/{date}/appointments`, first page of 200.
    pub fn day_appointments(&self, doctor: &str, date: &str) -> Call {
        self.get(&format!("/v1/doctors/{doctor}/days/{date}/appointments?limit=200"))
    }

    /// `POST /v1/appointments` under a new key.
    pub fn book(&self, wish: &Wish) -> Call {
        self.call("POST", "/v1/appointments").json(wish.body()).key(&fresh_id())
    }

    /// `POST /v1/holds` under a new key.
    pub fn hold(&self, wish: &Wish) -> Call {
        self.call("POST", "/v1/holds").json(wish.body()).key(&fresh_id())
    }

    /// `POST /v1/appointments/{id}/confirm`, without a body.
    pub fn confirm(&self, id: &str) -> Call {
        self.call("POST", &format!("/v1/appointments/{id}/confirm"))
    }

    /// `POST /v1/appointments/{id}/reschedule`, without a key.
    pub fn reschedule(&self, id: &str, wish: &Wish) -> Call {
        self.call("POST", &format!("/v1/appointments/{id}/reschedule")).json(wish.body())
    }

    /// `POST /v1/appointments/{id}/cancel`, without a body.
    pub fn cancel(&self, id: &str) -> Call {
        self.call("POST", &format!("/v1/appointments/{id}/cancel"))
    }

    /// `POST /v1/appointments/{id}/cancel` with a reason.
    pub fn cancel_because(&self, id: &str, reason: &str) -> Call {
        self.cancel(id).json(&json!({"reason": reason}))
    }

    /// `DELETE /v1/appointments/{id}`.
    pub fn delete(&self, id: &str) -> Call {
        self.call("DELETE", &format!("/v1/appointments/{id}"))
    }

    /// `POST /v1/appointments/{id}/no-show`, without a body.
    pub fn no_show(&self, id: &str) -> Call {
        self.call("POST", &format!("/v1/appointments/{id}/no-show"))
    }

    /// `GET /v1/appointments/{id}`.
    pub fn appointment(&self, id: &str) -> Call {
        self.get(&format!("/v1/appointments/{id}"))
    }

    /// `GET /v1/appointments/{id}/history`.
    pub fn history(&self, id: &str) -> Call {
        self.get(&format!("/v1/appointments/{id}/history"))
    }

    /// `GET /v1/patients/{id}/appointments?…` of the caller.
    pub fn own_appointments(&self, query: &str) -> Call {
        self.appointments_of(&self.subject, query)
    }

    /// `GET /v1/patients/{id}/appointments?…`.
    pub fn appointments_of(&self, patient: &str, query: &str) -> Call {
        self.get(&format!("/v1/patients/{patient}/appointments?{query}"))
    }

    /// All items of a list, page by page; `path` holds everything but the cursor and has a `?`.
    pub async fn all_items(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut next = path.to_owned();
        loop {
            let page = self.get(&next).await.expect(200).json();
            items.extend(page["items"].as_array().expect("items").iter().cloned());
            let Some(cursor) = page["next_cursor"].as_str() else {
                assert!(page["next_cursor"].is_null(), "the last page says null: {page}");
                return items;
            };
            next = format!("{path}&cursor={cursor}");
        }
    }
}
