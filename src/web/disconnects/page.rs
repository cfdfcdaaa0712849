//! The page put together: form, what is wrong, timeline, tops, records.

use std::sync::Arc;

use maud::{Markup, html};

use super::super::layout::Language;
use super::super::questions::Unanswered;
use super::filters::{Problem, Range, Window};
use super::view::View;
use super::zone::Zone;
use super::{form, table, timeline, tops, words};
use crate::ledger::{RecordPage, RecordSummary};

/// What the records say, as far as they do.
pub(super) struct Found {
    pub(super) page: Result<RecordPage, Unanswered>,
    pub(super) summary: Result<RecordSummary, Unanswered>,
}

/// The page with what was found, or with what is wrong with the question. `domains` are those that are known.
pub(super) fn page(view: &View<'_>, domains: &[Arc<str>], found: Result<&Found, &[Problem]>) -> Markup {
    let words = view.words;
    html! {
        div.title {
            h1 { (words.title) }
            p { (words.intro) }
            // On a phone the form fills the first screen.
            @if found.is_ok() { a.jump href="#records" { (words.jump) } }
        }
        (form::form(view, domains))
        @match found {
            Err(problems) => (refused(view, problems)),
            Ok(found) => (results(view, found)),
        }
    }
}

fn refused(view: &View<'_>, problems: &[Problem]) -> Markup {
    html! {
        div.notice.bad role="alert" {
            p { (view.words.refused) }
            ul { @for problem in problems { li { (words::problem(view.language, *problem)) } } }
        }
    }
}

fn results(view: &View<'_>, found: &Found) -> Markup {
    let words = view.words;
    html! {
        (form::active(view))
        (span(view))
        @if view.window.is_cut { p.notice { (words.cut) } }
        section.card aria-labelledby="timeline" {
            h2 id="timeline" { (words.timeline) }
            @match &found.summary {
                Ok(summary) => {
                    @if summary.since > summary.start { (incomplete(view, summary)) }
                    (timeline::timeline(view, summary))
                }
                Err(unanswered) => (told(view, *unanswered)),
            }
        }
        @if let Ok(summary) = &found.summary {
            @if summary.total > 0 {
                div.tops {
                    section.card { (tops::reasons(view, summary)) }
                    section.card { (tops::streams(view, summary)) }
                }
            }
        }
        section.card aria-labelledby="records" {
            div.heading {
                h2 id="records" { (words.records) }
                ul.links {
                    li { a href={ "disconnects/records.csv?" (view.filters.query()) } { (words.download) } }
                    li { a href=(permanent(view)) { (words.permanent) } }
                }
            }
            @match &found.page {
                Ok(page) => {
                    (table::table(view, page))
                    (table::pager(view, page))
                }
                Err(unanswered) => (told(view, *unanswered)),
            }
        }
    }
}

/// From when to when, in the zone of whoever looks, UTC beside it.
fn span(view: &View<'_>) -> Markup {
    let Window { start, end, .. } = view.window;
    let written = |zone: &Zone| {
        let day = |at| zone.write(at, "%Y-%m-%d");
        let until = if day(start) == day(end) { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
        format!("{} – {}", zone.write(start, "%Y-%m-%d %H:%M:%S"), zone.write(end, until))
    };
    html! {
        p.span {
            @if !view.zone.is_utc() {
                span { (written(&view.zone)) " " (view.zone.name()) " (" (view.zone.offset(end)) ")" }
            }
            span.utc { (written(&Zone::utc())) " UTC" }
        }
    }
}

/// A link that shows the same tomorrow, and to whoever follows it in their own zone and language.
fn permanent(view: &View<'_>) -> String {
    view.link(|filters| {
        filters.range = Range::Own(Some(view.window.start), Some(view.window.end));
        filters.zone = None;
        filters.language = None;
    })
}

fn incomplete(view: &View<'_>, summary: &RecordSummary) -> Markup {
    html! {
        p.notice {
            (view.say("Too many records to look at: sums are of those since ", "记录过多：以下统计自 "))
            (view.moment(summary.since)) (view.say(".", " 起。"))
        }
    }
}

fn told(view: &View<'_>, told: Unanswered) -> Markup {
    html! { p.notice.bad role="alert" { (why(view.language, told)) } }
}

/// Why something is missing, and what helps.
pub(super) fn why(language: Language, unanswered: Unanswered) -> &'static str {
    let (english, chinese) = match unanswered {
        Unanswered::TooSlow => {
            ("That took too long. Narrow the range or the filters.", "查询超时，请缩小时间范围或筛选条件。")
        }
        Unanswered::Busy => ("Too many questions at once. Try again in a moment.", "同时查询过多，请稍后再试。"),
        Unanswered::Unreadable => ("The records cannot be read; the log says why.", "无法读取记录，原因见日志。"),
    };
    language.pick(english, chinese)
}
