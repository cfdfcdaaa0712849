//! YAML text to a tree of [`config::Value`]s whose leaves are the text as written.
//!
//! The `config` crate reads YAML too, but into numbers and booleans: a secret key `0123e5` would arrive as `12300000`,
//! an account called `no` as `false`. It also keeps the last of two equal keys, copies whatever an alias
//! names (nine lines of which can fill the memory), and forgets lines. So the same parser (`yaml-rust2`) is asked for
//! events instead, and the tree is built here: one document, no aliases, no tags, equal keys reported, nested at most
//! [`DEPTH`] deep, every value with its line.

use config::{Map, Value, ValueKind};
use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::{Marker, TScalarStyle};

use super::problem::{Problem, ProblemKind, Problems, shown_key};

/// Deepest nesting; the settings themselves need five.
const DEPTH: usize = 16;

/// Where a text comes from, for the problems found in it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin<'a> {
    /// The file of that name; values are found by line.
    File(&'a str),
    /// A variable or flag, named whole.
    Named(&'a str),
}

impl Origin<'_> {
    fn of(self, mark: Marker) -> String {
        match self {
            Origin::File(_) => format!("line {}", mark.line()),
            Origin::Named(name) => name.to_owned(),
        }
    }

    fn key(self) -> String {
        match self {
            Origin::File(name) | Origin::Named(name) => name.to_owned(),
        }
    }
}

/// A mapping or list whose end has not been read.
enum Open {
    List { items: Vec<Value>, origin: String },
    Table { map: Map<String, Value>, key: Option<(String, String)>, origin: String },
}

