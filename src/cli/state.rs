//! `state`: what the ledger holds, whether it is sound, what it has counted, and a copy of it. It is only looked at, so an
//! exporter may be writing it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, IsTerminal as _, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use super::events::{self, Event, csv_line};
use super::json::{Object, lines};
use super::range::shown;
use super::table::Table;
use super::{Failure, Flags, Output, load_without_keys, say, say_error};
use crate::app::AppError;
use crate::clock::UnixSeconds;
use crate::csv;
use crate::ledger::{Books, LedgerView, Overview, Record};
use crate::listing::Filter;
use crate::live::printable;
use crate::reason::{Classifier, TABLE};
use crate::session::Name;
use crate::settings::{Settings, StatePath};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print what the ledger holds: accounts with watermarks and floors, numbers of series, groups and records, sizes.
    Show {
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Look at every page and every sum of the ledger; print a line for each that is wrong, and exit 1 if there is one.
    Check,
    /// Write all totals, or all records, as JSON lines or CSV.
    Export {
        /// The single records in place of the totals.
        #[arg(long)]
        records: bool,
        /// How to write them.
        #[arg(long, value_enum, default_value_t = Form::Jsonl)]
        output: Form,
        /// New file to write to [default: standard output].
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Copy the ledger to a new file, whole and consistent, while an exporter may be writing it.
    Backup {
        /// The new file; in a state folder of its own it has to be called `ledger.sqlite`.
        #[arg(value_name = "FILE")]
        to: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    Jsonl,
    Csv,
}

pub(super) fn run(flags: &Flags, command: &Command) -> Result<ExitCode, Failure> {
    let settings = load_without_keys(flags)?;
    let folder = folder(&settings)?;
    match command {
        Command::Show { output } => {
            let overview = LedgerView::open(folder).and_then(|view| view.overview()).map_err(AppError::from)?;
            say(&match output {
                Output::Table => overview_text(folder, &overview),
                Output::Json => overview_json(folder, &overview),
            });
        }
        Command::Check => return check(folder),
        Command::Export { records, output, to } => export(&settings, folder, *records, *output, to.as_deref())?,
        Command::Backup { to } => {
            LedgerView::back_up(folder, to).map_err(AppError::from)?;
            let bytes = std::fs::metadata(to).map_or(0, |found| found.len());
            say(&format!("{} bytes copied to {}\n", bytes, printable(&to.display().to_string(), usize::MAX)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the ledger is.
pub(super) fn folder(settings: &Settings) -> Result<&Path, Failure> {
    match &settings.state.path {
        StatePath::Folder(folder) => Ok(folder),
        StatePath::Memory => {
            let words = "state.path is :memory:, which nobody else can look at; name a folder with --state.path";
            Err(Failure::Arguments(words.to_owned()))
        }
    }
}

fn check(folder: &Path) -> Result<ExitCode, Failure> {
    let findings = match LedgerView::open(folder) {
        Ok(view) => view.findings().map_err(AppError::from)?,
        Err(crate::ledger::LedgerError::Contradiction(why)) => vec![why],
        Err(error) => return Err(AppError::from(error).into()),
    };
    for finding in &findings {
        say(&format!("{}\n", printable(finding, usize::MAX)));
    }
    if findings.is_empty() {
        say("the ledger is sound\n");
        return Ok(ExitCode::SUCCESS);
    }
    say_error(
        "the ledger is not sound; stop the exporter, keep a copy of the state folder, and put a backup in its place, see \
         README, State",
    );
    Ok(ExitCode::FAILURE)
}

fn overview_text(folder: &Path, overview: &Overview) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        writeln!(text, "{name:17}{value}").expect("writing to a String does not fail");
    };
    line("folder", printable(&folder.display().to_string(), usize::MAX));
    line("schema version", overview.schema_version.to_string());
    line("disconnects", format!("{}, {} of them in no series", overview.disconnects, overview.excluded));
    line("domains", overview.domains.to_string());
    line("series", format!("{}, {} of them held", overview.series, overview.held_series));
    line("groups", format!("{} with {} sessions that are remembered", overview.groups, overview.sessions));
    let ended = overview.oldest_record.zip(overview.newest_record);
    let ended = ended.map_or(String::new(), |(old, new)| format!(", ended from {} to {}", shown(old), shown(new)));
    line("records", format!("{}{ended}", overview.records));
    for (file, bytes) in &overview.files {
        line("file", format!("{} {bytes} bytes", printable(file, usize::MAX)));
    }
    let mut table =
        Table::new(["ACCOUNT", "LISTING", "WATERMARK", "FLOOR", "COUNTS SINCE", "FIRST START", "PUBLISHED"]);
    for (name, account) in &overview.accounts {
        let mut row = |listing: String, watermark: Option<UnixSeconds>| {
            table.row([
                name.clone(),
                listing,
                watermark.map_or(String::new(), shown),
                shown(account.floor),
                shown(account.counting_since),
                shown(account.first_start),
                if account.published { "yes" } else { "no" }.to_owned(),
            ]);
        };
        for (scope, books) in &account.scopes {
            row(listing(scope), books.watermark);
        }
        if account.scopes.is_empty() {
            row(String::new(), None);
        }
    }
    format!("{text}\n{}", table.text())
}

fn listing(scope: &Filter) -> String {
    let part = |name: &Option<Name>| name.as_ref().map_or("*".into(), |name| name.text().into_owned());
    format!("{}/{}", part(&scope.domain), part(&scope.app))
}

fn overview_json(folder: &Path, overview: &Overview) -> String {
    let time = |at: Option<UnixSeconds>| at.map(shown);
    let accounts: Vec<String> = overview
        .accounts
        .iter()
        .map(|(name, account)| {
            let listing = |(scope, books): (&Filter, &crate::ledger::ScopeBooks)| {
                let name = |object: Object, key, name: &Option<Name>| match name {
                    Some(name) => object.name(key, name),
                    None => object.optional(key, None),
                };
                let object = name(name(Object::new(), "domain", &scope.domain), "app", &scope.app);
                object.optional("watermark", time(books.watermark).as_deref()).end()
            };
            let listings: Vec<String> = account.scopes.iter().map(listing).collect();
            Object::new()
                .text("account", name)
                .text("first_start", &shown(account.first_start))
                .text("counts_since", &shown(account.counting_since))
                .text("floor", &shown(account.floor))
                .number("published", account.published)
                .raw("listings", &format!("[{}]", listings.join(",")))
                .end()
        })
        .collect();
    let file = |(name, bytes): &(String, u64)| Object::new().text("name", name).number("bytes", bytes).end();
    let files: Vec<String> = overview.files.iter().map(file).collect();
    let document = Object::new()
        .text("folder", &folder.display().to_string())
        .number("schema_version", overview.schema_version)
        .number("disconnects", overview.disconnects)
        .number("excluded_disconnects", overview.excluded)
        .number("domains", overview.domains)
        .number("series", overview.series)
        .number("held_series", overview.held_series)
        .number("groups", overview.groups)
        .number("sessions", overview.sessions)
        .number("records", overview.records)
        .optional("oldest_record", time(overview.oldest_record).as_deref())
        .optional("newest_record", time(overview.newest_record).as_deref())
        .raw("files", &format!("[{}]", files.join(",")))
        .raw("accounts", &lines(&accounts))
        .end();
    format!("{document}\n")
}

/// Lines on their way out.
struct Lines {
    out: Box<dyn Write>,
    form: Form,
    for_terminal: bool,
    failed: Option<std::io::Error>,
}

impl Lines {
    fn new(form: Form, to: Option<&Path>) -> std::io::Result<Self> {
        let out: Box<dyn Write> = match to {
            None => Box::new(std::io::stdout().lock()),
            Some(to) => {
                let mut options = File::options();
                options.write(true).create_new(true);
                // Names and addresses are in it.
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                Box::new(options.open(to)?)
            }
        };
        let for_terminal = to.is_none() && std::io::stdout().is_terminal();
        Ok(Self { out: Box::new(BufWriter::new(out)), form, for_terminal, failed: None })
    }

    /// Writes a line, or nothing once that has failed.
    fn write(&mut self, line: &str) -> ControlFlow<()> {
        if self.failed.is_none() {
            self.failed = self.out.write_all(line.as_bytes()).err();
        }
        if self.failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn columns<'a>(&mut self, columns: impl IntoIterator<Item = &'a str>) {
        if self.form == Form::Csv {
            let mut line = String::new();
            csv::line(&mut line, columns);
            // What fails here is told at the end.
            let _ = self.write(&line);
        }
    }

    fn line(&mut self, object: impl FnOnce() -> Object, cells: impl FnOnce() -> Vec<String>) -> ControlFlow<()> {
        let mut line = String::new();
        match self.form {
            Form::Jsonl => {
                line.push_str(&object().end());
                line.push('\n');
            }
            Form::Csv => csv_line(&mut line, &cells(), self.for_terminal),
        }
        self.write(&line)
    }

    /// All of it is out.
    fn end(mut self, is_file: bool) -> std::io::Result<()> {
        let done = self.failed.take().map_or_else(|| self.out.flush(), Err);
        match done {
            // Whoever has read enough of it is gone.
            Err(error) if !is_file && error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            done => done,
        }
    }
}

fn export(settings: &Settings, folder: &Path, records: bool, form: Form, to: Option<&Path>) -> Result<(), Failure> {
    let view = LedgerView::open(folder).map_err(AppError::from)?;
    let books = if records { None } else { Some(view.books().map_err(AppError::from)?) };
    let cannot = |source| AppError::System {
        doing: "cannot write the export; name a new file in a folder that is there",
        source,
    };
    let mut out = Lines::new(form, to).map_err(cannot)?;
    if let Some(books) = books {
        write_totals(&books, &mut out);
    } else {
        let classifier = Classifier::new(&settings.reasons);
        out.columns(events::COLUMNS.into_iter().chain(["first_seen", "counted"]));
        let written = view.records(None, UnixSeconds::MIN, |record| write_record(record, &classifier, &mut out));
        written.map_err(AppError::from)?;
    }
    Ok(out.end(to.is_some()).map_err(cannot)?)
}

fn write_record(record: Record, classifier: &Classifier, out: &mut Lines) -> ControlFlow<()> {
    let Record { account, session, first_seen, counted, .. } = record;
    let event = Event { account, reason: classifier.classify(&session.reason_text), session };
    let object = || events::object(&event).text("first_seen", &shown(first_seen)).number("counted", counted);
    let cells = || {
        let more = [shown(first_seen), counted.to_string()];
        events::cells(&event).into_iter().chain(more).collect()
    };
    out.line(object, cells)
}

/// The total of every series, and what no series has, so that all of it comes to the class counter.
fn write_totals(books: &Books, out: &mut Lines) {
    out.columns(["domain", "app", "stream", "reason", "total", "created", "excluded"]);
    let mut total = |[domain, app, stream, reason]: [&str; 4], total: u64, created, excluded: bool| {
        let created = shown(created);
        let object = || {
            Object::new()
                .text("domain", domain)
                .text("app", app)
                .text("stream", stream)
                .text("reason", reason)
                .number("total", total)
                .text("created", &created)
                .number("excluded", excluded)
        };
        let cells = || {
            let [total, excluded] = [total.to_string(), excluded.to_string()];
            [domain, app, stream, reason, &total, &created, &excluded].map(str::to_owned).to_vec()
        };
        out.line(object, cells)
    };
    for series in &books.series {
        let labels = &series.labels;
        let labels = [&*labels.domain, &labels.app, &labels.stream, labels.reason.as_str()];
        if total(labels, series.total, series.created, false).is_break() {
            return;
        }
    }
    for domain in &books.domains {
        for entry in &TABLE {
            let excluded = domain.total.excluded[entry.reason as usize];
            if excluded > 0 && total([&domain.name, "", "", entry.name], excluded, domain.created, true).is_break() {
                return;
            }
        }
    }
}
