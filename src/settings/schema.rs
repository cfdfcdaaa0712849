//! Every key there is, as one table, and what is wrong with the shape of a tree of values.
//!
//! Unknown keys are found here, before any value is looked at. Their values are never shown: nobody knows whether
//! an unknown key holds a secret.

use std::collections::BTreeMap;

use config::{Map, Value, ValueKind};

use super::problem::{Problem, ProblemKind, Problems, SHOWN_CHARS, shown_key};

/// What a key takes.
#[derive(Debug)]
pub(super) enum Shape {
    /// One value.
    One,
    /// A list of single values; comma separated in the environment.
    Many,
    /// A mapping from any text to single values; what it is called in words.
    Texts(&'static str),
    /// Named keys.
    Section(&'static [(&'static str, Shape)]),
    /// A list of mappings with the same named keys.
    List(&'static Shape),
}

/// Highest index of a list in the key of a variable or flag, which would otherwise make a list of any length.
pub(super) const LAST_INDEX: usize = 999;

/// Everything that can be set.
pub(super) static ROOT: Shape = Shape::Section(&[
    ("accounts", Shape::List(&ACCOUNT)),
    (
        "poll",
        Shape::Section(&[
            ("interval", Shape::One),
            ("overlap", Shape::One),
            ("sweep_interval", Shape::One),
            ("sweep_lookback", Shape::One),
            ("audit_interval", Shape::One),
            ("horizon", Shape::One),
            ("initial_lookback", Shape::One),
            ("max_requests_per_second", Shape::One),
        ]),
    ),
    (
        "series",
        Shape::Section(&[
            ("limit", Shape::One),
            ("hold_max", Shape::One),
            ("idle_ttl", Shape::One),
            ("stream", Shape::One),
            ("groups", Shape::List(&RULE)),
            ("include", Shape::List(&SELECTOR)),
            ("exclude", Shape::List(&SELECTOR)),
        ]),
    ),
    ("state", Shape::Section(&[("path", Shape::One), ("retention", Shape::One), ("client_ip", Shape::One)])),
    (
        "web",
        Shape::Section(&[
            ("listen_addresses", Shape::Many),
            ("telemetry_path", Shape::One),
            ("config_file", Shape::One),
            ("max_requests", Shape::One),
            ("enable_lifecycle", Shape::One),
            ("external_url", Shape::One),
            ("created_lines", Shape::One),
        ]),
    ),
    ("log", Shape::Section(&[("level", Shape::One), ("format", Shape::One)])),
    ("reasons", Shape::Texts("a mapping of reason texts to reasons")),
]);

static ACCOUNT: Shape = Shape::Section(&[
    ("name", Shape::One),
    ("site", Shape::One),
    ("endpoint", Shape::One),
    ("sts_endpoint", Shape::One),
    ("proxy", Shape::One),
    ("ca_file", Shape::One),
    (
        "credentials",
        Shape::Section(&[
            ("source", Shape::One),
            ("secret_id", Shape::One),
            ("secret_key", Shape::One),
            ("secret_key_file", Shape::One),
            ("token", Shape::One),
            ("profile", Shape::One),
            ("profile_file", Shape::One),
            (
                "role",
                Shape::Section(&[
                    ("arn", Shape::One),
                    ("session_name", Shape::One),
                    ("external_id", Shape::One),
                    ("duration", Shape::One),
                ]),
            ),
        ]),
    ),
    ("domains", Shape::Many),
    ("discover_domains", Shape::One),
    ("streams_online", Shape::One),
    ("apps", Shape::Many),
]);

static RULE: Shape = Shape::Section(&[("match", Shape::One), ("replace", Shape::One)]);

static SELECTOR: Shape = Shape::Section(&[("domain", Shape::One), ("app", Shape::One), ("stream", Shape::One)]);

