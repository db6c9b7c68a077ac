//! Whether a caller can read JSON, by its `Accept` header.
//! Must not know: what is answered.

use actix_web::http::header::{ACCEPT, HeaderMap};

/// Whether JSON is acceptable: no `Accept` at all, or one range that takes JSON and is not excluded by `q=0`.
pub(crate) fn takes_json(headers: &HeaderMap) -> bool {
    let mut given = false;
    for value in headers.get_all(ACCEPT) {
        let Ok(text) = value.to_str() else {
            return false;
        };
        if text == "*/*" || text == "application/json" {
            return true;
        }
        given |= !text.trim().is_empty();
        if takes_json_range(text) {
            return true;
        }
    }
    !given
}

/// The most specific range decides, as RFC 9110 has it.
fn takes_json_range(text: &str) -> bool {
    let mut best: Option<(u8, bool)> = None;
    for range in text.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or("").to_ascii_lowercase();
        let specific = match kind.as_str() {
            "application/json" | "application/problem+json" => 2,
            "application/*" => 1,
            "*/*" => 0,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let wanted = weight.is_none_or(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0));
        best = match best {
            Some((rank, kept)) if rank == specific => Some((rank, kept || wanted)),
            Some((rank, kept)) if rank > specific => Some((rank, kept)),
            _ => Some((specific, wanted)),
        };
    }
    best.is_some_and(|(_, wanted)| wanted)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn takes(values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT, HeaderValue::from_str(value).expect("a header value"));
        }
        takes_json(&headers)
    }

    #[test]
    fn json_is_taken_or_not() {
        for values in [
            &[][..],
            &[""],
            &["*/*"],
            &["application/json"],
            &["Application/JSON; charset=utf-8"],
            &["application/problem+json"],
            &["text/html, application/*;q=0.1"],
            &["text/html,*/*;q=0.8"],
            &["text/html", "application/json"],
        ] {
            assert!(takes(values), "{values:?}");
        }
        for values in [
            &["text/html"][..],
            &["application/xml"],
            &["application/json;q=0"],
            &["application/json;q=0, */*"],
            &["text/event-stream", "image/*"],
        ] {
            assert!(!takes(values), "{values:?}");
        }
    }
}
