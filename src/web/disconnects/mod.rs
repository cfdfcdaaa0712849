//! `/disconnects`: the page of disconnect records, and the same records as CSV.
//!
//! Promises: everything that can be chosen is in the address, and works without JavaScript; what strangers chose (names,
//! reason texts, addresses) is text on the page and in cells, never markup, attribute, formula or a change of reading
//! direction; what was asked for is never repeated when it is refused; the work is bounded: a range of 30 days,
//! 1,000 records a page, [`csv::FILE_RECORDS`] a file, a few questions to the ledger at a time.
//!
//! Everything but [`respond`] and [`download`] is a function of the filters, what was found and the time.

mod csv;
mod filters;
mod form;
mod page;
mod table;
mod timeline;
mod tops;
mod view;
mod words;
mod zone;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_DISPOSITION, HeaderValue, LINK, RETRY_AFTER, VARY};

use self::filters::{Filters, Range, Window};
use self::page::Found;
use self::view::View;
use super::Site;
use super::answer::Answer;
use super::desk::Trouble;
use super::layout::{Language, Page};
use crate::ledger::{PAGE_RECORDS, RecordQuery};

/// Where the page is.
pub(super) const PATH: &str = "/disconnects";
/// Where the file is.
pub(super) const FILE_PATH: &str = "/disconnects/records.csv";

/// Answers a request for the page.
pub(super) async fn respond(site: &Site, query: &str, accept_language: &str) -> Answer {
    let (filters, problems) = Filters::read(query);
    let now = site.clock.now();
    let window = filters.window(now);
    let language = filters.language.unwrap_or_else(|| Language::accepted(accept_language));
    let words = words::words(language);
    let view = View { language, words, filters: &filters, window, zone: filters.zone(), now };
    let (status, main) = if problems.is_empty() {
        let found = find(site, &filters, window).await;
        (status(&found), page::page(&view, Ok(&found)))
    } else {
        (StatusCode::BAD_REQUEST, page::page(&view, Err(&problems)))
    };
    let page = Page {
        language,
        title: words.title,
        switch: form::switch(&filters),
        telemetry_path: &site.telemetry_path,
        version: site.build.version,
        main,
    };
    again_later(page.answer(status))
}

async fn find(site: &Site, filters: &Filters, window: Window) -> Found {
    let asked = question(filters, window, filters.limit);
    let records = filters.records.clone();
    let page = site.desk.ask(move |ledger| ledger.page(&asked)).await;
    // After the page and not beside it: one visitor takes one place at the desk.
    let summary = site.desk.ask(move |ledger| ledger.summary(&records, window.start, window.end)).await;
    Found { page, summary }
}

fn question(filters: &Filters, window: Window, limit: usize) -> RecordQuery {
    RecordQuery {
        filter: filters.records.clone(),
        start: Some(window.start),
        end: Some(window.end),
        limit,
        cursor: filters.cursor,
    }
}

/// Without the records there is no page; without the sums there still is.
fn status(found: &Found) -> StatusCode {
    found.page.as_ref().err().map_or(StatusCode::OK, |trouble| status_of(*trouble))
}

fn status_of(trouble: Trouble) -> StatusCode {
    match trouble {
        Trouble::TooSlow | Trouble::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Trouble::Unreadable => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn again_later(answer: Answer) -> Answer {
    if answer.response.status() == StatusCode::SERVICE_UNAVAILABLE {
        answer.with(RETRY_AFTER, HeaderValue::from_static("2"))
    } else {
        answer
    }
}

/// Answers a request for the file: from the newest record, or from where `cursor` says, up to [`csv::FILE_RECORDS`].
pub(super) async fn download(site: &Site, query: &str, accept_language: &str) -> Answer {
    let (mut filters, problems) = Filters::read(query);
    let window = filters.window(site.clock.now());
    let language = filters.language.unwrap_or_else(|| Language::accepted(accept_language));
    if !problems.is_empty() {
        let lines: Vec<String> = problems.iter().map(|problem| words::problem(language, *problem) + "\n").collect();
        return Answer::text(StatusCode::BAD_REQUEST, lines.concat());
    }
    let zone = filters.zone();
    let mut parts = vec![Bytes::from(csv::head())];
    for _ in 0..csv::FILE_RECORDS / PAGE_RECORDS {
        let asked = question(&filters, window, PAGE_RECORDS);
        let page = match site.desk.ask(move |records| records.page(&asked)).await {
            Ok(page) => page,
            Err(trouble) => return again_later(Answer::text(status_of(trouble), page::trouble(language, trouble))),
        };
        let mut lines = String::new();
        for one in &page.disconnects {
            csv::record(&mut lines, one, &zone, language);
        }
        if !lines.is_empty() {
            parts.push(lines.into());
        }
        filters.cursor = page.next_cursor;
        if filters.cursor.is_none() {
            break;
        }
    }
    let name = |at| zone::Zone::utc().write(at, "%Y%m%dT%H%M%SZ");
    let file = format!("attachment; filename=\"disconnects_{}_{}.csv\"", name(window.start), name(window.end));
    let mut answer = Answer::new(StatusCode::OK, "text/csv; charset=utf-8; header=present", parts)
        .with(VARY, HeaderValue::from_static("Accept-Language"));
    let rest = filters.cursor.map(|_| {
        // Of the same moments, whenever it is followed.
        filters.range = Range::Own(Some(window.start), Some(window.end));
        format!("<records.csv?{}>; rel=\"next\"", filters.query())
    });
    for (header, value) in [(CONTENT_DISPOSITION, Some(file)), (LINK, rest)] {
        // Both are ASCII: digits, and what a query is encoded in.
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            answer = answer.with(header, value);
        }
    }
    answer
}