impl Shape {
    /// What the key `name` takes, where this is a section that has it.
    pub(super) fn child(&self, name: &str) -> Option<&'static Shape> {
        match self {
            Shape::Section(keys) => keys.iter().find(|(key, _)| *key == name).map(|(_, shape)| shape),
            _ => None,
        }
    }

    /// What this takes, in words.
    pub(super) fn accepted(&self) -> String {
        match self {
            Shape::One => "one value".to_owned(),
            Shape::Many => "a list of values".to_owned(),
            Shape::Texts(words) => (*words).to_owned(),
            Shape::Section(_) => format!("a mapping with the keys {}", self.names()),
            Shape::List(item) => format!("a list of mappings with the keys {}", item.names()),
        }
    }

    /// What may follow this in a key.
    fn names(&self) -> String {
        match self {
            Shape::Section(keys) => keys.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
            Shape::List(_) | Shape::Many => format!("an index from 0 to {LAST_INDEX}"),
            Shape::Texts(words) => format!("a key of {words}"),
            Shape::One => "nothing below it".to_owned(),
        }
    }

    /// The keys below this one, dotted, `[]` standing for any index.
    pub(super) fn paths(&self, prefix: &str, into: &mut Vec<String>) {
        match self {
            Shape::Section(keys) => {
                for (name, shape) in *keys {
                    shape.paths(&join(prefix, name), into);
                }
            }
            Shape::List(item) => item.paths(&format!("{prefix}[]"), into),
            Shape::One | Shape::Many | Shape::Texts(_) => into.push(prefix.to_owned()),
        }
    }
}

/// Whether the values of keys called `name` are never shown.
pub(super) fn is_secret(name: &str) -> bool {
    let of_web_config = matches!(name, "cert" | "key" | "client_ca" | "basic_auth_users");
    // A proxy's URL may have a password in it.
    of_web_config || matches!(name, "secret_id" | "secret_key" | "token" | "external_id" | "proxy")
}

/// `path.name`
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Reports every key of `tree` that `root` does not have, and every value of another shape.
pub(super) fn check(tree: &Value, root: &Shape, problems: &mut Problems) {
    check_at(tree, root, "", root, problems);
}

fn check_at(value: &Value, shape: &Shape, path: &str, root: &Shape, problems: &mut Problems) {
    match (shape, &value.kind) {
        // A key without a value is a key that is not set.
        (_, ValueKind::Nil) => {}
        (Shape::Section(_), ValueKind::Table(table)) => {
            for (name, value) in sorted(table) {
                if let Some(child) = shape.child(name) {
                    check_at(value, child, &join(path, name), root, problems);
                } else {
                    let key = || join(path, &shown_key(name));
                    problems.push_with(|| unknown_key(key(), name, shape, root).with_origin(value.origin()));
                }
            }
        }
        (Shape::List(_) | Shape::Many, ValueKind::Array(items)) => {
            let item_shape = if let Shape::List(item) = shape { item } else { &Shape::One };
            for (index, item) in items.iter().enumerate() {
                let path = format!("{path}[{index}]");
                if matches!(item.kind, ValueKind::Nil) {
                    let problem = Problem::new(ProblemKind::BadValue, path, "nothing in it", item_shape.accepted());
                    problems.push(problem.with_origin(item.origin()));
                } else {
                    check_at(item, item_shape, &path, root, problems);
                }
            }
        }
        (Shape::Texts(_), ValueKind::Table(table)) => {
            for (text, value) in sorted(table) {
                let path = text_key(path, text);
                if matches!(value.kind, ValueKind::Nil) {
                    let problem = Problem::new(ProblemKind::BadValue, path, "nothing in it", Shape::One.accepted());
                    problems.push(problem.with_origin(value.origin()));
                } else {
                    check_at(value, &Shape::One, &path, root, problems);
                }
            }
        }
        (Shape::One, ValueKind::Array(_) | ValueKind::Table(_))
        | (Shape::Many | Shape::List(_) | Shape::Texts(_) | Shape::Section(_), _) => {
            let found = match value.kind {
                ValueKind::Table(_) => "a mapping",
                ValueKind::Array(_) => "a list",
                _ => "one value",
            };
            let problem = Problem::new(ProblemKind::BadValue, path, format!("is {found}"), shape.accepted());
            problems.push(problem.with_origin(value.origin()));
        }
        (Shape::One, _) => {}
    }
}

/// A key of a mapping from texts: `reasons["新的断流原因文字"]`.
pub(super) fn text_key(path: &str, text: &str) -> String {
    let cut: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{path}[\"{}{more}\"]", cut.escape_debug())
}

/// A table in the order of its keys, so that problems come in the same order every time.
pub(super) fn sorted(table: &Map<String, Value>) -> BTreeMap<&String, &Value> {
    table.iter().collect()
}

/// The problem that `name` is not among `siblings`, of all the keys of `root`; `key` is what to call it.
pub(super) fn unknown_key(key: impl Into<String>, name: &str, siblings: &Shape, root: &Shape) -> Problem {
    let wrong = match near(name, siblings, root) {
        Some(meant) => format!("unknown key, did you mean {meant}?"),
        None => "unknown key".to_owned(),
    };
    Problem::new(ProblemKind::UnknownKey, key, wrong, siblings.names())
}

