//! The layers of settings: file, environment over it, flags over both; merged by the `config` crate.
//!
//! Two things are done here rather than left to the crate's own sources. Its environment source ignores variables
//! that are no key, while a misspelt one must be an error; and it reads every top-level key as a path, so that a
//! spelling with a dot in it would fall apart. So each variable and flag is looked up in the table of keys, becomes one
//! [`Layer`] at a path that is known to be plain, and the whole tree hangs under one root.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read as _;
use std::path::Path;

use config::{Config, ConfigError, Map, Source, Value, ValueKind};

use super::problem::{Problem, ProblemKind, Problems, shown, shown_path};
use super::schema::{LAST_INDEX, ROOT, Shape, unknown_key};
use super::yaml::{self, Origin};

/// What variables that are settings begin with; two underscores separate the levels.
pub(super) const PREFIX: &str = "TENCENT_LIVE__";
/// Largest file that is read.
const FILE_BYTES: u64 = 1 << 20;
/// Where the tree hangs.
const TRUNK: &str = "settings";

/// One value at one path.
#[derive(Clone)]
pub(super) struct Layer {
    path: String,
    value: Value,
}

impl fmt::Debug for Layer {
    /// Values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(Map::from([(self.path.clone(), self.value.clone())]))
    }
}

/// Merges `layers`, later ones over earlier ones.
pub(super) fn merge(layers: Vec<Layer>, problems: &mut Problems) -> Option<Value> {
    let mut builder = Config::builder();
    for layer in layers {
        builder = builder.add_source(layer);
    }
    match builder.build().map(|config| config.cache.kind) {
        Ok(ValueKind::Table(mut trunk)) => Some(trunk.remove(TRUNK).unwrap_or_default()),
        Ok(_) => Some(Value::default()),
        Err(error) => {
            let wrong = format!("cannot be merged, {error}");
            problems.push(Problem::new(ProblemKind::File, TRUNK, wrong, "keys that fit together"));
            None
        }
    }
}

/// The text of the file at `path`, up to [`FILE_BYTES`].
pub(super) fn file_text(path: &Path, problems: &mut Problems) -> Option<String> {
    let name = shown_path(path);
    let problem = |wrong: String, accepted: &str| Problem::new(ProblemKind::File, name.clone(), wrong, accepted);
    let bytes = match file_bytes(path) {
        Ok(bytes) => bytes,
        Err(wrong) => {
            problems.push(problem(wrong, "a YAML file of at most 1 MiB"));
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            problems.push(problem(format!("not UTF-8 at byte {at}"), "a YAML file in UTF-8"));
            None
        }
    }
}

/// What is in the file at `path`, up to [`FILE_BYTES`]; the error says in words why that cannot be had.
pub(super) fn file_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(format!("cannot be read, {error}")),
        Ok(_) if bytes.len() as u64 > FILE_BYTES => Err("larger than 1 MiB".to_owned()),
        Ok(_) => Ok(bytes),
    }
}

/// The layer of a file's `text`; `name` is what problems call it.
pub(super) fn file_layer(text: &str, name: &str, problems: &mut Problems) -> Option<Layer> {
    file_tree(text, name, &ROOT, problems).map(|value| Layer { path: TRUNK.to_owned(), value })
}

/// The tree in a file's `text`, which has keys of `root` or nothing at all.
pub(super) fn file_tree(text: &str, name: &str, root: &Shape, problems: &mut Problems) -> Option<Value> {
    let value = yaml::read(text, Origin::File(name), problems)?;
    let found = match value.kind {
        ValueKind::Table(_) | ValueKind::Nil => return Some(value),
        ValueKind::Array(_) => "is a list",
        _ => "is one value",
    };
    problems.push(Problem::new(ProblemKind::Syntax, name, found, root.accepted()).with_origin(value.origin()));
    None
}

/// The layers of the variables that begin with [`PREFIX`], in the order of their names: `…__ACCOUNTS` comes before
/// `…__ACCOUNTS__0__NAME`, which refines it.
pub(super) fn environment_layers(environment: &BTreeMap<String, String>, problems: &mut Problems) -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut paths = BTreeSet::new();
    for (name, text) in environment {
        let Some(key) = name.get(..PREFIX.len()).filter(|start| start.eq_ignore_ascii_case(PREFIX)) else { continue };
        let key = &name[key.len()..];
        let place = Place::find(key.split("__"), "__");
        let origin = format!("environment variable {}", shown(name));
        match place.map(|place| place.layer(text, &origin, problems)) {
            Ok(layer) if paths.insert(layer.identity()) => layers.push(layer),
            Ok(_) => {
                let problem = Problem::new(ProblemKind::Contradiction, shown(name), "set in two spellings", "one");
                problems.push(problem);
            }
            Err(Unplaced { name: part, siblings }) => problems.push(unknown_key(shown(name), &part, siblings, &ROOT)),
        }
    }
    layers
}

