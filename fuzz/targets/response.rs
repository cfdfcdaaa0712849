//! Any body is an answer or an error, to whichever question.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tencent_live_exporter::listing::{Page, Row};
use tencent_live_exporter::live::{CODES, CallError, ERROR_KINDS, OnlinePage, decode_events, decode_online};
use tencent_live_exporter_fuzz::check;

/// Longest error: action, problem, sample, request id and advice, each of which has a bound of its own.
const ERROR_BYTES: usize = 1000;

fuzz_target!(|body: &[u8]| {
    match decode_events(body) {
        Ok(page) => {
            page.rows.iter().for_each(check::is_bounded);
            holds_no_more_than(&page, body);
            if is_literal(body) {
                is_not_invented(&page, body);
            }
            assert!(decode_events(&[body, b"}"].concat()).is_err(), "an answer that goes on is no answer");
        }
        Err(error) => is_sound(&error),
    }
    match decode_online(body) {
        Ok(page) => is_online(&page, body),
        Err(error) => is_sound(&error),
    }
});

/// Streams stand between commas, and so do the three names of each; the names are in the body.
fn is_online(page: &OnlinePage, body: &[u8]) {
    let commas = body.split(|byte| *byte == b',').count() - 1;
    assert!(page.streams.len().saturating_sub(1) + 2 * page.streams.len() <= commas, "{} streams", page.streams.len());
    let names = page.streams.iter().flat_map(|stream| [&stream.domain, &stream.app, &stream.stream]);
    for name in names.filter(|name| !name.as_bytes().is_empty() && is_literal(body)) {
        assert!(body.windows(name.as_bytes().len()).any(|window| window == name.as_bytes()), "{name:?}");
    }
}

/// Rows stand between commas, and so do the five members that a finished row has at least.
fn holds_no_more_than(page: &Page, body: &[u8]) {
    let commas = body.split(|byte| *byte == b',').count() - 1;
    let finished = page.rows.iter().filter(|row| matches!(row, Row::Finished(_))).count();
    assert!(page.rows.len().saturating_sub(1) + 4 * finished <= commas, "{} rows", page.rows.len());
    assert!(page.rows.len() <= 10_000);
}

/// Whether strings stand in the body as they are read: no escapes, nothing that has to be escaped first.
fn is_literal(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok() && !body.iter().any(|byte| *byte == b'\\' || *byte < b' ')
}

/// Whatever is read is in the body.
fn is_not_invented(page: &Page, body: &[u8]) {
    let text = std::str::from_utf8(body).expect("only asked of text");
    let has = |part: &[u8]| assert!(part.is_empty() || body.windows(part.len()).any(|window| window == part));
    if let Some(total) = page.total {
        assert!(text.contains(&total.to_string()), "{total} is not in the body");
    }
    for row in &page.rows {
        if let Row::Finished(session) = row {
            for name in [&session.domain, &session.app, &session.stream] {
                has(name.as_bytes());
            }
            for side in [&session.reason_text, &session.client_ip, &session.resolution] {
                has(side.as_bytes());
            }
        }
    }
}

fn is_sound(error: &CallError) {
    check::is_printable(&error.to_string(), ERROR_BYTES);
    check::is_printable(&format!("{error:?}"), 2 * ERROR_BYTES);
    assert!(ERROR_KINDS.contains(&error.kind()) && CODES.contains(&error.code()), "{error}");
    check::is_printable(error.request_id().unwrap_or_default(), 64);
    assert!(!(error.is_refusal() && error.is_retryable()), "refused for good, and yet worth another attempt: {error}");
}