/// Reads `text`; an empty one is [`ValueKind::Nil`]. `None` when it is not YAML at all, with the reason in `problems`.
pub(super) fn read(text: &str, origin: Origin<'_>, problems: &mut Problems) -> Option<Value> {
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<Value> = None;
    let mut documents = 0;
    let broken = |wrong: &str, mark: &Marker| {
        let at = match origin {
            Origin::File(_) => Some(format!("line {}, column {}", mark.line(), mark.col() + 1)),
            Origin::Named(_) => None,
        };
        Problem::new(ProblemKind::Syntax, origin.key(), wrong, "YAML 1.2").with_origin(at.as_deref())
    };
    let refused = |wrong: &str, accepted: &str, mark: Marker| {
        Problem::new(ProblemKind::Syntax, origin.key(), wrong, accepted).with_origin(Some(&origin.of(mark)))
    };
    loop {
        let (event, mark) = match parser.next_token() {
            Ok(event) => event,
            Err(error) => {
                problems.push(broken(&format!("not YAML, {}", error.info()), error.marker()));
                return None;
            }
        };
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag) | Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => {
                (*anchor, tag.is_some())
            }
            _ => (0, false),
        };
        if anchor > 0 || matches!(event, Event::Alias(_)) {
            problems.push(refused("anchors and aliases are not read", "the value itself, written out", mark));
        }
        if tag {
            problems.push(refused("tags are not read", "the value itself, without a tag", mark));
        }
        let value = match event {
            Event::StreamEnd => return Some(root.unwrap_or_default()),
            Event::DocumentStart => {
                documents += 1;
                if documents > 1 {
                    problems.push(refused("more than one document", "one document", mark));
                    return None;
                }
                continue;
            }
            Event::Nothing | Event::StreamStart | Event::DocumentEnd => continue,
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() == DEPTH => {
                problems.push(refused("nested too deeply", &format!("at most {DEPTH} levels"), mark));
                return None;
            }
            Event::SequenceStart(..) => {
                open.push(Open::List { items: Vec::new(), origin: origin.of(mark) });
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Table { map: Map::new(), key: None, origin: origin.of(mark) });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List { items, origin }) => Value::new(Some(&origin), ValueKind::Array(items)),
                Some(Open::Table { map, origin, .. }) => Value::new(Some(&origin), ValueKind::Table(map)),
                None => continue,
            },
            Event::Alias(_) => Value::new(Some(&origin.of(mark)), ValueKind::Nil),
            Event::Scalar(text, style, ..) => {
                if let Some(Open::Table { key: key @ None, .. }) = open.last_mut() {
                    *key = Some((text, origin.of(mark)));
                    continue;
                }
                let nothing =
                    style == TScalarStyle::Plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
                let kind = if nothing { ValueKind::Nil } else { ValueKind::String(text) };
                Value::new(Some(&origin.of(mark)), kind)
            }
        };
        match open.last_mut() {
            None => root = Some(value),
            Some(Open::List { items, .. }) => items.push(value),
            Some(Open::Table { map, key, .. }) => {
                let Some((key, at)) = key.take() else {
                    problems.push(refused("a mapping or list as a key", "keys that are plain text", mark));
                    return None;
                };
                if map.contains_key(&key) {
                    let wrong = format!("the key {} is there twice", shown_key(&key));
                    let problem = Problem::new(ProblemKind::Syntax, origin.key(), wrong, "every key once");
                    problems.push(problem.with_origin(Some(&at)));
                }
                map.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Value {
        let mut problems = Problems::default();
        let value = read(text, Origin::File("f.yaml"), &mut problems).expect("YAML");
        assert!(problems.is_empty(), "{problems}");
        value
    }

    fn problems(text: &str) -> String {
        let mut problems = Problems::default();
        let value = read(text, Origin::File("f.yaml"), &mut problems);
        assert!(!problems.is_empty(), "{value:?}");
        problems.to_string()
    }

    fn at<'a>(value: &'a Value, key: &str) -> &'a ValueKind {
        match &value.kind {
            ValueKind::Table(table) => &table[key].kind,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_stay_the_text_that_was_written() {
        let value = tree("a: 0123e5\nb: no\nc: 1_000\nd: 0x10\ne: 2001-01-01\nf: \"~\"\n");
        for (key, text) in
            [("a", "0123e5"), ("b", "no"), ("c", "1_000"), ("d", "0x10"), ("e", "2001-01-01"), ("f", "~")]
        {
            assert_eq!(at(&value, key), &ValueKind::String(text.into()));
        }
    }

    #[test]
    fn keys_keep_dots_spaces_and_case() {
        let value = tree("\"RTMP v1.0 Error.\": x\n新的 断流。: y\n");
        assert_eq!(at(&value, "RTMP v1.0 Error."), &ValueKind::String("x".into()));
        assert_eq!(at(&value, "新的 断流。"), &ValueKind::String("y".into()));
    }

    #[test]
    fn nothing_is_nil() {
        for text in ["", "---\n", "# a comment\n", "~", "\u{feff}"] {
            assert_eq!(tree(text).kind, ValueKind::Nil, "{text:?}");
        }
        assert_eq!(at(&tree("a:\n"), "a"), &ValueKind::Nil);
    }

    #[test]
    fn a_thousand_brackets_are_an_error_not_a_crash() {
        for open in ["[", "{a: ", "- ", "? "] {
            assert!(problems(&open.repeat(100_000)).contains("f.yaml: "), "{open}");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        for (text, problem) in [
            ("a: 1\nb: 2\na: 3\n", "f.yaml: the key a is there twice; accepted: every key once (line 3)"),
            ("a: 1\n---\na: 2\n", "f.yaml: more than one document; accepted: one document (line 2)"),
            ("a: !!str 1\n", "f.yaml: tags are not read; accepted: the value itself, without a tag (line 1)"),
            ("{[a]: 1}\n", "f.yaml: a mapping or list as a key; accepted: keys that are plain text (line 1)"),
        ] {
            assert_eq!(problems(text), problem);
        }
    }

    #[test]
    fn aliases_are_refused_before_they_multiply() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..40 {
            let alias = format!("*a{}", level - 1);
            let line = format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 9].join(", "));
            bomb.push_str(&line);
        }
        assert!(problems(&bomb).starts_with("f.yaml: anchors and aliases are not read"));
    }
}
