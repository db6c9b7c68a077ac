//! Texts that a request carries: cursors, instants, dates, zones, query strings, tags, keys, tokens. No text panics, and one
//! that is taken is written again as it was.
//! Must not know: routes.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use booking_core::{AppointmentId, Date, DoctorId, Role, SubjectId, UtcMillis};
use uuid::Uuid;

use super::{Dice, Plan, again, shapes};
use crate::api::idempotency::{IDEMPOTENCY_KEY, key_of};
use crate::api::instant::{self, InstantText};
use crate::api::query::Query;
use crate::api::tag::{self, Condition};
use crate::api::zone::Zone;
use crate::api::{cursor, input};
use crate::auth::Principal;
use crate::auth::key::SigningKey;
use crate::auth::token::{self, NewToken, Verifier};

const NOW: UtcMillis = UtcMillis(1_893_456_000_000);

/// The years 0001 to 9999.
const CALENDAR: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// What found a defect once, or looks as if it could.
const REGRESSIONS: [&str; 6] =
    ["", "\u{0}", "2026-02-30", "9999-12-31T23:59:60Z", "W/\"4294967296.1.0\"", "from=2026-01-01T00:00:00+01:00&&"];

/// The verifier, and who may speak through it.
struct Tokens {
    verifier: Verifier,
    subjects: Vec<SubjectId>,
    texts: Vec<String>,
}

impl Tokens {
    fn new() -> Self {
        let key = SigningKey::from_bytes([42; 32]);
        let principal = |number: u128, role| Principal {
            subject: SubjectId(Uuid::from_u128(number)),
            role,
            clinic: (number == 2).then(|| Uuid::from_u128(9)),
            audiences: if number == 3 { Arc::from([Box::from("gold")]) } else { Arc::from([]) },
        };
        let all = [principal(1, Role::Patient), principal(2, Role::Doctor), principal(3, Role::Admin)];
        let mint = |principal: &Principal| {
            token::mint(&key, &NewToken { principal: principal.clone(), issued_at: NOW, ttl_seconds: 3_600 })
        };
        let texts = all.iter().map(|principal| mint(principal).expect("a token")).collect();
        Self { verifier: Verifier::new(&key), subjects: all.iter().map(|all| all.subject).collect(), texts }
    }
}

fn corpus(tokens: &Tokens) -> Vec<String> {
    let texts = [
        "2026-01-31",
        "2024-02-29",
        "2026-01-31T07:00:00Z",
        "2026-01-31t23:59:59.9876-03:00",
        "Europe/Berlin",
        "America/St_Johns",
        "UTC",
        "limit=50&status=held&status=booked",
        "city=S%C3%A3o+Paulo",
        "W/\"1.2.3\", \"4.5.6\"",
        "*",
        "a-key-of-mine",
        "0190a3c4-0000-7000-8000-000000000000",
    ];
    let cursors = [
        cursor::of_appointment(NOW, AppointmentId(Uuid::from_u128(7))),
        cursor::of_doctor("Dra. Inês Carvalho", DoctorId(Uuid::from_u128(8))),
    ];
    texts.iter().map(|text| (*text).to_owned()).chain(cursors).chain(tokens.texts.iter().cloned()).collect()
}

fn headers(text: &str) -> Option<HeaderMap> {
    let value = HeaderValue::from_bytes(text.as_bytes()).ok()?;
    let names = [IF_MATCH, IF_NONE_MATCH, IDEMPOTENCY_KEY];
    Some(names.into_iter().map(|name| (name, value.clone())).collect())
}

fn attempt(tokens: &Tokens, text: &str) {
    if let Ok((start, id)) = cursor::to_appointment(text) {
        assert_eq!(cursor::of_appointment(start, id), text);
    }
    if let Ok((name, id)) = cursor::to_doctor(text) {
        assert_eq!(cursor::of_doctor(&name, id), text);
    }
    if let Some(at) = instant::parse(text).filter(|at| CALENDAR.contains(&at.0)) {
        assert_eq!(instant::parse(&InstantText(at).to_string()), Some(at));
    }
    if let Some(date) = Date::parse(text) {
        assert_eq!(date.to_string(), text);
    }
    if let Some(id) = input::parse_uuid(text) {
        assert_eq!(id.hyphenated().to_string(), text.to_lowercase());
    }
    if let Some(zone) = Zone::find(text) {
        assert!(Zone::find(zone.name()).is_some(), "{}", zone.name());
        let instants = [i64::MIN, -62_135_596_800_000, 0, NOW.0, 253_402_300_799_999, i64::MAX].map(UtcMillis);
        let dates = instants.map(|at| (zone.offset_seconds(at), zone.date(at)));
        assert!(
            dates.iter().filter_map(|(_, date)| *date).all(|date| zone.instant(date, 2, 30).is_some()),
            "{dates:?}"
        );
    }
    if let Ok(query) = Query::parse(text, &["limit", "city", "from", "cursor"], &["status"]) {
        // Each is taken or refused.
        let _ = (query.limit(), query.instant("from"), query.get("city"), query.all("status").count());
    }
    if let Some(headers) = headers(text) {
        if let Ok(Some(key)) = key_of(&headers) {
            assert_eq!(key, text);
        }
        if let Ok(Some(Condition::Tags(tags))) = tag::if_match(&headers) {
            let names_it = |tag| tag::none_match_names(&headers, tag);
            assert!(tags.iter().all(|tag| text.contains(&tag.to_string()[2..]) && names_it(tag)), "{tags:?}");
        }
    }
    if let Ok(principal) = tokens.verifier.verify(text, NOW) {
        assert!(tokens.subjects.contains(&principal.subject), "a token that nobody signed");
    }
}

#[test]
fn texts() {
    let (plan, tokens) = (Plan::from_environment(), Tokens::new());
    let corpus = corpus(&tokens);
    REGRESSIONS.iter().for_each(|text| attempt(&tokens, text));
    corpus.iter().for_each(|text| attempt(&tokens, text));
    let mut count = 0_u64;
    for case in plan.cases() {
        let mut dice: Dice = plan.dice(case);
        let from = dice.one_of(&corpus).clone();
        let text = shapes::text(&mut dice, &from);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| attempt(&tokens, &text))) {
            eprintln!("{}\nand keep it: {text:?}", again(&plan, "texts::texts", case));
            resume_unwind(panic);
        }
        count += 1;
    }
    eprintln!("texts: {count} cases of seed {}", plan.seed);
}
