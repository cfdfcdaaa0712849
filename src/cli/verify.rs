//! `verify`: whether the ledger has counted what the API shows, row by row.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::events::{self, Event, accounts};
use super::json::{Object, lines};
use super::progress::Progress;
use super::range::{Moment, range, shown};
use super::state::folder;
use super::table::Table;
use super::{Failure, Flags, Output, block_on, chain, load, say, say_error};
use crate::app::{self, AppError, Asked};
use crate::clock::{Clock as _, SystemClock};
use crate::poller::{Difference, DifferenceKind, Verification};
use crate::reason::{Classifier, Reason};
use crate::settings::Settings;
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// From when on: a duration up to now (2h, 7d), a time as 2026-01-31T08:00:00Z, or seconds since 1970. What the ledger
    /// has forgotten, see `poll.horizon`, is not compared.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    since: Moment,
    /// Until when, written likewise [default: now].
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Only this account of the configuration; may be given several times [default: all].
    #[arg(long, value_name = "NAME")]
    account: Vec<String>,
    /// How to print what differs.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// An account and what was found.
type Verified = (String, Verification);

pub(super) fn run(flags: &Flags, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let settings = load(flags, &[])?;
    telemetry::start(&settings.log);
    let range = range(arguments.since, arguments.until, SystemClock::new().now()).map_err(Failure::Arguments)?;
    let accounts = accounts(&settings, &arguments.account)?;
    let asked = Asked { accounts, range, domain: None, app: None, stream: None };
    let folder = folder(&settings)?;
    // Before hundreds of questions are asked in vain.
    crate::ledger::LedgerView::open(folder).map_err(AppError::from)?;
    let progress = Progress::new();
    let answers = block_on(async { Ok(app::verify(&settings, folder, &asked, &progress.told()).await?) })?;
    drop(progress);
    let (mut verified, mut complaints) = (Vec::new(), Vec::new());
    for (account, answer) in answers {
        match answer {
            Ok(found) => verified.push((account, found)),
            Err(error) => complaints.push(chain(&error)),
        }
    }
    let differ = verified.iter().any(|(_, found)| !found.comparison.differences.is_empty());
    let failed = differ || !complaints.is_empty();
    complaints.extend(verified.iter().filter_map(|(account, found)| incomplete(account, found.incomplete_listings)));
    let classifier = Classifier::new(&settings.reasons);
    say(&match arguments.output {
        Output::Table => text(&verified, &settings, &classifier),
        Output::Json => json(&verified, &classifier),
    });
    for complaint in complaints {
        say_error(&complaint);
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What to say of windows of which not every row was shown.
fn incomplete(account: &str, listings: u64) -> Option<String> {
    let words = "the API did not show every row, not even one by one; one that is not counted may be missed there";
    (listings > 0).then(|| format!("account {account}: in {listings} places {words}"))
}

fn text(verified: &[Verified], settings: &Settings, classifier: &Classifier) -> String {
    let mut table = Table::new([
        "DIFFERENCE",
        "ACCOUNT",
        "ENDED (UTC)",
        "STARTED (UTC)",
        "DOMAIN",
        "APP",
        "STREAM",
        "REASON",
        "API",
        "LEDGER",
    ]);
    let mut any = false;
    for (account, found) in verified {
        for Difference { kind, session, shown: rows, counted, counted_as } in &found.comparison.differences {
            any = true;
            let time = |at| shown(at).replace('T', " ").replace('Z', "");
            let name = |text: &str| match classifier.classify(text) {
                Reason::Unmapped => text.to_owned(),
                reason => reason.as_str().to_owned(),
            };
            let reason = match (kind, counted_as) {
                (DifferenceKind::Reason, Some(as_what)) => {
                    format!("{}, counted as {}", name(&session.reason_text), name(as_what))
                }
                (DifferenceKind::Reason, None) => format!("{}, counted as another", name(&session.reason_text)),
                _ => name(&session.reason_text),
            };
            table.row([
                words(*kind).to_owned(),
                account.clone(),
                time(session.end),
                time(session.start),
                session.domain.text().into_owned(),
                session.app.text().into_owned(),
                session.stream.text().into_owned(),
                reason,
                rows.to_string(),
                counted.to_string(),
            ]);
        }
    }
    let mut text = if any { table.text() + "\n" } else { String::new() };
    for (account, found) in verified {
        text.push_str(&summary(account, found, settings));
    }
    text
}

fn words(kind: DifferenceKind) -> &'static str {
    match kind {
        DifferenceKind::NotCounted => "not counted",
        DifferenceKind::NotShown => "not shown by the API",
        DifferenceKind::Number => "another number",
        DifferenceKind::Reason => "another reason",
    }
}

/// What was compared, and what was left out and why.
fn summary(account: &str, found: &Verification, settings: &Settings) -> String {
    let Verification { compared, comparison, .. } = found;
    let account = super::table::shown(account);
    let (since, until, watermark) = (shown(compared.start), shown(compared.end), shown(found.watermark));
    if compared.start > compared.end {
        return format!(
            "account {account}: nothing to compare yet; the ledger has listed up to {watermark}, and compared is what ended \
             from {since} to {until}\n"
        );
    }
    let mut text = format!(
        "account {account}: {} sessions that ended from {since} to {until} are the same, {} differ\n",
        comparison.equal + comparison.corrected,
        comparison.differences.len(),
    );
    let (horizon, keeps) = (settings.poll.horizon, settings.state.retention);
    let [horizon, keeps] = [horizon, keeps].map(crate::settings::format_duration);
    let earlier = if found.floor >= found.counting_since {
        format!("ended earlier: the ledger has forgotten them, poll.horizon is {horizon}")
    } else {
        format!("ended earlier: nothing is counted that ended before {}", shown(found.counting_since))
    };
    for (sessions, why) in [
        (found.fresh, format!("ended later: the ledger, which has listed up to {watermark}, may not have them yet")),
        (found.earlier, earlier),
        (comparison.unnamed, format!("have no record any more that names them (state.retention is {keeps})")),
        (comparison.not_asked_for, "are of domains or apps that the account is not asked for any more".to_owned()),
        (found.broken, "are rows of the API that cannot be read".to_owned()),
    ] {
        if sessions > 0 {
            writeln!(text, "  left out: {sessions} that {why}").expect("writing to a String does not fail");
        }
    }
    if comparison.corrected > 0 {
        let corrected = comparison.corrected;
        let words = "of them have another end, address or spelling of the reason by now; they are counted once";
        writeln!(text, "  {corrected} {words}").expect("writing to a String does not fail");
    }
    text
}

fn json(verified: &[Verified], classifier: &Classifier) -> String {
    let accounts: Vec<String> =
        verified.iter().map(|(account, found)| account_json(account, found, classifier)).collect();
    format!("{{\"accounts\":{}}}\n", lines(&accounts))
}

fn account_json(account: &str, found: &Verification, classifier: &Classifier) -> String {
    let Verification { compared, comparison, .. } = found;
    let difference = |one: &Difference| {
        let reason = classifier.classify(&one.session.reason_text);
        let event = Event { account: account.to_owned(), session: one.session.clone(), reason };
        let counted_as = one.counted_as.as_ref().map(|text| classifier.classify(text).as_str());
        events::object(&event)
            .text("difference", one.kind.as_str())
            .number("api_rows", one.shown)
            .number("ledger_rows", one.counted)
            .optional("counted_as", counted_as)
            .end()
    };
    let differences: Vec<String> = comparison.differences.iter().map(difference).collect();
    let left_out = Object::new()
        .number("fresh", found.fresh)
        .number("earlier", found.earlier)
        .number("unnamed", comparison.unnamed)
        .number("not_asked_for", comparison.not_asked_for)
        .number("unreadable", found.broken)
        .end();
    Object::new()
        .text("account", account)
        .text("since", &shown(compared.start))
        .text("until", &shown(compared.end))
        .text("watermark", &shown(found.watermark))
        .number("same", comparison.equal + comparison.corrected)
        .number("corrected", comparison.corrected)
        .raw("left_out", &left_out)
        .number("incomplete_listings", found.incomplete_listings)
        .raw("differences", &lines(&differences))
        .end()
}
