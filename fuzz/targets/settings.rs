//! Any text as a config file, and any line where a secret belongs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tencent_live_exporter::settings::{Problems, Settings, format_duration, parse_duration};
use tencent_live_exporter_fuzz::check;

/// In the secrets, and nowhere else.
const CANARY: &str = "CANARYkey";

/// Most problems that are told, and the longest of them.
const PROBLEMS: usize = 1_001;
const PROBLEM_BYTES: usize = 2_000;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if text.contains(CANARY) {
        return;
    }
    read(text);
    for key in ["secret_key", "token", "secret_id"] {
        let line = text.replace(['\n', '\r'], " ");
        for at in [0, line.floor_char_boundary(line.len() / 2), line.len()] {
            let (before, after) = line.split_at(at);
            read(&format!("accounts:\n  - credentials:\n      {key}: {before}{CANARY}{after}\nlog:\n  level: info\n"));
        }
    }
});

fn read(text: &str) {
    let environment = ["ID", "KEY"].map(|word| (format!("TENCENTCLOUD_SECRET_{word}"), format!("{CANARY}{word}")));
    let found = Settings::from_yaml(text, environment);
    match &found {
        Ok(settings) => is_whole(settings),
        Err(problems) => is_told(problems),
    }
    // `SecretId` is sent in clear, so settings show it; a problem never does.
    if found.is_err() || !text.contains("secret_id") {
        let shown = found.map_or_else(|problems| format!("{problems} {problems:?}"), |settings| secretless(&settings));
        assert!(!shown.contains(CANARY), "{shown}");
    }
}

/// The settings as they may stand in a log, `SecretId` left out.
fn secretless(settings: &Settings) -> String {
    let ids = settings.accounts.iter().filter_map(|account| account.credentials.secret_id());
    ids.fold(format!("{settings:?}"), |shown, id| shown.replace(&format!("{id:?}"), "id"))
}

fn is_whole(settings: &Settings) {
    assert!(!settings.accounts.is_empty());
    let interval = settings.poll.interval;
    assert_eq!(parse_duration(&format_duration(interval)), Ok(interval));
    assert!(
        settings.poll.overlap <= settings.poll.sweep_lookback && settings.poll.sweep_lookback < settings.poll.horizon
    );
    assert!(settings.web.telemetry_path.starts_with('/'));
}

fn is_told(problems: &Problems) {
    let count = problems.iter().count();
    assert!((1..=PROBLEMS).contains(&count), "{count} problems");
    for problem in problems.iter() {
        check::is_printable(&problem.to_string(), PROBLEM_BYTES);
        check::is_printable(problem.key(), PROBLEM_BYTES);
    }
}
