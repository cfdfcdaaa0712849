//! `/disconnects`: the page of disconnect records, and the same records as CSV.
//!
//! Promises: everything that can be chosen is in the address, and works without JavaScript; what strangers chose (names,
//! reason texts, addresses) is text on the page and in cells, never markup, attribute, formula or a change of reading
//! direction; what was asked for is never repeated when it is refused; the work is bounded: a range of 30 days,
//! 1,000 records a page, 20,000 a file, few large answers at a time, few questions to the records at a time.
//!
//! All below this file is a function of the filters, of what was found and of the time.

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

use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use hyper::StatusCode;
use hyper::header::{CONTENT_DISPOSITION, HeaderValue, LINK, RETRY_AFTER, VARY};
use tokio::sync::Semaphore;

use self::filters::{Filters, Range, Window};
use self::page::Found;
use self::view::View;
use super::Site;
use super::answer::Answer;
use super::layout::{Language, Page};
use super::packed::packed;
use super::questions::{Questions, Unanswered};
use crate::ledger::{PAGE_RECORDS, RecordQuery};

const PAGE: &str = "/disconnects";
const FILE: &str = "/disconnects/records.csv";

/// Answers over so many bytes are large.
const LARGE_BYTES: usize = 512 * 1024;

/// Large answers at a time: each is in memory until its client has taken it.
const LARGE_AT_A_TIME: usize = 3;

/// Both of these.
pub(super) const PATHS: [&str; 2] = [PAGE, FILE];

/// What a client would rather have: the values of its headers.
pub(super) struct Accepts {
    /// `Accept-Language`.
    pub(super) languages: String,
    /// `Accept-Encoding`.
    pub(super) codings: String,
}

/// Answers for the page and the file.
#[derive(Debug)]
pub(super) struct Disconnects {
    large: Arc<Semaphore>,
}

impl Default for Disconnects {
    fn default() -> Self {
        Self { large: Arc::new(Semaphore::new(LARGE_AT_A_TIME)) }
    }
}

impl Disconnects {
    /// The answer to a GET of `path`, one of these, with `query`.
    pub(super) async fn answer(
        &self,
        site: &Site,
        questions: &Questions,
        path: &str,
        query: &str,
        accepts: &Accepts,
    ) -> Answer {
        let languages = &accepts.languages;
        let answer = match path {
            PAGE => page_for(site, questions, query, languages).await,
            _ => file_for(site, questions, query, languages).await,
        };
        let answer = self.bounded(answer, Language::accepted(languages));
        let mut answer = packed(answer, &accepts.codings).await;
        if !is_large(&answer) {
            answer.large = None;
        }
        if answer.response.status() == StatusCode::SERVICE_UNAVAILABLE {
            answer = answer.with(RETRY_AFTER, HeaderValue::from_static("2"));
        }
        answer.with(VARY, HeaderValue::from_static("Accept-Language, Accept-Encoding"))
    }

    /// `answer`, with a place among the large ones if it needs one; a refusal where there is none.
    fn bounded(&self, mut answer: Answer, language: Language) -> Answer {
        if is_large(&answer) {
            match Arc::clone(&self.large).try_acquire_owned() {
                Ok(place) => answer.large = Some(place),
                Err(_) => return refused(language, Unanswered::Busy),
            }
        }
        answer
    }
}

fn is_large(answer: &Answer) -> bool {
    answer.response.body().remaining() > LARGE_BYTES
}

async fn page_for(site: &Site, questions: &Questions, query: &str, languages: &str) -> Answer {
    let (filters, problems) = Filters::read(query);
    let now = site.clock.now();
    let window = filters.window(now);
    let language = filters.language.unwrap_or_else(|| Language::accepted(languages));
    let words = words::words(language);
    let view = View { language, words, filters: &filters, window, zone: filters.zone(), now };
    let domains: Vec<_> = site.exposition.snapshot().domains.iter().map(|known| Arc::clone(&known.domain)).collect();
    let (status, main) = if problems.is_empty() {
        let found = find(questions, &filters, window).await;
        (
            found.page.as_ref().err().map_or(StatusCode::OK, |error| status(*error)),
            page::page(&view, &domains, Ok(&found)),
        )
    } else {
        (StatusCode::BAD_REQUEST, page::page(&view, &domains, Err(&problems)))
    };
    let page = Page {
        language,
        title: Some(words.title),
        here: PAGE,
        switch: form::switch(&filters),
        needs_script: true,
        site,
        main,
    };
    page.answer(status)
}

