//! What nodes ask of one another beside passing requests on: questions of the engine, opaque here.
//! Must not know: what is asked, who listens.

use actix_web::HttpResponse;

use crate::api::call::Call;
use crate::api::catalogue::Code;
use crate::api::problem::Problem;
use crate::middleware::edge::{Answer, bearer_token};

/// Where questions of the engine are asked.
pub(crate) const ASK: &str = "/internal/v1/ask";

/// `POST /internal/v1/ask`: only with a node's pass, also where TLS has shown already that it is a node.
pub(crate) async fn ask(mut call: Call) -> Answer {
    let nodes = call.worker().shared.nodes.as_ref().ok_or_else(|| Problem::of(Code::NotFound))?;
    let is_node = bearer_token(call.request()).is_some_and(|pass| nodes.passes.is_good(pass, call.now()));
    if !is_node {
        return Err(Problem::of(Code::Unauthenticated));
    }
    let question = call.read_body().await?;
    let answer = call.engine().answer_peer(&question).await;
    Ok(HttpResponse::Ok().content_type("application/octet-stream").body(answer))
}
