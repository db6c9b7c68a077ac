//! W3C Trace Context: which trace a request belongs to, read from its headers and written for whoever is asked next.
//! Must not know: spans, who records.
//!
//! What is not well-formed is ignored as if it were not there, as the recommendation demands: a caller is never refused for it.

use std::fmt::Write as _;
use std::rc::Rc;

use actix_web::http::header::{HeaderMap, HeaderName};
use engine::telemetry::trace::Onward;
use uuid::Uuid;

/// Names trace and parent.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What other tracing systems have to say; passed on.
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Members of a `tracestate`, and its length in all: the least that the recommendation asks for, which is also enough.
const MEMBERS_MAX: usize = 32;
const STATE_LENGTH_MAX: usize = 512;
/// The bit of the flags that says "recorded".
const SAMPLED: u8 = 1;
/// The length of a `traceparent` of version 00.
const PARENT_LENGTH: usize = 55;

/// Where in which trace a request stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TraceContext {
    /// Never 0.
    pub(crate) trace: u128,
    /// The span that the next one is a child of; never 0. The caller's, until this process has one of its own.
    pub(crate) span: u64,
    /// Whether it is recorded.
    pub(crate) is_sampled: bool,
    /// Whether the caller named it.
    pub(crate) is_given: bool,
    /// `tracestate`, if the caller gave a good one.
    pub(crate) state: Option<Rc<str>>,
}

impl TraceContext {
    /// The one that `headers` name, if they do.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(&TRACEPARENT);
        let value = values.next()?;
        if values.next().is_some() {
            return None;
        }
        let (trace, span, is_sampled) = parse_parent(value.as_bytes())?;
        Some(Self { trace, span, is_sampled, is_given: true, state: parse_state(headers) })
    }

    /// A new one, not recorded. It is named after the request, so that either name leads to the other.
    pub(crate) fn new(request: Uuid) -> Self {
        let bits = request.as_u128();
        // The low half of a new id is random; an id that a caller made up may be 0.
        let span = (bits as u64).max(1);
        Self { trace: bits.max(1), span, is_sampled: false, is_given: false, state: None }
    }

    /// Trace and parent for whoever is asked on behalf of the request.
    pub(crate) fn onward(&self) -> Onward {
        let mut parent = String::with_capacity(PARENT_LENGTH);
        // Writing to a String cannot fail.
        let _ = write!(parent, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.is_sampled));
        Onward { parent: parent.into(), state: self.state.as_deref().map(Box::from) }
    }
}

/// The trace's name in hexadecimal digits, as logs have it.
pub(crate) struct TraceName(pub(crate) u128);

impl std::fmt::Display for TraceName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

/// Trace, parent and whether it is recorded. A later version may say more behind what this one knows.
fn parse_parent(value: &[u8]) -> Option<(u128, u64, bool)> {
    let known = value.get(..PARENT_LENGTH)?;
    let dashes = [2, 35, 52].iter().all(|at| known[*at] == b'-');
    let version = hex(&known[..2])?;
    let is_whole = match version {
        0 => value.len() == PARENT_LENGTH,
        0xff => false,
        _ => value.get(PARENT_LENGTH).is_none_or(|next| *next == b'-'),
    };
    let (trace, span, flags) = (hex(&known[3..35])?, hex(&known[36..52])?, hex(&known[53..])?);
    let good = dashes && is_whole && trace != 0 && span != 0;
    good.then_some((trace, span as u64, flags as u8 & SAMPLED != 0))
}

/// Hexadecimal digits, which must be small letters.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number << 4 | u128::from(digit - b'0')),
        b'a'..=b'f' => Some(number << 4 | u128::from(digit - b'a' + 10)),
        _ => None,
    })
}

/// All `tracestate` headers as one, if every member is well-formed and none comes twice.
fn parse_state(headers: &HeaderMap) -> Option<Rc<str>> {
    let mut whole = String::new();
    let mut keys: Vec<&str> = Vec::new();
    for value in headers.get_all(&TRACESTATE) {
        for member in value.to_str().ok()?.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            if member.is_empty() {
                continue;
            }
            let (key, text) = member.split_once('=')?;
            if !is_state_key(key) || !is_state_value(text) || keys.contains(&key) || keys.len() == MEMBERS_MAX {
                return None;
            }
            keys.push(key);
            if !whole.is_empty() {
                whole.push(',');
            }
            whole.push_str(member);
        }
    }
    (!whole.is_empty() && whole.len() <= STATE_LENGTH_MAX).then(|| whole.into())
}

