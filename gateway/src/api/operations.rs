//! What operators and readers of the interface ask: health, metrics, the OpenAPI document and its page.
//! Must not know: bookings.

use std::sync::{Arc, LazyLock};

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use engine::view::Readiness;
use serde::Serialize;
use utoipa_swagger_ui::{Config, SyntaxHighlight};

use super::call::{Call, json};
use super::catalogue::Code;
use super::problem::Problem;
use crate::middleware::edge::Answer;
use crate::openapi;

/// What the page may load: its own files. Swagger UI writes style attributes and draws inline images.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                           connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// `GET /healthz/live`
pub(crate) async fn live(_call: Call) -> Answer {
    json(StatusCode::OK, &Health { status: "live" })
}

/// `GET /healthz/ready`
pub(crate) async fn ready(call: Call) -> Answer {
    let not_ready = |part, detail: String| {
        let problem = Problem::new(Code::Unavailable, format!("Not ready: {part}: {detail}"));
        Err(problem.part(part).retry_after_seconds(1))
    };
    if call.worker().shared.is_stopping() {
        return not_ready("stopping", "the process is on its way out".to_owned());
    }
    match call.engine().readiness() {
        Readiness::Ready => json(StatusCode::OK, &Health { status: "ready" }),
        Readiness::NotReady { part, detail } => not_ready(part, detail),
    }
}

/// `GET /metrics`
pub(crate) async fn metrics(call: Call) -> Answer {
    let shared = &call.worker().shared;
    shared.report();
    let page = shared.exporter.render();
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(page))
}

/// `GET /openapi.json`
pub(crate) async fn document(call: Call) -> Answer {
    call.no_query()?;
    let mut response = HttpResponse::Ok().content_type("application/json").body(openapi::document());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// The page: Swagger UI's own, with addresses that do not depend on a slash at the end of the page's.
const DOCS_PAGE: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<title>hotslot</title>
<link rel=\"stylesheet\" href=\"/docs/swagger-ui.css\">
<link rel=\"stylesheet\" href=\"/docs/index.css\">
<link rel=\"icon\" type=\"image/png\" href=\"/docs/favicon-32x32.png\" sizes=\"32x32\">
</head>
<body>
<div id=\"swagger-ui\"></div>
<script src=\"/docs/swagger-ui-bundle.js\"></script>
<script src=\"/docs/swagger-ui-standalone-preset.js\"></script>
<script src=\"/docs/swagger-initializer.js\"></script>
</body>
</html>
";

/// `GET /docs`
pub(crate) async fn docs(_call: Call) -> Answer {
    Ok(guarded_page(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(DOCS_PAGE)))
}

static DOCS: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    // Highlighting a large answer blocks the page for seconds; the validator would be an outside request.
    let highlight = SyntaxHighlight::default().activated(false);
    Arc::new(Config::from("/openapi.json").with_syntax_highlight(highlight).validator_url("none"))
});

/// `GET /docs/{file}`
pub(crate) async fn docs_file(call: Call) -> Answer {
    let file = call.request().match_info().get("file").unwrap_or("");
    let found = utoipa_swagger_ui::serve(file, Arc::clone(&DOCS))
        .map_err(|error| Problem::internal(format!("the page's file cannot be written: {error}")))?
        .ok_or_else(|| Problem::of(Code::NotFound))?;
    let mut response = HttpResponse::Ok().body(found.bytes.into_owned());
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(&found.content_type) {
        headers.insert(CONTENT_TYPE, kind);
    }
    if found.gzpipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(guarded_page(response))
}

fn guarded_page(mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(DOCS_POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
