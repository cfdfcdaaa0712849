//! What the operator has set: one YAML file, variables over it, flags over both.
//!
//! Promises: every key of `config/exporter.yaml` and no other; whatever is wrong is reported at once, each problem with
//! its key, its value and what is accepted; no problem and no `Debug` text shows a secret; without a file
//! everything has a default, and keys come from where Tencent's own tools find them.
//!
//! The line: `yaml` and `layers` make one tree of texts, `schema` checks its keys, `section` reads values out of it.
//! `web_config` reads the file of `web.config_file` with the same means.
//! Other rooms have options of their own; mapping these onto those is left to the place that wires rooms together.

mod accounts;
mod credentials;
mod duration;
mod endpoint;
mod external_url;
mod layers;
mod log;
mod poll;
mod problem;
mod schema;
mod section;
mod series;
mod spellings;
mod storage;
mod way;
mod web;
pub mod web_config;
mod yaml;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

pub use accounts::Account;
pub use credentials::{CredentialSource, ProfilePlaces, Role, WebIdentity};
pub use duration::{DurationError, format_duration, parse_duration};
pub use endpoint::{Endpoint, Site};
pub use external_url::ExternalUrl;
pub use log::{Log, LogFormat, LogLevel};
pub use poll::Poll;
use problem::shown_path;
pub use problem::{Problem, Problems};
pub use series::Series;
pub use storage::{ClientIp, State, StatePath};
pub use way::{CaFile, Proxy};
pub use web::{ListenAddress, Web};

use crate::reason::Reason;

use accounts::Surroundings;
use layers::Layer;
use section::Section;

/// Everything that can be set, valid.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Whom to ask; at least one.
    pub accounts: Vec<Account>,
    /// When to ask for what.
    pub poll: Poll,
    /// What the stream counter shows, and its bounds.
    pub series: Series,
    /// What is kept on disk.
    pub state: State,
    /// Where and how to answer.
    pub web: Web,
    /// The log.
    pub log: Log,
    /// Extra spellings of reasons, in the order of the texts.
    pub reasons: Vec<(String, Reason)>,
}

impl Settings {
    /// The names of the accounts, in their order.
    #[must_use]
    pub fn account_names(&self) -> Vec<String> {
        self.accounts.iter().map(|account| account.name.clone()).collect()
    }

    /// The settings that `text` makes by itself, with the credentials and overrides of `environment`.
    ///
    /// # Errors
    /// As [`load`].
    pub fn from_yaml(
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Settings, Problems> {
        let mut problems = Problems::default();
        let layer = layers::file_layer(text, "settings", &mut problems);
        settings(layer.into_iter().collect(), None, &environment.into_iter().collect(), &[], problems)
    }
}

/// Reads the settings: `file`, over it those of `environment` that begin with `TENCENT_LIVE__`, over both `overrides`.
///
/// Overrides are dotted keys with their values, such as `("web.telemetry_path", "/m")` or `("accounts[0].name", "a")`;
/// lists are comma separated, and a list given again gathers its values. Of single values the last one wins.
///
/// # Errors
/// Everything that is wrong, at once: see [`Problem`].
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    overrides: &[(String, String)],
) -> Result<Settings, Problems> {
    let mut problems = Problems::default();
    let text = file.and_then(|path| Some((path, layers::file_text(path, &mut problems)?)));
    let layer = text.and_then(|(path, text)| layers::file_layer(&text, &shown_path(path), &mut problems));
    let environment = environment.into_iter().collect();
    settings(layer.into_iter().collect(), file.and_then(Path::parent), &environment, overrides, problems)
}

fn settings(
    mut layers: Vec<Layer>,
    folder: Option<&Path>,
    environment: &BTreeMap<String, String>,
    overrides: &[(String, String)],
    mut problems: Problems,
) -> Result<Settings, Problems> {
    // A file that cannot be read says nothing about its keys; to go on would blame what it may well have set.
    let unreadable = !problems.is_empty() && layers.is_empty();
    layers.extend(layers::environment_layers(environment, &mut problems));
    layers.extend(layers::override_layers(overrides, &mut problems));
    let Some(tree) = layers::merge(layers, &mut problems).filter(|_| !unreadable) else { return Err(problems) };
    schema::check(&tree, &schema::ROOT, &mut problems);
    let problems = RefCell::new(problems);
    let root = Section::root(&tree, &problems);
    let settings = Settings {
        accounts: accounts::read(&root, Surroundings { folder, environment }),
        poll: Poll::read(&root.section("poll")),
        series: Series::read(&root.section("series")),
        state: State::read(&root.section("state")),
        web: Web::read(&root.section("web"), folder),
        log: Log::read(&root.section("log")),
        reasons: spellings::read(&root),
    };
    let problems = problems.into_inner();
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}
