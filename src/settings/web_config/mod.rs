//! `web.config_file`: TLS, passwords, headers and the rate limit, in the format of Prometheus' exporter-toolkit.
//!
//! Promises: every key of the format and no other; all problems at once, in the words of the settings; what is
//! accepted is whole and can be served as it is, certificates and keys included. What the toolkit takes and rustls cannot
//! do is refused with what to use instead, never ignored. A reading names the files it read and has a digest of them, so
//! that whoever looks again can tell whether anything changed.
//!
//! Source: github.com/prometheus/exporter-toolkit, `docs/web-configuration.md` and `web/tls_config.go`.

mod files;
mod go_names;
mod http;
mod tls;
mod users;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use rustls::ClientConfig;

use crate::secret::Secret;
use crate::tls::Server;

use super::layers;
use super::problem::{Problems, shown_path};
use super::schema::{self, Shape};
use super::section::Section;
use files::Files;

/// Every key of the format.
pub(super) static ROOT: Shape = Shape::Section(&[
    (
        "tls_server_config",
        Shape::Section(&[
            ("cert", Shape::One),
            ("key", Shape::One),
            ("client_ca", Shape::One),
            ("cert_file", Shape::One),
            ("key_file", Shape::One),
            ("client_auth_type", Shape::One),
            ("client_ca_file", Shape::One),
            ("client_allowed_sans", Shape::Many),
            ("min_version", Shape::One),
            ("max_version", Shape::One),
            ("cipher_suites", Shape::Many),
            ("prefer_server_cipher_suites", Shape::One),
            ("curve_preferences", Shape::Many),
        ]),
    ),
    (
        "http_server_config",
        Shape::Section(&[
            ("http2", Shape::One),
            (
                "headers",
                Shape::Section(&[
                    ("Content-Security-Policy", Shape::One),
                    ("X-Frame-Options", Shape::One),
                    ("X-Content-Type-Options", Shape::One),
                    ("X-XSS-Protection", Shape::One),
                    ("Strict-Transport-Security", Shape::One),
                ]),
            ),
        ]),
    ),
    ("basic_auth_users", Shape::Texts("a mapping of user names to bcrypt hashes")),
    ("rate_limit", Shape::Section(&[("interval", Shape::One), ("burst", Shape::One)])),
]);

/// Who may ask, and how it is encrypted.
#[derive(Debug, Clone, Default)]
pub struct WebConfig {
    /// The server's side of TLS; absent without it.
    pub tls: Option<Server>,
    /// The side of a client on this machine that asks for health; there with `tls`.
    pub probe: Option<Arc<ClientConfig>>,
    /// Whether a client needs a certificate that somebody vouches for.
    pub verifies_clients: bool,
    /// Headers of every answer, over the ones it has.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Users with the bcrypt hashes of their passwords; none if everybody may ask.
    pub users: BTreeMap<String, Secret>,
    /// How often one address may ask; absent without a limit.
    pub rate_limit: Option<RateLimit>,
    /// What is accepted but not wise, in words.
    pub warnings: Vec<String>,
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Time in which one request becomes due; longer than zero.
    pub interval: Duration,
    /// Requests that may come at once after a pause; at least 1.
    pub burst: u32,
}

/// What was found at one time.
#[derive(Debug)]
pub struct Reading {
    /// The files that were read: the web config itself, and those that it names.
    pub files: Vec<PathBuf>,
    /// Their [`digest`].
    pub digest: [u8; 32],
    /// What it says, or everything that is wrong with it.
    pub result: Result<WebConfig, Problems>,
}

/// What tells whether any of the `files` of a [`Reading`] has changed, without a look at what they say.
#[must_use]
pub fn digest(files: &[PathBuf]) -> [u8; 32] {
    files::digest(files)
}

/// Reads the file at `path` and those that it names; relative names start from its folder.
#[must_use]
pub fn read(path: &Path) -> Reading {
    let name = shown_path(path);
    let files = Files::new(path);
    let mut problems = Problems::default();
    let text = files.own(path, &mut problems);
    let tree = text.and_then(|text| layers::file_tree(&text, &name, &ROOT, &mut problems));
    let config = tree.map(|tree| {
        schema::check(&tree, &ROOT, &mut problems);
        let cell = RefCell::new(std::mem::take(&mut problems));
        let config = web_config(&Section::root(&tree, &cell), &files);
        problems = cell.into_inner();
        config
    });
    let result = match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems.of_file(&name)),
    };
    let (files, digest) = files.into_read();
    Reading { files, digest, result }
}

fn web_config(root: &Section<'_>, files: &Files) -> WebConfig {
    let mut warnings = Vec::new();
    let http = root.section("http_server_config");
    let http2 = http.choice("http2", true, &[("true", true), ("false", false)]);
    let tls = tls::read(root, http2, files, &mut warnings).unwrap_or_default();
    WebConfig {
        tls: tls.server,
        probe: tls.probe,
        verifies_clients: tls.verifies_clients,
        headers: http::headers(&http),
        users: users::read(root, &mut warnings),
        rate_limit: http::rate_limit(&root.section("rate_limit")),
        warnings,
    }
}