/// The layers of flags, given as dotted keys; a list that is given several times gathers its values.
pub(super) fn override_layers(overrides: &[(String, String)], problems: &mut Problems) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    for (key, text) in overrides {
        let indices_as_parts =
            if key.starts_with("reasons.") { key.clone() } else { key.replace('[', ".").replace(']', "") };
        let place = Place::find(indices_as_parts.split('.'), ".");
        match place.map(|place| place.layer(text, "command line", problems)) {
            Ok(layer) => match (layers.iter_mut().find(|earlier| earlier.path == layer.path), layer) {
                (
                    Some(Layer { value: Value { kind: ValueKind::Array(earlier), .. }, .. }),
                    Layer { value: Value { kind: ValueKind::Array(more), .. }, .. },
                ) => earlier.extend(more),
                (_, layer) => layers.push(layer),
            },
            Err(Unplaced { name, siblings }) => problems.push(unknown_key(shown(key), &name, siblings, &ROOT)),
        }
    }
    layers
}

/// Where a value belongs.
struct Place {
    path: String,
    shape: &'static Shape,
    /// The key of a mapping from texts.
    text: Option<String>,
}

/// A part of a key that leads nowhere, and what would.
struct Unplaced {
    name: String,
    siblings: &'static Shape,
}

impl Place {
    /// Follows the parts of a key down the table. What follows a mapping from texts is one text.
    fn find<'k>(parts: impl Iterator<Item = &'k str>, separator: &str) -> Result<Self, Unplaced> {
        let mut place = Place { path: TRUNK.to_owned(), shape: &ROOT, text: None };
        let mut parts = parts.peekable();
        while let Some(part) = parts.next() {
            let name = part.to_lowercase();
            let next = match place.shape {
                Shape::Texts(_) => {
                    let rest = std::iter::once(part).chain(parts.by_ref());
                    place.text = Some(rest.collect::<Vec<_>>().join(separator));
                    return Ok(place);
                }
                Shape::Section(_) => place.shape.child(&name).map(|child| (format!(".{name}"), child)),
                Shape::List(item) => index(&name).map(|index| (format!("[{index}]"), *item)),
                Shape::Many => index(&name).map(|index| (format!("[{index}]"), &Shape::One)),
                Shape::One => None,
            };
            let Some((step, shape)) = next else {
                return Err(Unplaced { name, siblings: place.shape });
            };
            place.path.push_str(&step);
            place.shape = shape;
        }
        Ok(place)
    }

    /// The layer that puts `text` here. Mappings and lists of mappings are written in YAML.
    fn layer(self, text: &str, origin: &str, problems: &mut Problems) -> Layer {
        let origin = origin.to_owned();
        let one = |text: &str| Value::new(Some(&origin), ValueKind::String(text.to_owned()));
        let value = match (self.shape, self.text) {
            (_, Some(key)) => Value::new(Some(&origin), ValueKind::Table(Map::from([(key, one(text))]))),
            (Shape::One, None) => one(text),
            (Shape::Many, None) => {
                let items = text.split(',').map(str::trim).filter(|_| !text.trim().is_empty());
                Value::new(Some(&origin), ValueKind::Array(items.map(one).collect()))
            }
            (Shape::Texts(_) | Shape::Section(_) | Shape::List(_), None) => {
                yaml::read(text, Origin::Named(&origin), problems).unwrap_or_default()
            }
        };
        Layer { path: self.path, value }
    }
}

impl Layer {
    /// What tells this layer's place from another's: the path, and the text under it.
    fn identity(&self) -> (String, Option<String>) {
        let text = match &self.value.kind {
            ValueKind::Table(table) => table.keys().min().cloned(),
            _ => None,
        };
        (self.path.clone(), text)
    }
}

fn index(part: &str) -> Option<usize> {
    let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    part.parse().ok().filter(|index| digits && *index <= LAST_INDEX)
}
