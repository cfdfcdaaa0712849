//! Both READMEs against the program, and against each other: a name, a flag or a key that either makes up or leaves out
//! is found here.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use tencent_live_exporter::metrics::names::{self, Type};
use tencent_live_exporter::reason::TABLE;
use yaml_rust2::{Yaml, YamlLoader};

const ENGLISH: &str = "README.md";
const READMES: [&str; 2] = [ENGLISH, "README.zh-CN.md"];

const PREFIX: &str = "tencent_live_";

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("a file of the repository")
}

/// Everything that is wrong in any README, one line each.
fn in_each(wrong: impl Fn(&str) -> Vec<String>) {
    let of = |file: &str| wrong(&read(file)).into_iter().map(|line| format!("{file}: {line}")).collect::<Vec<_>>();
    let all: Vec<String> = READMES.into_iter().flat_map(of).collect();
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}

/// Longest runs of characters that satisfy `part`.
fn words<'a>(text: &'a str, part: impl Fn(char) -> bool + 'a) -> impl Iterator<Item = &'a str> {
    text.split(move |c| !part(c)).filter(|word| !word.is_empty())
}

/// The code blocks of a page: what they are written in, and their lines without comments.
fn code_blocks(text: &str) -> Vec<Vec<&str>> {
    let fenced = text.split("```").skip(1).step_by(2);
    fenced.map(|block| block.lines().filter(|line| !line.starts_with('#')).collect()).collect()
}

/// The text outside code blocks.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect::<Vec<_>>().join("\n")
}

