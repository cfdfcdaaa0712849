//! `doctor`: what works, what does not, and what to do, in one line each.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::events::accounts;
use super::json::{Object, lines};
use super::progress::Progress;
use super::table::{self, Table};
use super::{Failure, Flags, Output, block_on, environment, load, say, say_error};
use crate::app::{self, AskedExamination, Examined};
use crate::live::printable;
use crate::poller::{Check, Status};
use crate::settings::{Settings, parse_duration};
use crate::telemetry;

/// The longest watch: an hour tells enough.
const LONGEST_WATCH: Duration = Duration::from_secs(3_600);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only this account of the configuration; may be given several times [default: all].
    #[arg(long, value_name = "NAME")]
    account: Vec<String>,
    /// Watch the API for so long, up to an hour, to see how late it shows sessions that end meanwhile [default: not at all;
    /// what the ledger knows of it is told].
    #[arg(long, value_name = "DURATION", value_parser = watch)]
    watch: Option<Duration>,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

fn watch(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(watch) if watch <= LONGEST_WATCH => Ok(watch),
        _ => Err("accepted is a duration up to 1h, such as 2m".to_owned()),
    }
}

/// A check, and of which account it is.
type Line<'a> = (Option<&'a str>, &'a Check);

pub(super) fn run(flags: &Flags, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let settings = load(flags, &[])?;
    telemetry::start(&settings.log);
    let variable = |wanted: &str| environment().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let asked = AskedExamination {
        accounts: accounts(&settings, &arguments.account)?,
        watch: arguments.watch.unwrap_or_default(),
        environment_id: variable("TENCENTCLOUD_SECRET_ID"),
    };
    if !asked.watch.is_zero() {
        let seconds = asked.watch.as_secs();
        say_error(&format!("watching each account for {seconds} s; its other checks come first"));
    }
    let progress = Progress::new();
    let examined = block_on(async { Ok(app::examine(&settings, &asked, &progress.told()).await?) })?;
    drop(progress);
    let (config, state) = (config(flags, &settings), app::examine_state(&settings));
    let of_accounts =
        examined.iter().flat_map(|one| one.checks.iter().map(|check| (Some(one.account.as_str()), check)));
    let all: Vec<Line<'_>> = std::iter::once((None, &config)).chain(of_accounts).chain([(None, &state)]).collect();
    say(&match arguments.output {
        Output::Table => text(&all, &examined),
        Output::Json => json(&all, &examined),
    });
    let failed = all.iter().any(|(_, check)| check.status == Status::Failure);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Where the configuration came from, which is good if this is reached.
fn config(flags: &Flags, settings: &Settings) -> Check {
    let file = flags.config_file.as_deref().map(|file| printable(&file.display().to_string(), usize::MAX));
    let variables = environment().filter(|(name, _)| name.starts_with("TENCENT_LIVE__")).count();
    let s = if variables == 1 { "" } else { "s" };
    let from = match (file, variables) {
        (Some(file), 0) => format!("the file {file}"),
        (Some(file), _) => format!("the file {file} and {variables} TENCENT_LIVE__ variable{s}"),
        (None, 0) => "no file: defaults and flags".to_owned(),
        (None, _) => format!("no file: defaults, flags and {variables} TENCENT_LIVE__ variable{s}"),
    };
    let accounts = settings.account_names().join(", ");
    Check::ok("config", format!("{from}; accounts: {accounts}"))
}

fn text(all: &[Line<'_>], examined: &[Examined]) -> String {
    let account = (examined.len() > 1).then_some("ACCOUNT");
    let mut table = Table::of_sentences(["STATUS"].into_iter().chain(account).chain(["CHECK", "FOUND"]));
    for (of, Check { name, status, message, advice }) in all {
        let account = account.map(|_| of.unwrap_or_default().to_owned());
        let found = if advice.is_empty() { message.clone() } else { format!("{message}. To do: {advice}") };
        table.row([status.as_str().to_owned()].into_iter().chain(account).chain([(*name).to_owned(), found]));
    }
    let mut text = table.text();
    text.push('\n');
    let of = |status: Status| {
        let number = all.iter().filter(|(_, check)| check.status == status).count();
        let s = if number > 1 && matches!(status, Status::Warning | Status::Failure) { "s" } else { "" };
        (number > 0).then(|| format!("{number} {}{s}", status.as_str()))
    };
    let all = [Status::Ok, Status::Warning, Status::Failure, Status::Unknown, Status::Skipped];
    let requests: u64 = examined.iter().map(|one| one.requests).sum();
    let sums: Vec<String> = all.into_iter().filter_map(of).collect();
    let sums = sums.join(", ");
    let mut line = |line: &dyn std::fmt::Display| writeln!(text, "{line}").expect("writing to a String does not fail");
    line(&format_args!("{sums}; {requests} requests to the API"));
    for Examined { account, policy, .. } in examined {
        let account = table::shown(account);
        line(&format_args!("\nThe least that the key of account {account} has to be allowed, as a CAM policy:"));
        line(&policy.whole());
    }
    text
}

fn json(all: &[Line<'_>], examined: &[Examined]) -> String {
    let check = |(account, check): &Line<'_>| {
        Object::new()
            .optional("account", *account)
            .text("check", check.name)
            .text("status", check.status.as_str())
            .text("message", &check.message)
            .optional("advice", Some(check.advice.as_str()).filter(|advice| !advice.is_empty()))
            .end()
    };
    let account = |Examined { account, requests, policy, .. }: &Examined| {
        Object::new().text("account", account).number("requests", requests).raw("policy", &policy.whole()).end()
    };
    let checks: Vec<String> = all.iter().map(check).collect();
    let accounts: Vec<String> = examined.iter().map(account).collect();
    let document = Object::new().raw("checks", &lines(&checks)).raw("accounts", &lines(&accounts)).end();
    format!("{document}\n")
}