/// The key that `name` was probably meant to be: a near spelling here, or the same name elsewhere.
fn near(name: &str, siblings: &Shape, root: &Shape) -> Option<String> {
    let word = name.to_lowercase().replace('-', "_");
    let word = word.split(':').next().unwrap_or(&word);
    if let Shape::Section(keys) = siblings
        && let Some(key) = near_word(word, keys.iter().map(|(key, _)| *key))
    {
        return Some(key.to_owned());
    }
    let mut paths = Vec::new();
    root.paths("", &mut paths);
    let mut same = paths.into_iter().filter(|path| path.rsplit('.').next() == Some(word));
    same.next()
}

/// The one of `words` that `word` misspells: at most a third of its letters differ.
pub(super) fn near_word<'w>(word: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    // Nothing this long is a misspelling, and the comparison takes the product of the lengths.
    if word.len() > 64 {
        return None;
    }
    let (distance, closest) = words.map(|known| (distance(word, known), known)).min()?;
    (distance <= closest.len() / 3).then_some(closest)
}

/// Letters to add, drop, change or swap with their neighbour to turn `a` into `b` (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let change = above[j] + usize::from(a[i] != b[j]);
            let mut least = change.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys in `value`, dotted, `[]` standing for any index.
    fn keys(value: &Value, path: &str, shape: &Shape, into: &mut Vec<String>) {
        match (&value.kind, shape) {
            (ValueKind::Table(table), Shape::Section(_)) => {
                for (name, value) in sorted(table) {
                    keys(value, &join(path, name), shape.child(name).expect(name), into);
                }
            }
            (ValueKind::Array(items), Shape::List(item)) => keys(&items[0], &format!("{path}[]"), item, into),
            _ => into.push(path.to_owned()),
        }
    }

    #[test]
    fn the_example_has_every_key() {
        // Keys whose default is not to be set stand there as comments.
        let unset = [
            ["endpoint", "sts_endpoint", "proxy", "ca_file", "secret_id", "secret_key", "secret_key_file"].as_slice(),
            &["token", "profile", "profile_file", "arn", "session_name", "external_id", "duration"],
        ]
        .concat();
        let mut example = include_str!("../../config/exporter.yaml").to_owned();
        for key in unset {
            assert!(example.contains(&format!(" # {key}: ")), "{key}");
            example = example.replace(&format!(" # {key}: "), &format!(" {key}: "));
        }
        // So do the items of lists that are empty, the first key of each behind its dash.
        for (list, items) in
            [("groups", "match replace"), ("include", "domain app stream"), ("exclude", "domain app stream")]
        {
            let (before, after) = example.split_once(&format!("\n  {list}:\n")).expect(list);
            let mut after = after.to_owned();
            for (number, key) in items.split(' ').enumerate() {
                let sign = if number == 0 { "-" } else { " " };
                let comment = format!("    # {sign} {key}: ");
                assert!(after.contains(&comment), "{list} {key}");
                after = after.replacen(&comment, &format!("    {sign} {key}: "), 1);
            }
            example = format!("{before}\n  {list}:\n{after}");
        }
        let mut problems = Problems::default();
        let tree = crate::settings::yaml::read(&example, crate::settings::yaml::Origin::File("f"), &mut problems);
        assert!(problems.is_empty(), "{problems}");
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        keys(&tree.expect("YAML"), "", &ROOT, &mut found);
        ROOT.paths("", &mut expected);
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn distances_count_letters() {
        assert_eq!(distance("intervall", "interval"), 1);
        assert_eq!(distance("nmae", "name"), 1);
        assert_eq!(distance("ca", "abc"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }

    #[test]
    fn a_near_spelling_or_another_place_is_suggested() {
        assert_eq!(near("Accounts", &ROOT, &ROOT).as_deref(), Some("accounts"));
        assert_eq!(near("pol", &ROOT, &ROOT).as_deref(), Some("poll"));
        assert_eq!(near("retention", &ROOT, &ROOT).as_deref(), Some("state.retention"));
        assert_eq!(near("listen-addresses", ROOT.child("web").unwrap(), &ROOT).as_deref(), Some("listen_addresses"));
        assert_eq!(near("banana", &ROOT, &ROOT), None);
    }
}
