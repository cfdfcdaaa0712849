//! `events`: what the API shows of a range of time, as a table, JSON or CSV.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};

use super::json::{Object, lines};
use super::progress::Progress;
use super::range::{Moment, range, shown};
use super::table::Table;
use super::{Failure, Flags, block_on, chain, load, say, say_error};
use crate::app::{self, Asked, AskedEvents};
use crate::clock::{Clock as _, SystemClock};
use crate::csv;
use crate::live::printable;
use crate::reason::{Class, Classifier, Reason, TABLE};
use crate::session::{Name, PushSession};
use crate::settings::{Settings, format_duration};
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// From when on: a duration up to now (2h, 7d), a time as 2026-01-31T08:00:00Z, or seconds since 1970; 60 days ago at
    /// most.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    since: Moment,
    /// Until when, written likewise [default: now].
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Only this account of the configuration; may be given several times [default: all].
    #[arg(long, value_name = "NAME")]
    account: Vec<String>,
    /// Only this push domain [default: those of the account].
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Only this app, the push path [default: those of the account].
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Only this stream, by its whole name.
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// Only this reason, a name that `reasons` prints; may be given several times.
    #[arg(long, value_name = "NAME", hide_possible_values = true, value_parser = reasons())]
    reason: Vec<String>,
    /// Only this class of reasons; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = classes())]
    class: Vec<String>,
    /// The one that ended first comes first.
    #[arg(long)]
    oldest_first: bool,
    /// How to print them.
    #[arg(long, value_enum, default_value_t = Form::Table)]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Table,
    Json,
    Csv,
}

fn reasons() -> PossibleValuesParser {
    TABLE.iter().map(|entry| entry.name).collect::<Vec<_>>().into()
}

fn classes() -> PossibleValuesParser {
    Class::ALL.map(Class::as_str).into()
}

/// A disconnect to be printed.
pub(super) struct Event {
    pub(super) account: String,
    pub(super) session: PushSession,
    pub(super) reason: Reason,
}

