//! Both READMEs, with their pages in `docs/`, against the program: a name, a flag or a key that one of them makes up, or that
//! a language leaves out, is found here.

mod pages;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use tencent_live_exporter::metrics::names::{self, Type};
use tencent_live_exporter::reason::TABLE;
use yaml_rust2::{Yaml, YamlLoader};

/// A language is what the names of its pages end with.
const ENGLISH: &str = ".md";
const CHINESE: &str = ".zh-CN.md";
const LANGUAGES: [&str; 2] = [ENGLISH, CHINESE];

const PREFIX: &str = "tencent_live_";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).expect("a file of the repository")
}

fn readme(language: &str) -> String {
    format!("README{language}")
}

fn language_of(file: &str) -> &'static str {
    if file.ends_with(CHINESE) { CHINESE } else { ENGLISH }
}

/// The README of a language, then its pages in `docs/`.
fn pages(language: &str) -> Vec<String> {
    let folder = root().join("docs").read_dir().expect("docs is a folder");
    let files = folder.map(|entry| format!("docs/{}", entry.unwrap().file_name().display()));
    let mut pages: Vec<String> =
        files.filter(|file| file.ends_with(ENGLISH) && language_of(file) == language).collect();
    pages.sort();
    pages.insert(0, readme(language));
    pages
}

/// Everything that is wrong in any of these files, one line each.
fn in_files(files: impl IntoIterator<Item = String>, wrong: impl Fn(&str, &str) -> Vec<String>) {
    let of = |file: String| {
        let lines = wrong(&file, &read(&file));
        lines.into_iter().map(|line| format!("{file}: {line}")).collect::<Vec<_>>()
    };
    let all: Vec<String> = files.into_iter().flat_map(of).collect();
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}

/// Everything that is wrong in any page of any language.
fn in_each(wrong: impl Fn(&str) -> Vec<String>) {
    in_files(LANGUAGES.into_iter().flat_map(pages), |_, text| wrong(text));
}

/// Everything that is wrong in either README.
fn in_readmes(wrong: impl Fn(&str) -> Vec<String>) {
    in_files(LANGUAGES.map(readme), |_, text| wrong(text));
}

