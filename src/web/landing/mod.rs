//! The landing page: what runs here, how it does, where to go.

mod words;

use hyper::StatusCode;
use hyper::header::{HeaderValue, VARY};
use maud::{Markup, html};

use self::words::Words;
use super::Site;
use super::answer::Answer;
use super::layout::{Language, Page};
use crate::clock::UnixSeconds;
use crate::status::AccountStatus;

/// The page in the language that `query` names, else in the one that an `Accept-Language` header would rather have.
pub(super) fn page(site: &Site, query: &str, accept_language: &str) -> Answer {
    let named = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "lang");
    let named = named.and_then(|(_, code)| Language::from_code(&code));
    let language = named.unwrap_or_else(|| Language::accepted(accept_language));
    let page = Page {
        language,
        title: None,
        here: "/",
        switch: Language::ALL.map(|language| (language, format!("lang={}", language.code()))),
        needs_script: false,
        site,
        main: main(site, words::words(language)),
    };
    page.answer(StatusCode::OK).with(VARY, HeaderValue::from_static("Accept-Language"))
}

fn main(site: &Site, words: &Words) -> Markup {
    let now = site.clock.now();
    let healthy = site.board.healthy(site.clock.elapsed());
    let ready = site.board.ready();
    let accounts = site.board.accounts();
    let metrics = (&*site.telemetry_path, words.metrics);
    html! {
        div.title {
            h1 { "Tencent Live Exporter" }
            p { (words.what) }
        }
        p.states {
            span.state.good[healthy].bad[!healthy] { (words.healthy[usize::from(healthy)]) }
            span.state.good[ready].bad[!ready] { (words.ready[usize::from(ready)]) }
            span { (words.version) " " (site.build.version) ", " (words.revision) " " (site.build.revision) }
            span { (words.running_since) " " (time(words, Some(site.started), now)) }
        }
        section.card aria-labelledby="accounts" {
            h2 id="accounts" { (words.accounts) }
            div.wide role="group" aria-labelledby="accounts" tabindex="0" {
                table {
                    thead { tr { @for column in words.account_columns { th scope="col" { (column) } } } }
                    tbody { @for account in &accounts { (row(words, account, now)) } }
                }
            }
        }
        section.card aria-labelledby="series" {
            h2 id="series" { (words.series) }
            (series(site, words, &accounts))
        }
        section.card aria-labelledby="pages" {
            h2 id="pages" { (words.pages) }
            ul {
                @for (path, name) in std::iter::once(metrics).chain(words.links) {
                    li { a href=(site.link(path)) { (name) } }
                }
            }
        }
    }
}

fn row(words: &Words, account: &AccountStatus, now: UnixSeconds) -> Markup {
    html! {
        tr {
            // Isolated, so that a name with right-to-left marks cannot reorder its neighbours.
            th scope="row" { bdi { (account.name) } }
            @for at in [account.last_poll, account.last_success, account.watermark] { td { (time(words, at, now)) } }
            td { @match &account.last_error { Some(error) => bdi.error { (error) }, None => (words.no_error) } }
        }
    }
}

fn series(site: &Site, words: &Words, accounts: &[AccountStatus]) -> Markup {
    let (snapshot, own) = (site.exposition.snapshot(), site.exposition.own());
    let overflowed: u64 = accounts.iter().map(|account| own.overflowed_disconnects(&account.name)).sum();
    let numbers = [
        (words.on_the_page, snapshot.series),
        (words.limit, own.series_limit()),
        (words.held, snapshot.held_series),
        (words.held_disconnects, snapshot.held_disconnects),
        (words.idle, snapshot.idle_series),
        (words.overflowed, overflowed),
    ];
    html! {
        table.plain {
            tbody { @for (what, number) in numbers { tr { th scope="row" { (what) } td.number { (number) } } } }
        }
    }
}

fn time(words: &Words, at: Option<UnixSeconds>, now: UnixSeconds) -> Markup {
    let Some(at) = at else { return html! { (words.not_yet) } };
    let text = jiff::Timestamp::from_second(at).map_or_else(|_| at.to_string(), |time| time.to_string());
    html! { time datetime=(text) { (text) } " (" (long(words, now.saturating_sub(at))) (words.ago) ")" }
}

/// A number of seconds in the two largest of its units: `3 d 4 h`, `100 s`.
fn long(words: &Words, seconds: i64) -> String {
    let [second, minute, hour, day] = words.units;
    match seconds {
        ..180 => format!("{seconds}{second}"),
        180..7200 => format!("{}{minute}", seconds / 60),
        7200..172_800 => format!("{}{hour} {}{minute}", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}{day} {}{hour}", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago_is_told_as_people_do() {
        for (seconds, told) in [
            (-3, "-3 s"),
            (0, "0 s"),
            (179, "179 s"),
            (180, "3 min"),
            (7199, "119 min"),
            (7200, "2 h 0 min"),
            (172_799, "47 h 59 min"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(long(words::words(Language::English), seconds), told);
        }
        assert_eq!(long(words::words(Language::Chinese), 273_600), "3 天 4 小时");
    }
}
