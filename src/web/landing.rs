//! The landing page: what runs here, how it does, where to go.

use hyper::StatusCode;
use maud::{DOCTYPE, Markup, html};

use super::answer::Answer;
use super::{Site, routes};
use crate::clock::UnixSeconds;
use crate::status::AccountStatus;

/// Where the style sheet is.
pub(super) const STYLE_PATH: &str = "/style.css";

const STYLE: &str = include_str!("style.css");

/// Where the page leads: paths of this site, and what to call them. The metrics come before them.
const LINKS: [(&str, &str); 2] = [("/-/healthy", "Health"), ("/-/ready", "Readiness")];

/// What the page says, in English.
mod words {
    pub(super) const TITLE: &str = "Tencent Live Exporter";
    pub(super) const WHAT: &str = "Stream disconnects (断流记录) of Tencent Cloud Live for Prometheus.";
    pub(super) const HEALTHY: [&str; 2] = ["not healthy", "healthy"];
    pub(super) const READY: [&str; 2] = ["not ready", "ready"];
    pub(super) const VERSION: &str = "Version";
    pub(super) const REVISION: &str = "revision";
    pub(super) const RUNNING_SINCE: &str = "running since";
    pub(super) const PAGES: &str = "Pages";
    pub(super) const METRICS: &str = "Metrics";
    pub(super) const ACCOUNTS: &str = "Accounts";
    pub(super) const ACCOUNT_COLUMNS: [&str; 5] =
        ["Account", "Last poll", "Last success", "Listed up to (watermark)", "Last error"];
    pub(super) const NO_ERROR: &str = "none";
    pub(super) const NOT_YET: &str = "not yet";
    pub(super) const AGO: &str = "ago";
    pub(super) const SERIES: &str = "Series of the stream counter";
    pub(super) const ON_THE_PAGE: &str = "On the metrics page";
    pub(super) const LIMIT: &str = "Limit (series.limit)";
    pub(super) const HELD: &str = "Held at their baseline until scrapers have read it";
    pub(super) const HELD_DISCONNECTS: &str = "Disconnects that wait behind them";
    pub(super) const IDLE: &str = "Off the page as idle (series.idle_ttl)";
    pub(super) const OVERFLOWED: &str = "Disconnects folded into __overflow__ since the start";
}

pub(super) fn style() -> Answer {
    routes::lasting("text/css; charset=utf-8", STYLE)
}

pub(super) fn page(site: &Site) -> Answer {
    let now = site.clock.now();
    let healthy = site.board.healthy(site.clock.elapsed());
    let ready = site.board.ready();
    let accounts = site.board.accounts();
    let metrics = (&*site.telemetry_path, words::METRICS);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (words::TITLE) }
                link rel="stylesheet" href=(site.link(STYLE_PATH));
            }
            body {
                h1 { (words::TITLE) }
                p { (words::WHAT) }
                p.states {
                    span.state.good[healthy].bad[!healthy] { (words::HEALTHY[usize::from(healthy)]) }
                    span.state.good[ready].bad[!ready] { (words::READY[usize::from(ready)]) }
                    span { (words::VERSION) " " (site.build.version) ", " (words::REVISION) " " (site.build.revision) }
                    span { (words::RUNNING_SINCE) " " (time(Some(site.started), now)) }
                }
                h2 { (words::PAGES) }
                ul {
                    @for (path, name) in std::iter::once(metrics).chain(LINKS) {
                        li { a href=(site.link(path)) { (name) } }
                    }
                }
                h2 { (words::ACCOUNTS) }
                div.wide {
                    table {
                        thead { tr { @for column in words::ACCOUNT_COLUMNS { th scope="col" { (column) } } } }
                        tbody { @for account in &accounts { (row(account, now)) } }
                    }
                }
                h2 { (words::SERIES) }
                (series(site, &accounts))
            }
        }
    };
    Answer::new(StatusCode::OK, "text/html; charset=utf-8", vec![page.into_string().into()])
}

fn row(account: &AccountStatus, now: UnixSeconds) -> Markup {
    html! {
        tr {
            // Isolated, so that a name with right-to-left marks cannot reorder its neighbours.
            th scope="row" { bdi { (account.name) } }
            @for at in [account.last_poll, account.last_success, account.watermark] { td { (time(at, now)) } }
            td { @match &account.last_error { Some(error) => bdi.error { (error) }, None => (words::NO_ERROR) } }
        }
    }
}

fn series(site: &Site, accounts: &[AccountStatus]) -> Markup {
    let (snapshot, own) = (site.exposition.snapshot(), site.exposition.own());
    let overflowed: u64 = accounts.iter().map(|account| own.overflowed_disconnects(&account.name)).sum();
    let numbers = [
        (words::ON_THE_PAGE, snapshot.series),
        (words::LIMIT, own.series_limit()),
        (words::HELD, snapshot.held_series),
        (words::HELD_DISCONNECTS, snapshot.held_disconnects),
        (words::IDLE, snapshot.idle_series),
        (words::OVERFLOWED, overflowed),
    ];
    html! {
        table { tbody { @for (what, number) in numbers { tr { th scope="row" { (what) } td.number { (number) } } } } }
    }
}

fn time(at: Option<UnixSeconds>, now: UnixSeconds) -> Markup {
    let Some(at) = at else { return html! { (words::NOT_YET) } };
    let text = jiff::Timestamp::from_second(at).map_or_else(|_| at.to_string(), |time| time.to_string());
    html! { time datetime=(text) { (text) } " (" (long(now.saturating_sub(at))) " " (words::AGO) ")" }
}

/// A number of seconds in the two largest of its units: `3 d 4 h`, `100 s`.
fn long(seconds: i64) -> String {
    match seconds {
        ..180 => format!("{seconds} s"),
        180..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
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
            assert_eq!(long(seconds), told);
        }
    }
}
