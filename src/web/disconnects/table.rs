//! The records themselves, newest first, and the way to older ones.

use maud::{Markup, html};

use super::filters::Filters;
use super::tops::stream_link;
use super::view::{View, foreign};
use super::words;
use crate::ledger::{Disconnect, RecordPage};

/// The table. On a narrow screen each row becomes a card, which takes a table's meaning from it in some browsers; the
/// roles give it back.
pub(super) fn table(view: &View<'_>, page: &RecordPage) -> Markup {
    let words = view.words;
    let head = [words.ended, words.stream, words.class, words.reason, words.lasted, words.publisher];
    html! {
        @if page.disconnects.is_empty() {
            p.none { strong { (words.none) } " " (words.none_hint) }
        } @else {
            table.records role="table" {
                caption.hidden { (words.records_caption) }
                thead role="rowgroup" {
                    tr role="row" { @for title in head { th scope="col" role="columnheader" { (title) } } }
                }
                tbody role="rowgroup" {
                    @for disconnect in &page.disconnects { (row(view, disconnect)) }
                }
            }
        }
    }
}

fn row(view: &View<'_>, one: &Disconnect) -> Markup {
    let words = view.words;
    html! {
        tr role="row" {
            td.ended role="cell" { (view.moment(one.end)) }
            td.stream role="cell" { (stream_link(view, &one.domain, &one.app, &one.stream)) }
            td.kind role="cell" { (view.class(one.class)) }
            td.reason role="cell" {
                details {
                    summary { (view.reason(one.reason)) }
                    (details(view, one))
                }
            }
            td.lasted role="cell" { span.label { (words.lasted) " " } (words::duration(view.language, one.duration)) }
            td.publisher role="cell" {
                @if !one.client_ip.is_empty() { span.label { (words.publisher) " " } (foreign(&one.client_ip)) }
            }
        }
    }
}

fn details(view: &View<'_>, one: &Disconnect) -> Markup {
    let words = view.words;
    html! {
        dl {
            dt { (words.advice) }
            dd { (view.advice(one.reason)) }
            @if let Some(other) = view.other_reason_text(one.reason) {
                dt { (words.other_language) }
                dd { (other) }
            }
            dt { (words.as_told) }
            dd.name { (foreign(&one.reason_text)) }
            dt { (words.name) }
            dd {
                a href=(view.of_reason(one.reason)) {
                    code { (one.reason.as_str()) }
                }
            }
            dt { (words.started) }
            dd { (view.moment(one.start)) }
            @if !one.resolution.is_empty() {
                dt { (words.resolution) }
                dd { (foreign(&one.resolution)) }
            }
            dt { (words.account) }
            dd { (foreign(&one.account)) }
            dt { (words.first_seen) }
            dd { (view.moment(one.first_seen)) }
        }
        @if !one.counted { p.note { (words.before_counting) } }
    }
}

/// Links to the newest page and to the next older one.
pub(super) fn pager(view: &View<'_>, page: &RecordPage) -> Markup {
    let words = view.words;
    let older = page.next_cursor.map(|cursor| view.link(|filters| filters.cursor = Some(cursor)));
    html! {
        @if older.is_some() || view.filters.cursor.is_some() {
            nav.pager aria-label=(words.pages) {
                @if view.filters.cursor.is_some() { a href=(view.link(|_: &mut Filters| {})) { "« " (words.newest) } }
                @if let Some(older) = older { a.next href=(older) rel="next" { (words.older) " »" } }
            }
        }
    }
}