async fn find(questions: &Questions, filters: &Filters, window: Window) -> Found {
    let asked = question(filters, window, filters.limit);
    let records = filters.records.clone();
    let page = questions.ask(move |ledger| ledger.page(&asked)).await;
    // After the page and not beside it: a visitor takes one turn at a time.
    let summary = questions.ask(move |ledger| ledger.summary(&records, window.start, window.end)).await;
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

fn status(unanswered: Unanswered) -> StatusCode {
    match unanswered {
        Unanswered::TooSlow | Unanswered::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Unanswered::Unreadable => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn refused(language: Language, unanswered: Unanswered) -> Answer {
    Answer::text(status(unanswered), format!("{}\n", page::why(language, unanswered)))
}

/// The file: from the newest record, or from where `cursor` says, as far as [`csv`] lets it.
async fn file_for(site: &Site, questions: &Questions, query: &str, languages: &str) -> Answer {
    let (mut filters, problems) = Filters::read(query);
    let window = filters.window(site.clock.now());
    let language = filters.language.unwrap_or_else(|| Language::accepted(languages));
    if !problems.is_empty() {
        let lines: Vec<String> = problems.iter().map(|problem| words::problem(language, *problem) + "\n").collect();
        return Answer::text(StatusCode::BAD_REQUEST, lines.concat());
    }
    let zone = filters.zone();
    let mut parts = vec![Bytes::from(csv::head())];
    let (mut records, mut bytes) = (0, 0);
    loop {
        let asked = question(&filters, window, PAGE_RECORDS);
        let page = match questions.ask(move |ledger| ledger.page(&asked)).await {
            Ok(page) => page,
            Err(unanswered) => return refused(language, unanswered),
        };
        let mut lines = String::new();
        for one in &page.disconnects {
            csv::record(&mut lines, one, &zone, language);
        }
        records += page.disconnects.len();
        bytes += lines.len();
        if !lines.is_empty() {
            parts.push(lines.into());
        }
        filters.cursor = page.next_cursor;
        if filters.cursor.is_none() || records + PAGE_RECORDS > csv::FILE_RECORDS || bytes > csv::FILE_BYTES {
            break;
        }
    }
    let name = |at| zone::Zone::utc().write(at, "%Y%m%dT%H%M%SZ");
    let file = format!("attachment; filename=\"disconnects_{}_{}.csv\"", name(window.start), name(window.end));
    let rest = filters.cursor.map(|_| {
        // Of the same moments, whenever it is followed.
        filters.range = Range::Own(Some(window.start), Some(window.end));
        format!("<records.csv?{}>; rel=\"next\"", filters.query())
    });
    let mut answer = Answer::new(StatusCode::OK, "text/csv; charset=utf-8; header=present", parts);
    for (header, value) in [(CONTENT_DISPOSITION, Some(file)), (LINK, rest)] {
        // Both are ASCII: digits, and what a query is encoded in.
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            answer = answer.with(header, value);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_few_large_answers_are_in_memory_at_a_time() {
        let disconnects = Disconnects::default();
        let bounded = |bytes| disconnects.bounded(Answer::text(StatusCode::OK, "x".repeat(bytes)), Language::English);
        let mut held: Vec<Answer> = (0..LARGE_AT_A_TIME).map(|_| bounded(LARGE_BYTES + 1)).collect();
        assert!(held.iter().all(|answer| answer.large.is_some()));
        assert_eq!(bounded(LARGE_BYTES + 1).response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(bounded(LARGE_BYTES).response.status(), StatusCode::OK, "a usual page needs no place");
        held.pop();
        assert_eq!(bounded(LARGE_BYTES + 1).response.status(), StatusCode::OK);
    }
}
