//! Commands and flags, as Prometheus programs have them.

mod doctor;
mod events;
mod health;
mod json;
mod password;
mod progress;
mod range;
mod state;
mod table;
mod verify;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::app::{self, AppError, Keys, Reloads, Scenario, TemporaryFolder};
use crate::metrics::BUILD;
use crate::reason::{Entry, Reason, TABLE};
use crate::settings::{self, Problems, Settings};
use crate::telemetry;

/// Counts stream disconnects of Tencent Cloud Live (云直播断流记录) for Prometheus.
///
/// Without a command it runs the exporter. Without a config file the environment variables TENCENTCLOUD_SECRET_ID and
/// TENCENTCLOUD_SECRET_KEY are enough; without these a profile file, the role of the machine (CVM) and that of the pod
/// (TKE) are tried. Every key of the config file can be set by a variable such as
/// TENCENT_LIVE__POLL__INTERVAL; flags win over variables, variables over the file.
#[expect(clippy::doc_markdown, reason = "clap shows these lines in --help, where backticks are noise")]
#[derive(Debug, Parser)]
#[command(name = "tencent-live-exporter", version = VERSION.as_str(), disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Configuration")]
struct Flags {
    /// Config file (YAML); config/exporter.yaml of the source explains every key.
    #[arg(long = "config.file", value_name = "FILE", global = true)]
    config_file: Option<PathBuf>,
    /// Check the configuration, print what is wrong, and exit: 0 if it is good, 2 if not.
    #[arg(long = "config.check")]
    config_check: bool,
    /// Folder for the counters' state, or `:memory:` to keep nothing [default: data].
    #[arg(long = "state.path", value_name = "FOLDER", global = true)]
    state_path: Option<String>,
    /// Address to listen at, may be given several times [default: :19267].
    #[arg(long = "web.listen-address", value_name = "HOST:PORT", global = true)]
    web_listen_address: Vec<String>,
    /// Path of the metrics page [default: /metrics].
    #[arg(long = "web.telemetry-path", value_name = "PATH", global = true)]
    web_telemetry_path: Option<String>,
    /// File about TLS, passwords, headers and the rate limit, in the format of Prometheus' exporter-toolkit;
    /// config/web.yaml of the source explains every key.
    #[arg(long = "web.config.file", value_name = "FILE", global = true)]
    web_config_file: Option<String>,
    /// Most requests answered at a time, 503 beyond; 0 for no limit [default: 40].
    #[arg(long = "web.max-requests", value_name = "N", global = true)]
    web_max_requests: Option<String>,
    /// Let POST or PUT to /-/reload have the settings read again, as SIGHUP does.
    #[arg(long = "web.enable-lifecycle", global = true)]
    web_enable_lifecycle: bool,
    /// URL under which people reach this, where a proxy stands before it; links are made with its path.
    #[arg(long = "web.external-url", value_name = "URL", global = true)]
    web_external_url: Option<String>,
    /// Least severe lines to log: debug, info, warn or error [default: info].
    #[arg(long = "log.level", value_name = "LEVEL", global = true)]
    log_level: Option<String>,
    /// Format of log lines: logfmt or json [default: logfmt].
    #[arg(long = "log.format", value_name = "FORMAT", global = true)]
    log_format: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try it without an account: a simulator on a loopback port, and the unchanged exporter polling it.
    Demo {
        /// Address of the simulator, which plays the cloud.
        #[arg(long = "simulator.listen-address", value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
        simulator: String,
    },
    /// Run the simulator alone, for other programs to call.
    Simulate {
        /// Address to listen at. Whoever reaches it controls the simulation.
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:19268")]
        listen_address: String,
        /// Scenario file (YAML) [default: the demo's].
        #[arg(long, value_name = "FILE")]
        scenario: Option<PathBuf>,
        /// Secret id that callers sign with.
        #[arg(long, default_value = DEMO_ID)]
        secret_id: String,
        /// Secret key that callers sign with.
        #[arg(long, default_value = DEMO_KEY)]
        secret_key: String,
    },
    /// Poll every account once and print the metrics page; exit 1 if a poll failed.
    Once,
    /// Look at everything that an exporter needs, and say in one line each what works, what does not, and what to do.
    ///
    /// It looks at the configuration, and of each account at its keys and when they expire, the way to the API, TLS, the
    /// clocks, what the key is allowed (with the statement of a CAM policy that is missing), domains, rows of the last
    /// hour, and what they tell of the API: which time of a session a window is held against, how late rows come,
    /// whether all apps are shown, which texts of reasons are not known; then at the state folder. At the end it prints
    /// the least that the key has to be allowed.
    ///
    /// Each line is `ok`, `warning` (it works, and somebody should know), `failure`, `unknown` (nothing tells yet) or
    /// `skipped` (it rests on a check that failed).
    ///
    /// Nothing is written but an empty file in the state folder, which is removed again, and not even that where an
    /// exporter runs on it. It asks the API about 60 times an account at most, at the pace of
    /// `poll.max_requests_per_second`. Exit codes: 0 if nothing has failed, warnings or not; 1 if a check has failed; 2 if
    /// the arguments or the configuration are wrong.
    Doctor(doctor::Arguments),
    /// Ask the API for a range of time and print its disconnect records, newest first.
    ///
    /// The ledger is neither needed nor touched, so it may run beside an exporter; it asks at the pace of
    /// `poll.max_requests_per_second`. A range is of the ends of the sessions, and may be up to 60 days.
    Events(events::Arguments),
    /// Ask the API again, row by row, and compare with the ledger; exit 1 if something differs.
    ///
    /// The ledger is only looked at, so an exporter may be writing it. What is too fresh to be in it, or has been
    /// forgotten, is left out; it is said how much and why.
    Verify(verify::Arguments),
    /// Look at the ledger, check it, export it or copy it, beside an exporter too.
    State {
        #[command(subcommand)]
        command: state::Command,
    },
    /// Print the taxonomy of disconnect reasons.
    Reasons {
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Ask a running exporter whether it is healthy; exit 0 if so, else 1.
    Healthcheck,
    /// Print the bcrypt hash of a password for `basic_auth_users`; it is asked for, or read from standard input.
    HashPassword {
        /// How much work each guess is, from 10 to 14; each step doubles it.
        #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(10..=14))]
        cost: u32,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
}

/// The simulator's made-up credentials.
const DEMO_ID: &str = "AKIDsimulatorsimulatorsimulator00000";
const DEMO_KEY: &str = "simulatorsimulatorsimulator00000";

/// How the demo differs from the defaults: it is for looking at, not for leaving alone.
const DEMO_SETTINGS: [(&str, &str); 9] = [
    ("accounts[0].name", "demo"),
    ("accounts[0].credentials.secret_id", DEMO_ID),
    ("accounts[0].credentials.secret_key", DEMO_KEY),
    ("poll.interval", "5s"),
    ("poll.sweep_interval", "30s"),
    ("poll.max_requests_per_second", "50"),
    ("poll.initial_lookback", "15m"),
    ("poll.sweep_lookback", "30m"),
    ("series.hold_max", "30s"),
];

/// Runs what `arguments` ask for.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(asked) => {
            // Help and version are answers, not errors; a reader that has gone needs neither.
            let _ = asked.print();
            return ExitCode::from(if asked.use_stderr() { 2 } else { 0 });
        }
    };
    match run(cli) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

