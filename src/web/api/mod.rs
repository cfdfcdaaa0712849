//! `/api/v1/*`: what people and programs may ask for as JSON.
//!
//! The envelope is that of Prometheus' own HTTP API. `openapi.yaml` beside this file says all of it, is served with it,
//! and is held against it by tests.

mod parameters;
mod shapes;

use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER};
use serde::Serialize;

use super::answer::Answer;
use super::questions::{Questions, Unanswered};
use super::{Site, routes};

const DISCONNECTS: &str = "/api/v1/disconnects";
const REASONS: &str = "/api/v1/reasons";
const STATUS: &str = "/api/v1/status";
const OPENAPI: &str = "/api/v1/openapi.yaml";

const JSON: &str = "application/json";

/// All of these.
pub(super) const PATHS: [&str; 4] = [DISCONNECTS, REASONS, STATUS, OPENAPI];

/// The answer to a GET of `path`, one of these, with `query`.
pub(super) async fn answer(site: &Site, questions: &Questions, path: &str, query: &str) -> Answer {
    match path {
        DISCONNECTS => disconnects(questions, query).await,
        REASONS => without_parameters(query).map_or_else(bad, |()| success(&shapes::Taxonomy::new())),
        STATUS => without_parameters(query).map_or_else(bad, |()| success(&shapes::Status::new(site))),
        _ => routes::lasting("application/yaml", include_str!("openapi.yaml")),
    }
}

async fn disconnects(questions: &Questions, query: &str) -> Answer {
    let query = match parameters::read(query) {
        Ok(query) => query,
        Err(accepted) => return bad(accepted),
    };
    match questions.ask(move |records| records.page(&query)).await {
        Ok(page) => success(&shapes::Page::from(page)),
        Err(unanswered) => {
            let (status, kind) = match unanswered {
                Unanswered::TooSlow => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
                Unanswered::Busy => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
                Unanswered::Unreadable => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            };
            let answer = failure(status, kind, unanswered.to_string());
            let again = unanswered == Unanswered::Busy;
            if again { answer.with(RETRY_AFTER, HeaderValue::from_static("1")) } else { answer }
        }
    }
}

fn without_parameters(query: &str) -> Result<(), String> {
    if query.is_empty() { Ok(()) } else { Err("this path has no parameters".into()) }
}

#[derive(Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Envelope<T> {
    Success {
        data: T,
    },
    Error {
        #[serde(rename = "errorType")]
        kind: &'static str,
        error: String,
    },
}

fn success(data: &impl Serialize) -> Answer {
    json(StatusCode::OK, &Envelope::Success { data })
}

fn bad(accepted: String) -> Answer {
    failure(StatusCode::BAD_REQUEST, "bad_data", accepted)
}

fn failure(status: StatusCode, kind: &'static str, error: String) -> Answer {
    json(status, &Envelope::<()>::Error { kind, error })
}

fn json(status: StatusCode, envelope: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(envelope).expect("text, numbers and lists of them can be written as JSON");
    Answer::new(status, JSON, vec![body.into()])
}