/// What stands between backticks in running text and tables.
fn code_spans(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// What only one of two sets has, one line each.
fn differences<T: Ord + std::fmt::Display>(left: &BTreeSet<T>, right: &BTreeSet<T>, told: [&str; 2]) -> Vec<String> {
    let missing = left.difference(right).map(|item| format!("{item} {}", told[0]));
    missing.chain(right.difference(left).map(|item| format!("{item} {}", told[1]))).collect()
}

/// Names of metrics that a page mentions, `…_suffix` written out.
fn metrics(text: &str) -> BTreeSet<String> {
    let full = |name: &str| name.strip_prefix("…_").map_or(name.to_owned(), |rest| format!("{PREFIX}exporter_{rest}"));
    let names = words(text, |c| c.is_ascii_alphanumeric() || c == '_' || c == '…').map(full);
    names.filter(|name| name.strip_prefix(PREFIX).is_some_and(|rest| !rest.is_empty())).collect()
}

/// Metrics that a page leaves out or makes up.
fn wrong_metrics(text: &str) -> Vec<String> {
    let mut found = metrics(text);
    for family in names::ALL.iter().filter(|family| family.kind == Type::Histogram) {
        for line in ["_bucket", "_sum", "_count"] {
            found.remove(&format!("{}{line}", family.name));
        }
    }
    let known = names::ALL.iter().map(|family| family.name.to_owned()).collect();
    differences(&known, &found, ["is left out", "is no metric"])
}

#[test]
fn every_metric_is_explained_and_none_is_made_up() {
    in_each(wrong_metrics);
}

/// What the program prints when asked for help.
fn help(arguments: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_tencent-live-exporter");
    let output = Command::new(program).args(arguments).arg("--help").output().expect("the program starts");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("help is UTF-8")
}

fn commands() -> BTreeSet<String> {
    let commands = commands_of(&help(&[]));
    assert!(!commands.is_empty(), "help lists the commands");
    commands
}

/// The commands that `help` lists.
fn commands_of(help: &str) -> BTreeSet<String> {
    let Some((_, rest)) = help.split_once("Commands:\n") else { return BTreeSet::new() };
    let lines = rest.lines().take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

/// Long flags that stand in `text`.
fn long_flags(text: &str) -> BTreeSet<String> {
    let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
    let flags = words(text, part)
        .filter(|word| word.strip_prefix("--").is_some_and(|name| name.starts_with(char::is_alphabetic)));
    flags.map(|flag| flag.trim_end_matches(['.', '-']).to_owned()).collect()
}

/// The flags that `help` lists.
fn flags_of(help: &str) -> BTreeSet<String> {
    let listed = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    long_flags(&listed.collect::<Vec<_>>().join("\n"))
}

/// The text without what is said to cargo: from its name to a lone `--`, or the end of the line or of the code. What
/// follows the `--` of `cargo test` is said to the tests, what follows `tests/run` to the script, and `docker` to Docker.
fn without_cargo(text: &str) -> String {
    let ours = |line: &str| {
        let line = line.replace("tests/run ", "cargo test ").replace("docker compose ", "cargo test ");
        let mut parts = line.split("cargo ");
        let mut kept = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let ours = part.find(" -- ").filter(|_| !part.starts_with("test "));
            let end = [ours, part.find('`')].into_iter().flatten().min().unwrap_or(part.len());
            kept.push_str(&part[end..]);
        }
        kept
    };
    text.lines().map(ours).collect::<Vec<_>>().join("\n")
}

/// Flags that a page leaves out or makes up.
fn wrong_flags(text: &str, known: &BTreeSet<String>) -> Vec<String> {
    differences(known, &long_flags(&without_cargo(text)), ["is left out", "is no flag"])
}

#[test]
fn every_flag_is_named_and_none_is_made_up() {
    let mut known = flags_of(&help(&[]));
    for command in commands() {
        let help_of = help(&[&command]);
        known.extend(flags_of(&help_of));
        for part in commands_of(&help_of) {
            known.extend(flags_of(&help(&[&command, &part])));
        }
    }
    in_each(|text| wrong_flags(text, &known));
}

/// The tables of a page, each a list of rows of cells.
fn tables(text: &str) -> Vec<Vec<Vec<String>>> {
    let prose = prose(text);
    let mut tables = Vec::new();
    let mut in_table = false;
    for line in prose.lines() {
        let row = line.strip_prefix("| ").and_then(|line| line.strip_suffix('|'));
        match row {
            Some(row) => {
                if !in_table {
                    tables.push(Vec::new());
                }
                let row = row.replace("\\|", "\u{0}");
                let cells = row.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect();
                tables.last_mut().expect("a table was just begun").push(cells);
                in_table = true;
            }
            None => in_table = line.starts_with("|-"),
        }
    }
    tables
}

/// Commands that a page leaves out or makes up, in its table of commands and in its examples.
fn wrong_commands(text: &str, known: &BTreeSet<String>) -> Vec<String> {
    let tables = tables(text);
    let table = tables.iter().find(|table| table.iter().any(|row| row[0] == "`demo`"));
    let rows = table.into_iter().flatten().filter_map(|row| row[0].strip_prefix('`')?.strip_suffix('`'));
    let listed: BTreeSet<String> = rows.map(str::to_owned).collect();
    let mut wrong = differences(known, &listed, ["is left out", "is no command"]);
    for call in ["tencent-live-exporter ", "cargo run --release -- "] {
        let after = text.match_indices(call).map(|(at, _)| &text[at + call.len()..]);
        let commands = after.filter_map(|rest| words(rest, |c| c.is_ascii_lowercase() || c == '-').next());
        wrong.extend(
            commands
                .filter(|word| !word.starts_with('-') && !known.contains(*word))
                .map(|word| format!("{call}{word} is no command")),
        );
    }
    wrong
}

#[test]
fn every_command_is_listed_and_none_is_made_up() {
    let known = commands();
    assert!(known.contains("demo"), "{known:?}");
    in_each(|text| wrong_commands(text, &known));
}

/// Every key of `config/exporter.yaml`, dotted, without those that are commented out.
fn keys() -> BTreeSet<String> {
    fn collect(yaml: &Yaml, path: &str, into: &mut BTreeSet<String>) {
        for (key, value) in yaml.as_hash().into_iter().flatten() {
            let key = key.as_str().expect("keys are words");
            let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            collect(value, &path, into);
            for item in value.as_vec().into_iter().flatten() {
                collect(item, &path, into);
            }
            into.insert(path);
        }
    }
    let mut keys = BTreeSet::new();
    let documents = YamlLoader::load_from_str(&read("config/exporter.yaml")).expect("the file is YAML");
    collect(&documents[0], "", &mut keys);
    keys
}

/// Words in backticks that look like keys, labels or reasons and are none.
fn wrong_words(text: &str) -> Vec<String> {
    let keys = keys();
    let sections: BTreeSet<&str> = keys.iter().filter_map(|key| Some(key.split_once('.')?.0)).collect();
    let leaves: BTreeSet<&str> = keys.iter().filter_map(|key| key.rsplit('.').next()).collect();
    let web = read("config/web.yaml");
    let labels: BTreeSet<&str> = names::ALL.iter().flat_map(|family| family.labels).copied().collect();
    let is_word = |span: &str| span.contains('_') && span.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let wrong = |span: &String| {
        let dotted = span.split_once('.').is_some_and(|(section, _)| sections.contains(section));
        if dotted {
            return !keys.contains(span);
        }
        let known = leaves.contains(span.as_str())
            || labels.contains(span.as_str())
            || web.contains(&format!("\n{span}:"))
            || TABLE.iter().any(|entry| entry.name == span);
        is_word(span) && !span.starts_with(PREFIX) && !known
    };
    code_spans(text).into_iter().filter(wrong).map(|span| format!("`{span}` is no key, label or reason")).collect()
}

/// Values quoted in queries and prose as `reason="…"` and `class="…"` that are not in the taxonomy.
fn wrong_values(text: &str) -> Vec<String> {
    let quoted = |label: &'static str| {
        let start = format!("{label}=\"");
        let values = text.match_indices(&start).map(|(at, start)| text[at + start.len()..].split('"').next());
        values.flatten().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let reasons = TABLE.iter().map(|entry| entry.name.to_owned()).collect();
    let classes = TABLE.iter().map(|entry| entry.class.as_str().to_owned()).collect();
    let unknown = |label: &'static str, known: &BTreeSet<String>| {
        let found = quoted(label);
        found.difference(known).map(|value| format!("{label}=\"{value}\" does not exist")).collect::<Vec<_>>()
    };
    [unknown("reason", &reasons), unknown("class", &classes)].concat()
}