/// Why a command failed.
enum Failure {
    Settings(Problems),
    Arguments(String),
    App(Box<AppError>),
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        Self::App(Box::new(error))
    }
}

impl Failure {
    fn report(&self) -> ExitCode {
        let (text, code) = match self {
            Failure::Settings(problems) => (problems.to_string(), 2),
            Failure::Arguments(text) => (text.clone(), 2),
            Failure::App(error) => (chain(error.as_ref()), 1),
        };
        for line in text.lines() {
            say_error(line);
        }
        ExitCode::from(code)
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let flags = &cli.flags;
    if flags.config_check {
        let settings = load(flags, &[])?;
        say(&format!("the configuration is good: {} account(s)\n", settings.accounts.len()));
        return Ok(ExitCode::SUCCESS);
    }
    match cli.command {
        None => {
            let settings = load(flags, &[])?;
            telemetry::start(&settings.log);
            let flags = flags.clone();
            block_on(async {
                let reloads = Reloads::new(move || read_settings(&flags, &[], environment()));
                let stop = app::stop_signal_and(reloads.on_hangup())?;
                let listeners = app::listen(&settings.web.listen_addresses).await?;
                Ok(app::run_reloading(settings, listeners, stop, reloads).await?)
            })?;
        }
        Some(Command::Demo { simulator }) => demo(flags, &simulator)?,
        Some(Command::Simulate { listen_address, scenario, secret_id, secret_key }) => {
            let scenario = read_scenario(scenario)?;
            let keys = Keys::new(&*secret_id, secret_key);
            block_on(async {
                let stop = app::stop_signal()?;
                let simulator = app::simulate(&listen_address, scenario, keys).await?;
                let (endpoint, id) = (simulator.endpoint(), secret_id);
                say(&format!("endpoint  {endpoint}\nsecret id {id}\ntruth     {endpoint}/-/truth\n"));
                stop.await;
                simulator.stop();
                Ok(())
            })?;
        }
        Some(Command::Once) => return once(flags),
        Some(Command::Reasons { output }) => say(&match output {
            Output::Table => reasons_table(),
            Output::Json => reasons_json(),
        }),
        Some(Command::Doctor(arguments)) => return doctor::run(flags, &arguments),
        Some(Command::Events(arguments)) => return events::run(flags, &arguments),
        Some(Command::Verify(arguments)) => return verify::run(flags, &arguments),
        Some(Command::State { command }) => return state::run(flags, &command),
        Some(Command::Healthcheck) => return healthcheck(flags),
        Some(Command::HashPassword { cost }) => {
            let hash = password::hash(cost).map_err(Failure::Arguments)?;
            say(&format!("{hash}\n"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn demo(flags: &Flags, simulator: &str) -> Result<(), Failure> {
    let folder = if flags.state_path.is_none() { Some(TemporaryFolder::new()?) } else { None };
    let state = folder.as_ref().map(|folder| folder.path().display().to_string());
    block_on(async {
        let stop = app::stop_signal()?;
        let simulator = app::simulate(simulator, Scenario::demo(), Keys::new(DEMO_ID, DEMO_KEY)).await?;
        let mut base: Vec<(String, String)> =
            DEMO_SETTINGS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        base.push(("accounts[0].endpoint".into(), simulator.endpoint()));
        base.extend(state.map(|state| ("state.path".into(), state)));
        let settings = load(flags, &base)?;
        telemetry::start(&settings.log);
        let listeners = app::listen(&settings.web.listen_addresses).await?;
        let port = listeners.first().and_then(|at| at.local_addr().ok()).map_or(0, |at| at.port());
        say(&format!(
            "The simulator plays the cloud, the exporter polls it. Open:\n  \
             {scheme}://localhost:{port}/          status\n  \
             {scheme}://localhost:{port}/disconnects   what broke off, when, why, and what to do about it\n  \
             {scheme}://localhost:{port}{path}   what Prometheus scrapes\n  \
             {endpoint}/-/truth   what really happened\nStop with Ctrl-C.\n",
            scheme = health::scheme(&settings.web),
            path = settings.web.telemetry_path,
            endpoint = simulator.endpoint(),
        ));
        app::run(settings, listeners, stop).await?;
        simulator.stop();
        Ok(())
    })
}

fn once(flags: &Flags) -> Result<ExitCode, Failure> {
    let settings = load(flags, &[])?;
    telemetry::start(&settings.log);
    let (page, failures) = block_on(async { Ok(app::once(settings).await?) })?;
    say(&String::from_utf8_lossy(&page));
    for failure in &failures {
        say_error(&chain(failure));
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn healthcheck(flags: &Flags) -> Result<ExitCode, Failure> {
    let settings = load_without_keys(flags)?;
    let Some(complaint) = health::complaint(&settings.web) else { return Ok(ExitCode::SUCCESS) };
    say_error(&complaint);
    Ok(ExitCode::FAILURE)
}

fn load(flags: &Flags, base: &[(String, String)]) -> Result<Settings, Failure> {
    read_settings(flags, base, environment()).map_err(Failure::Settings)
}

/// For commands that do not ask the API: whoever runs them need not be able to sign. The demo has keys of its own, others
/// have them elsewhere.
fn load_without_keys(flags: &Flags) -> Result<Settings, Failure> {
    let stand_in =
        ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"].map(|name| (name.to_owned(), "unused".to_owned()));
    read_settings(flags, &[], stand_in.into_iter().chain(environment())).map_err(Failure::Settings)
}

/// The variables of this process. One that is not UTF-8 cannot be one of ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
}

fn read_settings(
    flags: &Flags,
    base: &[(String, String)],
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Settings, Problems> {
    let mut overrides = base.to_vec();
    let mut set = |key: &str, value: &Option<String>| {
        overrides.extend(value.iter().map(|value| (key.to_owned(), value.clone())));
    };
    set("state.path", &flags.state_path);
    set("web.telemetry_path", &flags.web_telemetry_path);
    set("web.config_file", &flags.web_config_file);
    set("web.max_requests", &flags.web_max_requests);
    set("web.enable_lifecycle", &flags.web_enable_lifecycle.then(|| "true".to_owned()));
    set("web.external_url", &flags.web_external_url);
    set("log.level", &flags.log_level);
    set("log.format", &flags.log_format);
    for address in &flags.web_listen_address {
        overrides.push(("web.listen_addresses".into(), address.clone()));
    }
    settings::load(flags.config_file.as_deref(), environment, &overrides)
}

fn read_scenario(file: Option<PathBuf>) -> Result<Scenario, Failure> {
    let Some(file) = file else { return Ok(Scenario::demo()) };
    let text = std::fs::read_to_string(&file)
        .map_err(|error| Failure::Arguments(format!("--scenario {}: {error}", file.display())))?;
    Scenario::from_yaml(&text)
        .map_err(|error| Failure::Arguments(format!("--scenario {}: {}", file.display(), chain(&error))))
}

fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|source| AppError::System { doing: "cannot start the runtime", source })?;
    let done = runtime.block_on(work);
    // Blocking calls that still hang must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

fn reasons_table() -> String {
    let row = |entry: &Entry| {
        let words = [entry.en.first(), entry.zh.first()].into_iter().flatten().copied().collect::<Vec<_>>().join(" ");
        let code = entry.codes.first().copied().unwrap_or("-");
        let more = if entry.codes.len() > 1 { "…" } else { "" };
        format!("{:28} {:9} {:7} {words}\n", entry.name, entry.class.as_str(), format!("{code}{more}"))
    };
    let head = format!("{:28} {:9} {:7} {}\n", "REASON", "CLASS", "CODES", "TEXT");
    TABLE.iter().map(row).fold(head, |text, row| text + &row)
}

fn reasons_json() -> String {
    let entry = |entry: &Entry| {
        serde_json::json!({
            "reason": entry.name, "class": entry.class.as_str(),
            "zh": entry.zh, "en": entry.en, "codes": entry.codes,
        })
    };
    let known = TABLE.iter().filter(|entry| entry.reason != Reason::Unmapped);
    let document = serde_json::json!({ "reasons": known.map(entry).collect::<Vec<_>>() });
    format!("{document:#}\n")
}

static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{} (revision: {}, rust: {})", BUILD.version, BUILD.revision, BUILD.rustversion));

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

/// Prints to standard output; a reader that has gone away ends nothing.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
    let _ = std::io::stdout().flush();
}

fn say_error(line: &str) {
    let _ = writeln!(std::io::stderr(), "tencent-live-exporter: {line}");
}