/// Everything that is wrong in all pages of a language taken together.
fn in_languages(wrong: impl Fn(&str) -> Vec<String>) {
    in_files(LANGUAGES.map(readme), |readme, _| {
        let texts: Vec<String> = pages(language_of(readme)).iter().map(|page| read(page)).collect();
        wrong(&texts.join("\n"))
    });
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

/// What `set` has beyond `other`, one line each.
fn beyond(set: &BTreeSet<String>, other: &BTreeSet<String>, told: &str) -> Vec<String> {
    set.difference(other).map(|item| format!("{item} {told}")).collect()
}

/// What only one of two sets has, one line each.
fn differences(left: &BTreeSet<String>, right: &BTreeSet<String>, told: [&str; 2]) -> Vec<String> {
    [beyond(left, right, told[0]), beyond(right, left, told[1])].concat()
}

/// Names of metrics that a page mentions, `…_suffix` written out.
fn metrics(text: &str) -> BTreeSet<String> {
    let full = |name: &str| name.strip_prefix("…_").map_or(name.to_owned(), |rest| format!("{PREFIX}exporter_{rest}"));
    let names = words(text, |c| c.is_ascii_alphanumeric() || c == '_' || c == '…').map(full);
    names.filter(|name| name.strip_prefix(PREFIX).is_some_and(|rest| !rest.is_empty())).collect()
}

fn known_metrics() -> BTreeSet<String> {
    names::ALL.iter().map(|family| family.name.to_owned()).collect()
}

/// Metrics that no row of a README's tables is about.
fn left_out_metrics(text: &str) -> Vec<String> {
    let rows = tables(text).concat();
    let names: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    beyond(&known_metrics(), &metrics(&names.join("\n")), "is left out")
}

/// Metrics that a page makes up.
fn made_up_metrics(text: &str) -> Vec<String> {
    let mut known = known_metrics();
    for family in names::ALL.iter().filter(|family| family.kind == Type::Histogram) {
        known.extend(["_bucket", "_sum", "_count"].map(|line| format!("{}{line}", family.name)));
    }
    beyond(&metrics(text), &known, "is no metric")
}

#[test]
fn every_metric_is_explained_and_none_is_made_up() {
    in_readmes(left_out_metrics);
    in_each(made_up_metrics);
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

/// Flags that the pages of a language leave out.
fn left_out_flags(text: &str, known: &BTreeSet<String>) -> Vec<String> {
    beyond(known, &long_flags(&without_cargo(text)), "is left out")
}

/// Flags that a page makes up.
fn made_up_flags(text: &str, known: &BTreeSet<String>) -> Vec<String> {
    beyond(&long_flags(&without_cargo(text)), known, "is no flag")
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
    in_languages(|text| left_out_flags(text, &known));
    in_each(|text| made_up_flags(text, &known));
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

/// Commands that a README's table of commands leaves out or makes up.
fn wrong_commands(text: &str, known: &BTreeSet<String>) -> Vec<String> {
    let tables = tables(text);
    let table = tables.iter().find(|table| table.iter().any(|row| row[0] == "`demo`"));
    let rows = table.into_iter().flatten().filter_map(|row| row[0].strip_prefix('`')?.strip_suffix('`'));
    let listed: BTreeSet<String> = rows.map(str::to_owned).collect();
    differences(known, &listed, ["is left out", "is no command"])
}

/// Calls of commands that there are not.
fn wrong_calls(text: &str, known: &BTreeSet<String>) -> Vec<String> {
    let of = |call: &'static str| {
        let after = text.match_indices(call).map(|(at, _)| &text[at + call.len()..]);
        let commands = after.filter_map(|rest| words(rest, |c| c.is_ascii_lowercase() || c == '-').next());
        let wrong = commands.filter(|word| !word.starts_with('-') && !known.contains(*word));
        wrong.map(move |word| format!("{call}{word} is no command")).collect::<Vec<_>>()
    };
    ["tencent-live-exporter ", "cargo run --release -- "].map(of).concat()
}

#[test]
fn every_command_is_listed_and_none_is_made_up() {
    let known = commands();
    assert!(known.contains("demo"), "{known:?}");
    in_readmes(|text| wrong_commands(text, &known));
    in_each(|text| wrong_calls(text, &known));
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

#[test]
fn a_planted_mistake_is_caught() {
    let set = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<BTreeSet<_>>();
    let untold = read(&readme(ENGLISH)).replace("`…_held_series`", "") + "\ntencent_live_exporter_held_series";
    assert_eq!(left_out_metrics(&untold), ["tencent_live_exporter_held_series is left out"]);
    assert_eq!(made_up_metrics("tencent_live_up, tencent_live_upp"), ["tencent_live_upp is no metric"]);
    assert_eq!(made_up_metrics("tencent_live_session_duration_seconds_bucket"), [""; 0]);
    let flags = set(&["--log.level", "--once"]);
    assert_eq!(left_out_flags("`--log.level`. `cargo bench --bench x`", &flags), ["--once is left out"]);
    assert_eq!(made_up_flags("cargo run --release -- --once --twice", &flags), ["--twice is no flag"]);
    let table = "| a | b |\n|---|---|\n| `demo` | x |\n| `fly` | y |\n";
    assert_eq!(wrong_commands(table, &set(&["demo", "once"])), ["once is left out", "fly is no command"]);
    let calls = "`tencent-live-exporter walk`, tencent-live-exporter demo, tencent-live-exporter --help";
    assert_eq!(wrong_calls(calls, &set(&["demo"])), ["tencent-live-exporter walk is no command"]);
    let words = "`poll.speed` `poll.interval` `hold_max` `hold_min` `description_zh` `network_error` `up`";
    let is_none = |word: &str| format!("`{word}` is no key, label or reason");
    assert_eq!(wrong_words(words), [is_none("hold_min"), is_none("poll.speed")]);
    assert_eq!(wrong_values("{reason=\"rain\", class=\"network\"}"), ["reason=\"rain\" does not exist"]);
    let variables = "TENCENT_LIVE__ACCOUNTS__0__SITE=x TENCENT_LIVE__POLL__SPEED=x TENCENTCLOUD_SECRET_ID";
    assert_eq!(wrong_variables(variables), ["TENCENT_LIVE__POLL__SPEED sets no key"]);
}