#[test]
fn keys_labels_and_reasons_exist() {
    in_each(wrong_words);
    in_each(wrong_values);
}

/// Variables that are written out as overrides of keys, and set none.
fn wrong_variables(text: &str) -> Vec<String> {
    let keys = keys();
    let named = words(text, |c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let overrides = named.filter_map(|name| Some((name, name.strip_prefix("TENCENT_LIVE__")?)));
    let key = |rest: &str| {
        let parts = rest.split("__").filter(|part| part.parse::<u8>().is_err());
        parts.collect::<Vec<_>>().join(".").to_lowercase()
    };
    overrides.filter(|(_, rest)| !keys.contains(&key(rest))).map(|(name, _)| format!("{name} sets no key")).collect()
}

#[test]
fn variables_set_keys_that_exist() {
    in_each(wrong_variables);
}

/// Relative links of a page that lead nowhere.
fn broken_links(text: &str) -> Vec<String> {
    let targets = text.match_indices("](").filter_map(|(at, start)| text[at + start.len()..].split(')').next());
    let relative = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    let file = |target: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(target.split('#').next().unwrap_or(target));
    relative.filter(|target| !file(target).is_file()).map(|target| format!("{target} does not exist")).collect()
}

#[test]
fn relative_links_lead_to_files() {
    in_each(broken_links);
    for (file, other) in READMES.iter().zip(READMES.iter().rev()) {
        assert!(read(file).contains(&format!("({other})")), "{file} does not lead to {other}");
    }
}

#[test]
fn the_first_two_commands_are_the_same_and_on_the_first_screen() {
    for file in READMES {
        let text = read(file);
        let blocks = code_blocks(&text);
        assert_eq!(blocks[..2], [["sh", "cargo run --release -- demo"], ["sh", "./tests/run"]], "{file}");
        let fences = text.lines().take(24).filter(|line| line.starts_with("```")).count();
        assert!(fences >= 4, "{file}");
    }
}

/// Levels of the headings of a page, in order.
fn headings(text: &str) -> Vec<usize> {
    let prose = prose(text);
    let lines = prose.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| line.chars().take_while(|c| *c == '#').count()).collect()
}

