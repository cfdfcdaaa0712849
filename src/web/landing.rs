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

pub(super) fn style() -> Answer {
    routes::lasting("text/css; charset=utf-8", STYLE)
}

pub(super) fn page(site: &Site) -> Answer {
    let now = site.clock.now();
    let healthy = site.board.healthy(site.clock.elapsed());
    let ready = site.board.ready();
    let accounts = site.board.accounts();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Tencent Live Exporter" }
                link rel="stylesheet" href=(STYLE_PATH);
            }
            body {
                h1 { "Tencent Live Exporter" }
                p { "Stream disconnects (断流记录) of Tencent Cloud Live for Prometheus." }
                p.states {
                    span.state.good[healthy].bad[!healthy] { @if healthy { "healthy" } @else { "not healthy" } }
                    span.state.good[ready].bad[!ready] { @if ready { "ready" } @else { "not ready" } }
                    span { "version " (site.build.version) ", revision " (site.build.revision) }
                }
                h2 { "Pages" }
                ul {
                    li { a href="disconnects" { "Disconnect records (断流记录)" } }
                    li { a href=(site.telemetry_path) { "Metrics" } }
                    li { a href="/-/healthy" { "Health" } }
                    li { a href="/-/ready" { "Readiness" } }
                }
                h2 { "Accounts" }
                div.wide {
                    table {
                        thead {
                            tr { th { "Account" } th { "Last poll" } th { "Last success" } th { "Watermark" } th { "Last error" } }
                        }
                        tbody { @for account in &accounts { (row(account, now)) } }
                    }
                }
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
            td { @match &account.last_error { Some(error) => bdi.error { (error) }, None => "none" } }
        }
    }
}

fn time(at: Option<UnixSeconds>, now: UnixSeconds) -> Markup {
    let Some(at) = at else { return html! { "not yet" } };
    let text = jiff::Timestamp::from_second(at).map_or_else(|_| at.to_string(), |time| time.to_string());
    html! { time datetime=(text) { (text) } " (" (now.saturating_sub(at)) " s ago)" }
}
