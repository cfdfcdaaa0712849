//! The form of the filters, and those that are in use as links that take them away. It asks with GET, so that what it asks
//! for is the address.

use std::sync::Arc;

use maud::{Markup, html};

use super::super::layout::Language;
use super::filters::{Filters, OWN, PRESETS, Range, SIZES};
use super::view::{View, foreign};
use super::words;
use super::zone::{OFFERED, Zone};
use crate::ledger::StreamMatch;
use crate::reason::{Class, Reason, TABLE};

/// How a browser writes the value of a field for date and time.
const LOCAL: &str = "%Y-%m-%dT%H:%M:%S";

/// Most domains that are offered.
const OFFERED_DOMAINS: usize = 200;

/// The form. `domains` are offered while one is typed.
pub(super) fn form(view: &View<'_>, domains: &[Arc<str>]) -> Markup {
    let View { words, filters, .. } = view;
    let records = &filters.records;
    let stream = records.stream.as_ref().map(|(stream, _)| stream.as_str());
    let contains = records.stream.as_ref().is_some_and(|(_, how)| *how == StreamMatch::Contains);
    let is_own = matches!(filters.range, Range::Own(..));
    let has_more = records.app.is_some() || is_own;
    html! {
        search {
            form.filters action="disconnects" method="get" aria-labelledby="filters" {
                h2 id="filters" { (words.filters) }
                div.fields {
                    (field("range", words.range, html! {
                        select id="range" name="range" {
                            @for (name, seconds) in PRESETS {
                                option value=(name) selected[filters.range == Range::Last(seconds)] {
                                    (words::preset(view.language, name))
                                }
                            }
                            option value=(OWN) selected[is_own] { (words.own_range) }
                        }
                    }))
                    (text_field("domain", words.domain, records.domain.as_deref(), Some("domains")))
                    datalist id="domains" { @for domain in domains.iter().take(OFFERED_DOMAINS) { option value=(domain) {} } }
                    (field("stream", words.stream, html! {
                        div.joined {
                            select name="match" aria-label=(words.stream_match) {
                                option value="exact" selected[!contains] { (words.exact) }
                                option value="contains" selected[contains] { (words.contains) }
                            }
                            (input("stream", stream, None))
                        }
                    }))
                    (field("class", words.class, classes(view)))
                    (field("reason", words.reason, reasons(view)))
                    div.actions {
                        button type="submit" { (words.show) }
                        a.reset href={ "disconnects?" (reset(filters)) } { (words.reset) }
                    }
                }
                details open[has_more] {
                    summary { (view.say("More: app, from and to, time zone, rows", "更多：推流路径、起止时间、时区、每页条数")) }
                    div.fields {
                        (text_field("app", words.app, records.app.as_deref(), None))
                        (own(view, "start", words.start))
                        (own(view, "end", words.end))
                        (field("tz", words.zone, zones(view)))
                        (field("limit", words.page_size, sizes(filters)))
                    }
                }
                @if let Some(language) = filters.language { input type="hidden" name="lang" value=(language.code()); }
            }
        }
    }
}

/// The filters in use, each a link to the same without it.
pub(super) fn active(view: &View<'_>) -> Markup {
    let View { words, filters, .. } = view;
    let records = &filters.records;
    let chip = |label: &str, value: Markup, without: String| {
        html! {
            li {
                a href=(without) {
                    span.hidden { (words.without) " " }
                    span.key { (label) } " " (value) " " span.cross aria-hidden="true" { "×" }
                }
            }
        }
    };
    let mut chips = Vec::new();
    if let Some(domain) = &records.domain {
        chips.push(chip(words.domain, foreign(domain), view.link(|f| f.records.domain = None)));
    }
    if let Some(app) = &records.app {
        chips.push(chip(words.app, foreign(app), view.link(|f| f.records.app = None)));
    }
    if let Some((stream, how)) = &records.stream {
        let how = if *how == StreamMatch::Contains { words.contains } else { "=" };
        chips.push(chip(words.stream, html! { (how) " " (foreign(stream)) }, view.link(|f| f.records.stream = None)));
    }
    if let Some(class) = records.class {
        let name = html! { (words::class_name(view.language, class)) };
        chips.push(chip(words.class, name, view.link(|f| f.records.class = None)));
    }
    if let Some(reason) = records.reason {
        chips.push(chip(words.reason, view.reason(reason), view.link(|f| f.records.reason = None)));
    }
    html! { @if !chips.is_empty() { ul.active aria-label=(words.active) { @for chip in chips { (chip) } } } }
}