#[test]
fn both_languages_have_the_same_headings_code_tables_and_names() {
    let [english, chinese] = READMES.map(read);
    assert_eq!(headings(&english), headings(&chinese));
    assert_eq!(code_blocks(&english), code_blocks(&chinese));
    let names = differences(&code_spans(&english), &code_spans(&chinese), ["is only in English", "is only in Chinese"]);
    assert!(names.is_empty(), "\n{}", names.join("\n"));
    let (english, chinese) = (tables(&english), tables(&chinese));
    let shape = |tables: &[Vec<Vec<String>>]| {
        tables.iter().map(|table| table.iter().map(Vec::len).collect()).collect::<Vec<Vec<usize>>>()
    };
    assert_eq!(shape(&english), shape(&chinese));
    for (english, chinese) in english.iter().flatten().zip(chinese.iter().flatten()) {
        let spans = |row: &[String]| code_spans(&row.join(" "));
        assert_eq!(spans(english), spans(chinese), "{english:?}");
    }
}

#[test]
fn a_planted_mistake_is_caught() {
    let set = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<BTreeSet<_>>();
    let english = read(ENGLISH);
    assert_eq!(
        wrong_metrics(&english.replace("`…_held_series`", "")),
        ["tencent_live_exporter_held_series is left out"]
    );
    assert_eq!(wrong_metrics(&format!("{english} tencent_live_upp")), ["tencent_live_upp is no metric"]);
    assert_eq!(wrong_metrics(&format!("{english} tencent_live_session_duration_seconds_bucket")), [""; 0]);
    let flags = set(&["--log.level", "--once"]);
    assert_eq!(wrong_flags("`--log.level`. `cargo bench --bench x`", &flags), ["--once is left out"]);
    assert_eq!(wrong_flags("--log.level, cargo run --release -- --once --twice", &flags), ["--twice is no flag"]);
    let table = "| a | b |\n|---|---|\n| `demo` | x |\n| `fly` | y |\n";
    assert_eq!(wrong_commands(table, &set(&["demo", "once"])), ["once is left out", "fly is no command"]);
    let call = "| `demo` | x |\n\n`tencent-live-exporter walk`, tencent-live-exporter --help";
    assert_eq!(wrong_commands(call, &set(&["demo"])), ["tencent-live-exporter walk is no command"]);
    let words = "`poll.speed` `poll.interval` `hold_max` `hold_min` `description_zh` `network_error` `up`";
    let is_none = |word: &str| format!("`{word}` is no key, label or reason");
    assert_eq!(wrong_words(words), [is_none("hold_min"), is_none("poll.speed")]);
    assert_eq!(wrong_values("{reason=\"rain\", class=\"network\"}"), ["reason=\"rain\" does not exist"]);
    let variables = "TENCENT_LIVE__ACCOUNTS__0__SITE=x TENCENT_LIVE__POLL__SPEED=x TENCENTCLOUD_SECRET_ID";
    assert_eq!(wrong_variables(variables), ["TENCENT_LIVE__POLL__SPEED sets no key"]);
    assert_eq!(broken_links("[a](README.md) [b](https://x/y) [c](NO.md)"), ["NO.md does not exist"]);
    assert_eq!(headings("# a\n```\n# no\n```\n## b"), [1, 2]);
}
