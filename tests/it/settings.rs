//! Settings: what is accepted, what is refused and in which words, and which layer wins.
//!
//! `tests/settings/*.ok.yaml` load; each `*.bad.yaml` fails with the text of its `*.bad.txt`, which
//! `UPDATE_GOLDEN=1` rewrites. Comments at the top of a file say `# env: NAME=value` and `# flag: key=value`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use tencent_live_exporter::publication::labels::{Choice, Pattern, Rule, Selector, StreamLabel, Template};
use tencent_live_exporter::reason::Reason;
use tencent_live_exporter::secret::Secret;
use tencent_live_exporter::settings::{
    ClientIp, CredentialSource, ListenAddress, Log, LogFormat, LogLevel, Poll, Problems, ProfilePlaces, Role, Series,
    Settings, State, StatePath, Web, load,
};

mod web_config;

type Pairs = Vec<(String, String)>;

/// In every secret of the test files, and nowhere else.
const CANARY: &str = "CANARY";

fn pairs(of: &[(&str, &str)]) -> Pairs {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn keys() -> Pairs {
    pairs(&[("TENCENTCLOUD_SECRET_ID", "AKIDEXAMPLE"), ("TENCENTCLOUD_SECRET_KEY", "CANARY-KEY")])
}

fn with(extra: &[(&str, &str)]) -> Pairs {
    keys().into_iter().chain(pairs(extra)).collect()
}

fn defaults() -> Settings {
    load(None, keys(), &[]).expect("the defaults are valid")
}

fn problems(result: Result<Settings, Problems>) -> String {
    result.expect_err("a problem").to_string()
}

fn files(ending: &str) -> Vec<PathBuf> {
    let folder = std::fs::read_dir("tests/settings").expect("tests/settings");
    let mut files: Vec<PathBuf> = folder
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_str().is_some_and(|path| path.ends_with(ending)))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Loads a test file with what its comments say.
fn load_with_comments(path: &Path) -> Result<Settings, Problems> {
    let text = std::fs::read_to_string(path).expect("a test file");
    let given = |prefix: &str| -> Pairs {
        let lines = text.lines().filter_map(|line| line.strip_prefix(prefix)?.split_once('='));
        lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let environment: Pairs = keys().into_iter().chain(given("# env: ")).collect();
    load(Some(path), environment, &given("# flag: "))
}

/// A file in a folder of this test run.
fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("a file in the target folder");
    path
}

#[test]
fn every_bad_file_fails_in_the_words_of_its_golden_text() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut differ = Vec::new();
    for path in files(".bad.yaml") {
        let found = match load_with_comments(&path) {
            Err(problems) => format!("{problems}\n"),
            Ok(_) => panic!("{} loads", path.display()),
        };
        let golden = path.with_extension("txt");
        if update {
            std::fs::write(&golden, &found).expect("a golden file");
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if found != expected {
            differ.push(format!("{}\n--- expected\n{expected}--- found\n{found}", golden.display()));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn every_ok_file_loads() {
    for path in files(".ok.yaml") {
        if let Err(problems) = load_with_comments(&path) {
            panic!("{}:\n{problems}", path.display());
        }
    }
}

#[test]
fn a_file_that_sets_nothing_gives_the_defaults() {
    for name in ["empty", "empty_sections", "minimal"] {
        let path = PathBuf::from(format!("tests/settings/{name}.ok.yaml"));
        assert_eq!(load(Some(&path), keys(), &[]), Ok(defaults()), "{name}");
    }
}

#[test]
fn the_example_is_the_defaults_written_out() {
    assert_eq!(load(Some(Path::new("config/exporter.yaml")), keys(), &[]), Ok(defaults()));
    assert_eq!(load(Some(Path::new("config/minimal.yaml")), keys(), &[]), Ok(defaults()));
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let settings = defaults();
    let [account] = &settings.accounts[..] else { panic!("{:?}", settings.accounts) };
    assert_eq!(account.name, "main");
    assert_eq!(account.endpoint.to_string(), "https://live.tencentcloudapi.com");
    assert!(account.domains.is_empty() && account.apps.is_empty());
    assert!(account.discover_domains && account.streams_online);
    let secs = Duration::from_secs;
    let poll = Poll {
        interval: secs(30),
        overlap: secs(120),
        sweep_interval: secs(60),
        sweep_lookback: secs(24 * 3600),
        audit_interval: secs(24 * 3600),
        horizon: secs(72 * 3600),
        initial_lookback: secs(3600),
        max_requests_per_second: 5.0,
    };
    assert_eq!(settings.poll, poll);
    let labels = Choice::default();
    assert_eq!(settings.series, Series { limit: 50_000, hold_max: secs(75), idle_ttl: Duration::ZERO, labels });
    let path = StatePath::Folder("data".into());
    assert_eq!(settings.state, State { path, retention: secs(30 * 86_400), client_ip: ClientIp::Masked });
    let listen_addresses = vec![ListenAddress::parse(":19267").unwrap()];
    assert_eq!(
        settings.web,
        Web {
            listen_addresses,
            telemetry_path: "/metrics".into(),
            max_requests: 40,
            enable_lifecycle: false,
            external_url: None,
            created_lines: false,
            config_file: None,
        }
    );
    assert_eq!(settings.log, Log { level: LogLevel::Info, format: LogFormat::Logfmt });
    assert!(settings.reasons.is_empty());
}

#[test]
fn every_key_of_the_file_is_taken() {
    let settings = load(Some(Path::new("tests/settings/everything.ok.yaml")), [], &[]).unwrap();
    let [one, two, three] = &settings.accounts[..] else { panic!("{:?}", settings.accounts) };
    assert_eq!((one.name.as_str(), two.name.as_str()), ("主账号", "no"));
    assert_eq!(one.endpoint.to_string(), "https://live.intl.tencentcloudapi.com");
    assert_eq!(two.endpoint.to_string(), "http://127.0.0.1:8080");
    let fixed = CredentialSource::Static {
        secret_id: "AKIDONE".into(),
        secret_key: Secret::new("0123e5"),
        token: Some(Secret::new("1_000")),
    };
    assert_eq!(one.credentials, fixed);
    let key_file = CredentialSource::KeyFile {
        secret_id: "AKIDTWO".into(),
        secret_key_file: "tests/settings/key.txt".into(),
        token: None,
    };
    let role = Role {
        arn: "qcs::cam::uin/100000000001:roleName/live-reader".into(),
        session_name: "counting".into(),
        external_id: Some(Secret::new("CANARY-ID")),
        duration: Duration::from_secs(3600),
    };
    assert_eq!(two.credentials, CredentialSource::Role { base: Box::new(key_file), role });
    let places = ProfilePlaces { files: vec!["tests/settings/key.txt".into()], profile: "prod".into() };
    assert_eq!(three.credentials, CredentialSource::Profile(places));
    assert_eq!(one.sts_endpoint.to_string(), "https://sts.intl.tencentcloudapi.com");
    assert_eq!(two.sts_endpoint.to_string(), "https://sts.example.com");
    let proxy = two.proxy.as_ref().map(|proxy| proxy.url().expose());
    assert_eq!((proxy, &one.proxy), (Some("http://user:CANARY@127.0.0.1:3128"), &None));
    assert_eq!(two.ca_file.as_ref().map(|file| file.certificates().len()), Some(1));
    assert_eq!(one.domains, ["push.example.com", "push2.example.com"]);
    assert_eq!(one.apps, ["live", "直播", "007"]);
    assert!(!one.discover_domains && two.discover_domains);
    let secs = Duration::from_secs;
    let poll = Poll {
        interval: secs(500),
        overlap: secs(90),
        sweep_interval: secs(5400),
        sweep_lookback: secs(7 * 86_400),
        audit_interval: secs(2 * 86_400),
        horizon: secs(59 * 86_400),
        initial_lookback: secs(0),
        max_requests_per_second: 0.5,
    };
    assert_eq!(settings.poll, poll);
    let rule = |pattern: &str, template: &str| {
        let pattern = Pattern::new(pattern).unwrap();
        Rule { template: Template::new(template, &pattern).unwrap(), pattern }
    };
    let rules = vec![rule("room_[0-9]+", "room_*"), rule("(?<kind>[a-z]+)-.*", "${kind}-*"), rule("tmp.*", "")];
    let pattern = |text: &str| Some(Pattern::new(text).unwrap());
    let labels = Choice {
        stream: StreamLabel::Group(rules),
        include: vec![
            Selector { domain: pattern(r"push\.example\.com"), app: pattern("live|直播"), stream: None },
            Selector { stream: pattern("vip_.*"), ..Selector::default() },
        ],
        exclude: vec![Selector { app: pattern("test"), ..Selector::default() }],
    };
    assert_eq!(
        settings.series,
        Series { limit: 1, hold_max: Duration::from_millis(500), idle_ttl: secs(7 * 86_400), labels }
    );
    let state = State { path: StatePath::Memory, retention: secs(365 * 86_400), client_ip: ClientIp::None };
    assert_eq!(settings.state, state);
    let addresses: Vec<String> = settings.web.listen_addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["127.0.0.1:0", "[::1]:9100", ":19268"]);
    assert_eq!((settings.web.telemetry_path.as_str(), settings.web.max_requests), ("/disconnect-metrics", 0));
    assert_eq!(settings.log, Log { level: LogLevel::Debug, format: LogFormat::Json });
    let reasons = [
        ("42", Reason::ClientStopped),
        ("RTMP v1.0 error, see [docs].", Reason::RtmpContentError),
        ("no", Reason::NotPlayed),
        ("新的断流原因文字", Reason::NetworkError),
    ];
    assert_eq!(settings.reasons, reasons.map(|(text, reason)| (text.to_owned(), reason)));
}

/// Every key with a value other than its default, and what it changes.
const VARIABLES: [(&str, &str); 39] = [
    ("accounts[0].name", "other"),
    ("accounts[0].site", "international"),
    ("accounts[0].endpoint", "https://live.example.com"),
    ("accounts[0].sts_endpoint", "https://sts.example.com"),
    ("accounts[0].proxy", "http://user:CANARY@proxy.example.com:3128"),
    ("accounts[0].ca_file", "tests/settings/authorities.txt"),
    ("accounts[0].credentials", "{ source: environment, secret_id: ~, secret_key: ~ }"),
    ("accounts[0].credentials", "{ source: ~, secret_id: ~, secret_key: ~, profile: prod }"),
    ("accounts[0].credentials.role", "{ arn: 'qcs::cam::uin/1:roleName/a', duration: 1h }"),
    ("accounts[0].credentials.secret_id", "AKIDOTHER"),
    ("accounts[0].credentials.secret_key", "CANARY-OTHER"),
    ("accounts[0].credentials.token", "CANARY-TOKEN"),
    ("accounts[0].domains", "a.example.com, b.example.com"),
    ("accounts[0].discover_domains", "false"),
    ("accounts[0].streams_online", "false"),
    ("accounts[0].apps", "live,直播"),
    ("poll.interval", "31s"),
    ("poll.overlap", "3m"),
    ("poll.sweep_interval", "2m"),
    ("poll.sweep_lookback", "23h"),
    ("poll.audit_interval", "25h"),
    ("poll.horizon", "73h"),
    ("poll.initial_lookback", "2h"),
    ("poll.max_requests_per_second", "6.5"),
    ("series.limit", "50001"),
    ("series.hold_max", "76s"),
    ("series.stream", "drop"),
    ("series.include[0].domain", "push[.].*"),
    ("series.include[0].stream", "vip_.*"),
    ("series.exclude[0].app", "test"),
    ("series.exclude", "[{ app: test, stream: 'a|b' }, { domain: old }]"),
    ("state.path", "elsewhere"),
    ("state.retention", "31d"),
    ("state.client_ip", "full"),
    ("web.telemetry_path", "/m"),
    ("web.max_requests", "41"),
    ("web.enable_lifecycle", "true"),
    ("web.external_url", "https://ops.example.com/live"),
    ("web.created_lines", "true"),
];

fn variable(key: &str) -> String {
    let name = key.replace("].", "__").replace(['[', '.'], "__");
    format!("TENCENT_LIVE__{}", name.to_uppercase())
}

/// The file that a key is overridden in: whole credentials, so that one of them can be changed alone.
fn base() -> PathBuf {
    let text = b"accounts:\n  - credentials: { secret_id: AKIDFILE, secret_key: CANARY-FILE }\n";
    // Tests run side by side; they all write the same bytes.
    file("base.yaml", text)
}

#[test]
fn every_key_can_be_set_by_its_variable_and_by_a_flag() {
    let base = base();
    let plain = load(Some(&base), keys(), &[]).unwrap();
    for (key, value) in VARIABLES {
        let by_variable = load(Some(&base), with(&[(&variable(key), value)]), &[]).expect(key);
        let by_flag = load(Some(&base), keys(), &pairs(&[(key, value)])).expect(key);
        assert_ne!(by_variable, plain, "{key}");
        assert_eq!(by_variable, by_flag, "{key}");
    }
}

#[test]
fn the_remaining_keys_can_be_set_by_variables_too() {
    let settings = load(
        None,
        with(&[
            ("TENCENT_LIVE__LOG__LEVEL", "error"),
            ("TENCENT_LIVE__LOG__FORMAT", "json"),
            ("TENCENT_LIVE__SERIES__STREAM", "group"),
            ("TENCENT_LIVE__SERIES__GROUPS__0__MATCH", "(.)_.*"),
            ("TENCENT_LIVE__SERIES__GROUPS__0__REPLACE", "$1"),
            ("TENCENT_LIVE__WEB__CONFIG_FILE", ""),
            ("TENCENT_LIVE__WEB__LISTEN_ADDRESSES", "127.0.0.1:1, [::1]:2"),
            ("TENCENT_LIVE__ACCOUNTS__0__DOMAINS", ""),
            ("TENCENT_LIVE__ACCOUNTS__0__APPS__0", "live"),
            ("TENCENT_LIVE__ACCOUNTS__0__CREDENTIALS__SECRET_ID", "AKIDFILE"),
            ("TENCENT_LIVE__ACCOUNTS__0__CREDENTIALS__SECRET_KEY_FILE", "tests/settings/key.txt"),
            ("TENCENT_LIVE__REASONS", "{ 'a. b: c': network_error }"),
            ("TENCENT_LIVE__REASONS__新的.原因__文字", "client_stopped"),
        ]),
        &[],
    )
    .unwrap();
    assert_eq!(settings.log, Log { level: LogLevel::Error, format: LogFormat::Json });
    let addresses: Vec<String> = settings.web.listen_addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["127.0.0.1:1", "[::1]:2"]);
    assert!(settings.accounts[0].domains.is_empty());
    assert_eq!(settings.accounts[0].apps, ["live"]);
    assert!(matches!(&settings.series.labels.stream, StreamLabel::Group(rules) if rules.len() == 1));
    assert_eq!(settings.accounts[0].credentials.secret_id(), Some("AKIDFILE"));
    let reasons = [("a. b: c".to_owned(), Reason::NetworkError), ("新的.原因__文字".to_owned(), Reason::ClientStopped)];
    assert_eq!(settings.reasons, reasons);
}

#[test]
fn variables_refine_the_accounts_of_the_file_and_add_more() {
    let path = file("two.yaml", b"accounts: [{ name: one, domains: [a.example.com] }]");
    let settings = load(
        Some(&path),
        with(&[
            ("TENCENT_LIVE__ACCOUNTS__0__SITE", "international"),
            ("TENCENT_LIVE__ACCOUNTS__1__NAME", "two"),
            ("TENCENT_LIVE__ACCOUNTS__1__DOMAINS", "b.example.com"),
        ]),
        &[],
    )
    .unwrap();
    let [one, two] = &settings.accounts[..] else { panic!("{:?}", settings.accounts) };
    assert_eq!((one.name.as_str(), one.domains.join(" ")), ("one", "a.example.com".to_owned()));
    assert_eq!(one.endpoint.to_string(), "https://live.intl.tencentcloudapi.com");
    assert_eq!((two.name.as_str(), two.domains.join(" ")), ("two", "b.example.com".to_owned()));
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let path = file("layers.yaml", b"poll: { interval: 1s, overlap: 1m, sweep_interval: 1m }");
    let environment =
        with(&[("TENCENT_LIVE__POLL__INTERVAL", "2s"), ("TENCENT_LIVE__POLL", "{ interval: 4s, overlap: 2m }")]);
    let flags = pairs(&[("poll.interval", "9s"), ("poll.interval", "3s")]);
    let poll = load(Some(&path), environment.clone(), &flags).unwrap().poll;
    assert_eq!(
        (poll.interval, poll.overlap, poll.sweep_interval),
        (Duration::from_secs(3), Duration::from_secs(120), Duration::from_secs(60))
    );
    let poll = load(Some(&path), environment, &[]).unwrap().poll;
    assert_eq!(poll.interval, Duration::from_secs(2));
}

#[test]
fn a_repeated_list_flag_gathers_its_values_and_replaces_the_file_s() {
    let path = file("listen.yaml", b"web: { listen_addresses: [':1', ':2', ':3'] }");
    let flags = pairs(&[("web.listen_addresses", ":4"), ("web.listen_addresses", ":5,:6")]);
    let web = load(Some(&path), keys(), &flags).unwrap().web;
    let addresses: Vec<String> = web.listen_addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, [":4", ":5", ":6"]);
}

#[test]
fn two_accounts_without_keys_of_their_own_may_share_those_of_the_environment() {
    let text = "accounts: [{ name: a, domains: [a.example.com] }, { name: b, domains: [b.example.com] }]";
    assert_eq!(Settings::from_yaml(text, keys()).unwrap().accounts.len(), 2);
}

#[test]
fn the_token_of_the_environment_goes_by_two_names() {
    for name in ["TENCENTCLOUD_TOKEN", "TENCENTCLOUD_SECURITY_TOKEN"] {
        let settings = load(None, with(&[(name, "CANARY-TOKEN")]), &[]).unwrap();
        let CredentialSource::Static { token, .. } = &settings.accounts[0].credentials else { panic!("{name}") };
        assert_eq!(token, &Some(Secret::new("CANARY-TOKEN")), "{name}");
    }
}

#[test]
fn k8_a_file_that_is_not_text_or_too_large_or_not_there_is_one_problem() {
    let latin = file("latin.yaml", b"log:\n  level: inf\xf6\n");
    let found = problems(load(Some(&latin), [], &[]));
    assert_eq!(found, format!("{}: not UTF-8 at byte 17; accepted: a YAML file in UTF-8", latin.display()));

    let utf16: Vec<u8> = "\u{feff}log: {}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16 = file("utf16.yaml", &utf16);
    assert!(problems(load(Some(&utf16), [], &[])).contains("not UTF-8 at byte 0"));

    let mut text = b"# ".repeat(524_288);
    let fits = file("fits.yaml", &text);
    assert_eq!(load(Some(&fits), keys(), &[]), Ok(defaults()));
    text.push(b'\n');
    let large = file("large.yaml", &text);
    let found = problems(load(Some(&large), [], &[]));
    assert_eq!(found, format!("{}: larger than 1 MiB; accepted: a YAML file of at most 1 MiB", large.display()));

    let found = problems(load(Some(Path::new("no/such/file.yaml")), [], &[]));
    assert!(found.starts_with("no/such/file.yaml: cannot be read, No such file"), "{found}");
    let found = problems(load(Some(Path::new("tests")), [], &[]));
    assert!(found.starts_with("tests: cannot be read, "), "{found}");
}

#[test]
fn k8_a_file_of_nothing_but_mistakes_is_told_in_a_thousand_lines() {
    let text = format!("accounts: [{}]", vec!["~"; 500_000].join(","));
    let found = problems(Settings::from_yaml(&text, keys()));
    assert_eq!(found.lines().count(), 1_001);
    assert!(found.len() < 200_000, "{} bytes", found.len());
    assert!(found.ends_with("\nand 499000 more problems"), "{}", &found[found.len() - 100..]);
}

#[test]
fn problems_have_a_key_and_a_kind_out_of_a_closed_list() {
    let kinds = ["file", "syntax", "unknown_key", "bad_value", "missing", "contradiction"];
    let found = load_with_comments(Path::new("tests/settings/everything.bad.yaml")).unwrap_err();
    assert!(!found.is_empty());
    for problem in found.iter() {
        assert!(kinds.contains(&problem.kind()), "{problem}");
        assert!(problem.to_string().starts_with(&format!("{}: ", problem.key())), "{problem}");
    }
    for kind in ["syntax", "unknown_key", "bad_value", "missing"] {
        assert!(found.iter().any(|problem| problem.kind() == kind), "{kind}");
    }
}

#[test]
fn k3_no_endpoint_leads_a_signed_request_to_another_machine_in_the_clear_or_to_a_metadata_service() {
    for endpoint in [
        "http://live.tencentcloudapi.com",
        "http://10.0.0.1:80",
        "https://169.254.0.23",
        "https://169.254.169.254/latest",
        "https://2852039166",
        "https://0xa9fea9fe",
        "https://[fe80::1]",
        "https://[::ffff:169.254.169.254]",
        "https://metadata.tencentyun.com",
        "https://0.0.0.0",
        "https://user@live.tencentcloudapi.com",
        "https://live.tencentcloudapi.com/path",
        "https://live.tencentcloudapi.com?query",
        "file:///etc/passwd",
    ] {
        let told = problems(Settings::from_yaml(&format!("accounts: [{{ endpoint: '{endpoint}' }}]"), keys()));
        assert!(told.starts_with("accounts[0].endpoint: "), "{endpoint}: {told}");
    }
}

#[test]
fn k4_no_secret_is_ever_shown() {
    let mut seen = 0;
    for path in files(".yaml") {
        let text = match load_with_comments(&path) {
            Ok(settings) => format!("{settings:?} {settings:#?}"),
            Err(problems) => format!("{problems} {problems:?} {problems:#?}"),
        };
        assert!(!text.contains(CANARY), "{}: {text}", path.display());
        seen += usize::from(std::fs::read_to_string(&path).unwrap().contains(CANARY));
    }
    assert!(seen > 5, "the canary is in {seen} files");
    let settings = load(Some(&base()), keys(), &pairs(&[("accounts[0].credentials.token", "CANARY-TOKEN")])).unwrap();
    assert!(!format!("{settings:?}").contains(CANARY));
}

/// Pieces of YAML and of these settings, in any order.
fn yaml_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "accounts",
            "poll",
            "interval",
            "credentials",
            "secret_key",
            "domains",
            "web",
            "reasons",
            "listen_addresses",
            ": ",
            ":",
            "\n",
            "\n  ",
            "\n    ",
            "- ",
            "? ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            "\"",
            "'",
            "#",
            " #",
            "|",
            ">",
            "|-\n",
            "&a ",
            "*a",
            "!!str ",
            "!x",
            "---\n",
            "...\n",
            "%YAML 1.2\n",
            "<<",
            "~",
            "null",
            "30s",
            "0",
            "\t",
            "\\",
            "\\u",
            "\0",
            "\u{feff}",
            "\u{85}",
            "\u{2028}",
            "@",
            "`",
            "\r",
            "\r\n",
            "断流",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,4}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn k8_no_text_makes_the_reader_panic(text in yaml_like()) {
        if let Err(problems) = Settings::from_yaml(&text, keys()) {
            prop_assert!(!problems.is_empty() && !problems.to_string().is_empty());
        }
    }

    #[test]
    fn no_variable_makes_the_reader_panic(name in "(POLL|ACCOUNTS|REASONS|WEB|_|[A-Z0-9]){0,6}", value in yaml_like()) {
        let environment = with(&[(&format!("TENCENT_LIVE__{name}"), &value)]);
        let flags = pairs(&[(&name.to_lowercase().replace("__", "."), &value)]);
        for result in [load(None, environment, &[]), load(None, keys(), &flags)] {
            if let Err(problems) = result {
                prop_assert!(!problems.is_empty());
            }
        }
    }

    #[test]
    fn a_bad_value_never_hides_another(interval in "[a-z]{1,5}", level in "[A-Z]{1,5}", path in "[a-z]{1,5}") {
        let text = format!("poll: {{ interval: x{interval} }}\nweb: {{ telemetry_path: {path} }}\nlog: {{ level: {level} }}");
        let found = problems(Settings::from_yaml(&text, keys()));
        for key in ["poll.interval: ", "web.telemetry_path: ", "log.level: "] {
            prop_assert!(found.contains(key), "{}", found);
        }
    }
}