/// What stays when everything else is reset: how the page is shown.
fn reset(filters: &Filters) -> String {
    Filters { zone: filters.zone.clone(), language: filters.language, ..Filters::default() }.query()
}

#[expect(clippy::needless_pass_by_value, reason = "a piece of markup has one place")]
fn field(id: &str, label: &str, control: Markup) -> Markup {
    html! { div.field.{ "field-" (id) } { label for=(id) { (label) } (control) } }
}

fn text_field(name: &str, label: &str, value: Option<&str>, list: Option<&str>) -> Markup {
    field(name, label, input(name, value, list))
}

/// `dir="auto"`, since names are of any script.
fn input(name: &str, value: Option<&str>, list: Option<&str>) -> Markup {
    html! {
        input type="text" id=(name) name=(name) value=(value.unwrap_or_default()) list=[list] dir="auto"
            autocomplete="off" autocapitalize="none" spellcheck="false";
    }
}

fn own(view: &View<'_>, name: &str, label: &str) -> Markup {
    let Range::Own(start, end) = view.filters.range else {
        return field(name, label, html! { input type="datetime-local" id=(name) name=(name) step="1"; });
    };
    let at = if name == "start" { start } else { end };
    let value = at.map(|at| view.zone.write(at, LOCAL));
    field(name, label, html! { input type="datetime-local" id=(name) name=(name) step="1" value=[value]; })
}

fn classes(view: &View<'_>) -> Markup {
    let chosen = view.filters.records.class;
    html! {
        select id="class" name="class" {
            option value="" { (view.words.any) }
            @for class in Class::ALL {
                option value=(class.as_str()) selected[chosen == Some(class)] { (words::class_name(view.language, class)) }
            }
        }
    }
}

/// The reasons, class by class.
fn reasons(view: &View<'_>) -> Markup {
    let chosen = view.filters.records.reason;
    let of =
        |class: Class| TABLE.iter().map(|entry| entry.reason).filter(move |reason: &Reason| reason.class() == class);
    html! {
        select id="reason" name="reason" {
            option value="" { (view.words.any) }
            @for class in Class::ALL {
                optgroup label=(words::class_name(view.language, class)) {
                    @for reason in of(class) {
                        option value=(reason.as_str()) selected[chosen == Some(reason)] {
                            (words::reason_text(view.language, reason).0)
                        }
                    }
                }
            }
        }
    }
}

fn zones(view: &View<'_>) -> Markup {
    let offered = OFFERED.into_iter().filter_map(Zone::named);
    let chosen = Some(view.zone.clone()).filter(|zone| !OFFERED.contains(&zone.name()));
    html! {
        select id="tz" name="tz" {
            @for zone in chosen.into_iter().chain(offered) {
                option value=(zone.name()) selected[zone == view.zone] {
                    (zone.name()) @if !zone.is_utc() { " (" (zone.offset(view.now)) ")" }
                }
            }
        }
    }
}

fn sizes(filters: &Filters) -> Markup {
    let chosen = Some(filters.limit).filter(|limit| !SIZES.contains(limit));
    html! {
        select id="limit" name="limit" {
            @for size in chosen.into_iter().chain(SIZES) {
                option value=(size) selected[size == filters.limit] { (size) }
            }
        }
    }
}

/// The switch of language: the query of the same page by language.
pub(super) fn switch(filters: &Filters) -> [(Language, String); 2] {
    Language::ALL.map(|language| (language, Filters { language: Some(language), ..filters.clone() }.query()))
}
