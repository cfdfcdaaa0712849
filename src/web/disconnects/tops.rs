//! The most frequent reasons, each with what to do about it, and the streams that break off most.

use maud::{Markup, html};

use super::filters::can_be_asked_for;
use super::timeline::proportion;
use super::view::{View, foreign};
use super::words::{number, percent};
use crate::ledger::{RecordSummary, StreamMatch, TopStream};
use crate::reason::Reason;

pub(super) fn reasons(view: &View<'_>, summary: &RecordSummary) -> Markup {
    let most = summary.reasons.iter().map(|(_, count)| *count).max().unwrap_or(0);
    html! {
        table.ranking {
            caption { h2 { (view.words.top_reasons) } }
            thead { (head(view, view.words.reason)) }
            tbody {
                @for (reason, count) in &summary.reasons {
                    tr {
                        th scope="row" { (reason_cell(view, *reason)) }
                        td.number { (number(*count)) }
                        td.number { (percent(*count, summary.total)) (bar(*count, most, reason.class().as_str())) }
                    }
                }
            }
        }
    }
}

fn reason_cell(view: &View<'_>, reason: Reason) -> Markup {
    html! {
        div.line {
            a href=(view.of_reason(reason)) { (view.reason(reason)) }
            " " (view.class(reason.class()))
        }
        @if let Some(other) = view.other_reason_text(reason) { div.other { (other) } }
        div.advice { span.hidden { (view.words.advice) ": " } (view.advice(reason)) }
    }
}

pub(super) fn streams(view: &View<'_>, summary: &RecordSummary) -> Markup {
    let most = summary.streams.iter().map(|stream| stream.total).max().unwrap_or(0);
    html! {
        table.ranking {
            caption { h2 { (view.words.top_streams) } }
            thead { (head(view, view.words.stream)) }
            tbody {
                @for stream in &summary.streams {
                    tr {
                        th scope="row" { (stream_cell(view, stream)) }
                        td.number { (number(stream.total)) }
                        td.number { (percent(stream.total, summary.total)) (bar(stream.total, most, "plain")) }
                    }
                }
            }
        }
        @if summary.streams_since > summary.start {
            p.note {
                (view.say("Of many records: streams are those since ", "记录较多：流排行自 "))
                (view.moment(summary.streams_since)) (view.say(".", " 起统计。"))
            }
        }
    }
}

fn head(view: &View<'_>, of: &str) -> Markup {
    html! {
        tr {
            th scope="col" { (of) }
            th.number scope="col" { (view.words.count) }
            th.number scope="col" { (view.words.share) }
        }
    }
}

fn stream_cell(view: &View<'_>, top: &TopStream) -> Markup {
    stream_link(view, &top.domain, &top.app, &top.stream)
}

/// A stream with its domain and app, as a link to what is of it, where an address can name it.
pub(super) fn stream_link(view: &View<'_>, domain: &str, app: &str, stream: &str) -> Markup {
    let can_be_linked = [domain, app, stream].iter().all(|name| can_be_asked_for(name));
    let shown = if stream.is_empty() {
        html! { (view.words.no_name) }
    } else {
        foreign(stream)
    };
    let link = || {
        view.link(|filters| {
            filters.records.domain = Some(domain.to_owned());
            filters.records.app = Some(app.to_owned());
            filters.records.stream = Some((stream.to_owned(), StreamMatch::Exact));
        })
    };
    html! {
        div.line.name { @if can_be_linked { a href=(link()) { (shown) } } @else { span { (shown) } } }
        div.other.name { (foreign(app)) " · " (foreign(domain)) }
    }
}

fn bar(count: u64, most: u64, colour: &str) -> Markup {
    let width = proportion(count, most, 100);
    html! {
        svg.share viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            rect.{ "c-" (colour) } width=(width.max(1)) height="4" {}
        }
    }
}