pub(super) fn run(flags: &Flags, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let settings = load(flags, &[])?;
    telemetry::start(&settings.log);
    let range = range(arguments.since, arguments.until, SystemClock::new().now()).map_err(Failure::Arguments)?;
    let name = |name: &Option<String>| name.as_deref().map(Name::from);
    let asked = Asked {
        accounts: accounts(&settings, &arguments.account)?,
        range,
        domain: name(&arguments.domain),
        app: name(&arguments.app),
        stream: name(&arguments.stream),
    };
    let progress = Progress::new();
    let answers = block_on(async { Ok(app::events(&settings, &asked, &progress.told()).await?) })?;
    drop(progress);
    let (mut failures, mut notes) = (Vec::new(), Vec::new());
    let classifier = Classifier::new(&settings.reasons);
    let wanted = |reason: Reason| {
        let is_in = |names: &[String], name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
        is_in(&arguments.reason, reason.as_str()) && is_in(&arguments.class, reason.class().as_str())
    };
    let mut events = Vec::new();
    for answer in answers {
        let AskedEvents { account, sessions, broken, incomplete_listings } = match answer {
            Ok(answer) => answer,
            Err(error) => {
                failures.push(format!("{}; nothing of this account is shown", chain(&error)));
                continue;
            }
        };
        failures.extend(incomplete(&account, incomplete_listings));
        notes.extend(unreadable(&account, &broken));
        let event = |session: PushSession| {
            let reason = classifier.classify(&session.reason_text);
            wanted(reason).then(|| Event { account: account.clone(), session, reason })
        };
        events.extend(sessions.into_iter().filter_map(event));
    }
    // Each account is in order; of one second their order stays.
    events.sort_by_key(|event| std::cmp::Reverse(event.session.end));
    if arguments.oldest_first {
        events.reverse();
    }
    match arguments.output {
        Form::Table => {
            say(&table(&events, asked.accounts.len() > 1));
            let (since, until) = (shown(range.start), shown(range.end));
            say_error(&format!("{} disconnects that ended from {since} to {until}", events.len()));
        }
        Form::Json => say(&json(&events)),
        Form::Csv => say(&csv(&events, std::io::stdout().is_terminal())),
    }
    for line in notes.iter().chain(&failures) {
        say_error(line);
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The accounts that are meant, each of the configuration.
pub(super) fn accounts(settings: &Settings, wanted: &[String]) -> Result<Vec<String>, Failure> {
    let known = settings.account_names();
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        let words = format!("--account {unknown}: the configuration has {}", known.join(", "));
        return Err(Failure::Arguments(printable(&words, usize::MAX)));
    }
    Ok(if wanted.is_empty() { known } else { wanted.to_vec() })
}

/// What to say of windows of which not every row was shown.
fn incomplete(account: &str, listings: u64) -> Option<String> {
    let words = "the API did not show every row, not even one by one; what it showed together is here. Ask for a shorter \
                 range, a domain or a stream";
    (listings > 0).then(|| format!("account {account}: in {listings} places {words}"))
}

fn unreadable(account: &str, broken: &[(&'static str, String)]) -> Option<String> {
    let (field, sample) = broken.first()?;
    let rows = broken.len();
    Some(format!("account {account}: {rows} rows cannot be read and are left out, the first for its {field}: {sample}"))
}

fn table(events: &[Event], with_accounts: bool) -> String {
    let account = with_accounts.then_some("ACCOUNT");
    let columns = ["DOMAIN", "APP", "STREAM", "REASON", "CLASS", "CLIENT IP"];
    let mut table = Table::new(["ENDED (UTC)", "LASTED"].into_iter().chain(account).chain(columns));
    for Event { account, session, reason } in events {
        let ended = shown(session.end).replace('T', " ").replace('Z', "");
        let lasted = format_duration(std::time::Duration::from_secs(session.lasted()));
        let [domain, app, stream] =
            [&session.domain, &session.app, &session.stream].map(|name| name.text().into_owned());
        // A text that no spelling matches is all there is to tell of its reason.
        let name = if *reason == Reason::Unmapped { &session.reason_text } else { reason.as_str() };
        let account = with_accounts.then(|| account.clone());
        let cells =
            [domain, app, stream, name.to_owned(), reason.class().as_str().to_owned(), session.client_ip.clone()];
        table.row([ended, lasted].into_iter().chain(account).chain(cells));
    }
    table.text()
}

fn json(events: &[Event]) -> String {
    let events: Vec<String> = events.iter().map(|event| object(event).end()).collect();
    format!("{{\"disconnects\":{}}}\n", lines(&events))
}

/// The fields of `/api/v1/disconnects` that need no ledger.
pub(super) fn object(event: &Event) -> Object {
    let Event { account, session, reason } = event;
    Object::new()
        .text("account", account)
        .name("domain", &session.domain)
        .name("app", &session.app)
        .name("stream", &session.stream)
        .text("start", &shown(session.start))
        .text("end", &shown(session.end))
        .number("duration_seconds", session.lasted())
        .text("client_ip", &session.client_ip)
        .text("reason", reason.as_str())
        .text("class", reason.class().as_str())
        .text("reason_text", &session.reason_text)
        .text("resolution", &session.resolution)
}

/// The columns of [`cells`].
pub(super) const COLUMNS: [&str; 12] = [
    "end",
    "start",
    "duration_seconds",
    "domain",
    "app",
    "stream",
    "reason",
    "class",
    "reason_text",
    "client_ip",
    "resolution",
    "account",
];

/// The cells of a line. A name that is not UTF-8 has what is not replaced.
pub(super) fn cells(event: &Event) -> [String; COLUMNS.len()] {
    let Event { account, session, reason } = event;
    let name = |name: &Name| name.text().into_owned();
    [
        shown(session.end),
        shown(session.start),
        session.lasted().to_string(),
        name(&session.domain),
        name(&session.app),
        name(&session.stream),
        reason.as_str().to_owned(),
        reason.class().as_str().to_owned(),
        session.reason_text.clone(),
        session.client_ip.clone(),
        session.resolution.clone(),
        account.clone(),
    ]
}

fn csv(events: &[Event], for_terminal: bool) -> String {
    let mut text = String::new();
    csv::line(&mut text, COLUMNS);
    for event in events {
        csv_line(&mut text, &cells(event), for_terminal);
    }
    text
}

/// Adds a line of cells as they are, or of what a terminal may be shown of them.
pub(super) fn csv_line(text: &mut String, cells: &[String], for_terminal: bool) {
    if for_terminal {
        let shown: Vec<String> = cells.iter().map(|cell| printable(cell, usize::MAX)).collect();
        csv::line(text, shown.iter().map(String::as_str));
    } else {
        csv::line(text, cells.iter().map(String::as_str));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_on_a_terminal_shows_what_a_file_keeps() {
        let cells = ["a\u{1b}[2J".to_owned(), "=1".to_owned()];
        let line = |for_terminal| {
            let mut text = String::new();
            csv_line(&mut text, &cells, for_terminal);
            text
        };
        assert_eq!(line(false), "\"a\u{1b}[2J\",\"'=1\"\r\n");
        assert_eq!(line(true), "\"a\\u{1b}[2J\",\"'=1\"\r\n");
    }
}
