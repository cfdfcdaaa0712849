//! The simulator's own paths under `/-/`: unsigned, not part of any real API, for scripts that drive a simulation.
//!
//! | path | does |
//! |---|---|
//! | `GET /-/healthy` | answers `ok` |
//! | `GET /-/truth?since=UNIX` | what has been shown-able so far, see [`super::Truth::to_json`] |
//! | `GET /-/requests` | `{"count":…,"faults":{"throttle":…},"recent":[…]}` |
//! | `POST /-/events` | publishes a JSON array of [`super::Event`]s, answers their ids |
//! | `POST /-/hide`, `/-/show` | hides or shows the events of a JSON array of ids |
//! | `POST /-/quirks`, `/-/faults` | overwrites the named members, answers all of them |
//! | `POST /-/fail-next` | `{"times":3,"fault":"throttle"}` |
//! | `POST /-/stop-traffic?late=now` | no new sessions; with `late=now` publishes at once what waits; answers the truth |

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer::Answer;
use super::{Event, EventId, Fault, ScenarioError, World};
use crate::clock::UnixSeconds;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FailNext {
    times: usize,
    fault: Fault,
}

/// Answers a request for a path under `/-/`.
pub(super) fn answer(world: &World, method: &str, path: &str, query: &str, body: &[u8]) -> Answer {
    match (method, path) {
        ("GET", "/-/healthy") => Answer::new(200, "text/plain; charset=utf-8", b"ok\n".to_vec(), world.now()),
        ("GET", "/-/truth") => match parameter(query, "since").map(str::parse::<UnixSeconds>) {
            None => reply(world, Ok(world.truth().to_json())),
            Some(Ok(since)) => reply(world, Ok(world.truth_since(since).to_json())),
            Some(Err(_)) => reply(world, Err("since is no Unix time in seconds".into())),
        },
        ("GET", "/-/requests") => {
            let requests = world.requests();
            let (count, faults, recent) = (requests.count, requests.faults, requests.recent);
            reply(world, Ok(serde_json::json!({"count": count, "faults": faults, "recent": recent})))
        }
        ("POST", "/-/events") => {
            let ids = parsed::<Vec<Event>>(body).map(|events| world.publish_all(events));
            reply(world, ids.map(|ids| serde_json::json!({ "ids": ids })))
        }
        ("POST", "/-/hide") => reply(world, each(body, |id| world.hide(id))),
        ("POST", "/-/show") => reply(world, each(body, |id| world.show(id))),
        ("POST", "/-/quirks") => {
            let merged = parsed(body).and_then(|changes| world.merge_quirks(&changes).map_err(|e| told(&e)));
            reply(world, merged.map(|quirks| serde_json::json!(quirks)))
        }
        ("POST", "/-/faults") => {
            let merged = parsed(body).and_then(|changes| world.merge_faults(&changes).map_err(|e| told(&e)));
            reply(world, merged.map(|faults| serde_json::json!(faults)))
        }
        ("POST", "/-/fail-next") => {
            let set = parsed(body).map(|FailNext { times, fault }| world.fail_next(times.min(100_000), fault));
            reply(world, set.map(|()| serde_json::json!({})))
        }
        ("POST", "/-/stop-traffic") => {
            world.stop_traffic();
            if parameter(query, "late") == Some("now") {
                world.publish_late();
            }
            reply(world, Ok(world.truth().to_json()))
        }
        _ => {
            let text = "POST / is the API; see /-/truth, /-/requests, /-/events, /-/quirks, /-/faults\n";
            Answer::new(404, "text/plain; charset=utf-8", text.as_bytes().to_vec(), world.now())
        }
    }
}

fn reply(world: &World, result: Result<serde_json::Value, String>) -> Answer {
    let (status, value) = match result {
        Ok(value) => (200, value),
        Err(error) => (400, serde_json::json!({ "error": error })),
    };
    Answer { status, ..Answer::json(value.to_string().into_bytes(), world.now()) }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn told(error: &ScenarioError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// Does `what` to each of the ids; counts those there are.
fn each(body: &[u8], what: impl Fn(EventId) -> bool) -> Result<serde_json::Value, String> {
    let ids = parsed::<Vec<EventId>>(body)?;
    let found = ids.into_iter().filter(|id| what(*id)).count();
    Ok(serde_json::json!({ "found": found }))
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name)).map(|(_, value)| value)
}