fn is_state_key(key: &str) -> bool {
    let part = |text: &str, length: usize, may_begin_with_digit: bool| {
        let begins = |byte: &u8| byte.is_ascii_lowercase() || (may_begin_with_digit && byte.is_ascii_digit());
        let goes_on = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(&byte);
        text.as_bytes().first().is_some_and(begins) && text.len() <= length && text.bytes().all(goes_on)
    };
    match key.split_once('@') {
        None => part(key, 256, true),
        Some((tenant, system)) => part(tenant, 241, true) && part(system, 14, false),
    }
}

fn is_state_value(text: &str) -> bool {
    let printable = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b',' && byte != b'=';
    (1..=256).contains(&text.len()) && text.bytes().all(printable)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn headers(parents: &[&str], states: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, values) in [(TRACEPARENT, parents), (TRACESTATE, states)] {
            for value in values {
                headers.append(name.clone(), HeaderValue::from_str(value).expect("a header value"));
            }
        }
        headers
    }

    fn parsed(parent: &str) -> Option<TraceContext> {
        TraceContext::of(&headers(&[parent], &[]))
    }

    fn state(states: &[&str]) -> Option<String> {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        TraceContext::of(&headers(&[&parent], states)).expect("a parent").state.map(|state| state.to_string())
    }

    #[test]
    fn a_good_parent_is_taken_and_written_as_it_came() {
        for (flags, sampled) in [("00", false), ("01", true), ("03", true), ("fe", false)] {
            let context = parsed(&format!("00-{TRACE}-{SPAN}-{flags}")).expect("good");
            assert_eq!(
                (context.trace, context.span),
                (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7)
            );
            assert_eq!((context.is_sampled, context.is_given), (sampled, true));
            let flags = if sampled { "01" } else { "00" };
            assert_eq!(&*context.onward().parent, format!("00-{TRACE}-{SPAN}-{flags}"));
        }
        let later = ["cc-TRACE-SPAN-01", "cc-TRACE-SPAN-01-more", "cc-TRACE-SPAN-01-"];
        for text in later {
            assert!(parsed(&text.replace("TRACE", TRACE).replace("SPAN", SPAN)).is_some(), "{text}");
        }
    }

    #[test]
    fn a_bad_parent_is_ignored() {
        let zeros = "0".repeat(32);
        for text in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-0x"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01.more"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00_{TRACE}_{SPAN}_01"),
            format!(" 00-{TRACE}-{SPAN}-01"),
        ] {
            assert_eq!(parsed(&text), None, "{text:?}");
        }
        let twice = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(TraceContext::of(&headers(&[&twice, &twice], &[])), None);
    }

    #[test]
    fn a_good_state_is_passed_on_and_a_bad_one_dropped_whole() {
        assert_eq!(
            state(&["rojo=00f067", "congo=t61 x , ,fw529a3039@dt=F\t"]),
            Some("rojo=00f067,congo=t61 x,fw529a3039@dt=F".to_owned())
        );
        let many: Vec<String> = (0..33).map(|number| format!("k{number}=v")).collect();
        assert!(state(&[&many[..32].join(",")]).is_some());
        for bad in [
            "",
            "  ",
            "rojo",
            "=x",
            "a=",
            "a=b=c",
            "A=b",
            "a b=c",
            "@x=y",
            "a@=b",
            "a@1=b",
            "a@b@c=d",
            "a=1,a=2",
            "a=\u{e4}",
            &format!("{}=x", "k".repeat(257)),
            &format!("a={}", "v".repeat(257)),
            &many.join(","),
            &format!("a={},b={}", "v".repeat(256), "v".repeat(256)),
        ] {
            assert_eq!(state(&[bad]), None, "{bad:?}");
        }
        assert_eq!(TraceContext::of(&headers(&[], &["a=b"])), None, "a state without a parent means nothing");
    }

    #[test]
    fn a_new_trace_bears_the_name_of_its_request() {
        let request = Uuid::from_u128(0x0190_a3c4_0000_7000_8000_0000_0000_0007);
        let context = TraceContext::new(request);
        assert_eq!(TraceName(context.trace).to_string(), request.simple().to_string());
        assert!(!context.is_given && !context.is_sampled);
        let nil = TraceContext::new(Uuid::nil());
        assert!(nil.trace != 0 && nil.span != 0);
        assert!(parsed(&nil.onward().parent).is_some(), "what is written can be read");
    }
}
