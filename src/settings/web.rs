//! Where and how the exporter answers.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use super::endpoint::is_host_name;
use super::external_url::{ACCEPTED as URL_ACCEPTED, ExternalUrl};
use super::problem::{Problem, ProblemKind};
use super::section::{Entry, Section};
use super::web_config;

const ADDRESS_ACCEPTED: &str = "addresses such as :19267, 127.0.0.1:19267 or [::1]:19267, each once";
const PATH_ACCEPTED: &str = "a path such as /metrics, other than /, /disconnects and what is below /api and /-";

/// The HTTP side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// Where to listen; at least one.
    pub listen_addresses: Vec<ListenAddress>,
    /// The path of the metrics.
    pub telemetry_path: String,
    /// Most scrapes answered at a time, up to 100,000; 0 for no limit.
    pub max_requests: u64,
    /// Whether `/-/reload` is there for whoever can reach it.
    pub enable_lifecycle: bool,
    /// The URL under which people reach this, where that is not its own address.
    pub external_url: Option<ExternalUrl>,
    /// Whether OpenMetrics pages carry `_created` lines.
    pub created_lines: bool,
    /// The file about TLS, passwords, headers and the rate limit; sound when the settings were read.
    pub config_file: Option<PathBuf>,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            listen_addresses: vec![ListenAddress { host: String::new(), port: 19_267 }],
            telemetry_path: "/metrics".to_owned(),
            max_requests: 40,
            enable_lifecycle: false,
            external_url: None,
            created_lines: false,
            config_file: None,
        }
    }
}

impl Web {
    pub(super) fn read(section: &Section<'_>, folder: Option<&Path>) -> Self {
        let default = Self::default();
        let external_url = section.entry("external_url").filter(|entry| !entry.text.is_empty());
        let switch = [("true", true), ("false", false)];
        Self {
            listen_addresses: listen_addresses(section).unwrap_or(default.listen_addresses),
            telemetry_path: section.read("telemetry_path", default.telemetry_path, PATH_ACCEPTED, telemetry_path).value,
            max_requests: section.number("max_requests", default.max_requests, 0..=100_000),
            enable_lifecycle: section.choice("enable_lifecycle", default.enable_lifecycle, &switch),
            external_url: external_url.and_then(|entry| entry.read(URL_ACCEPTED, ExternalUrl::parse)),
            created_lines: section.choice("created_lines", default.created_lines, &switch),
            config_file: section.entry("config_file").and_then(|entry| config_file(section, &entry, folder)),
        }
    }
}

/// The path of the file, which is read once to find what is wrong with it; blank for none.
fn config_file(section: &Section<'_>, entry: &Entry<'_>, folder: Option<&Path>) -> Option<PathBuf> {
    if entry.text.is_empty() {
        return None;
    }
    let path = match folder {
        Some(folder) if entry.is_in_file() => folder.join(entry.text),
        _ => PathBuf::from(entry.text),
    };
    match web_config::read(&path).result {
        Ok(_) => Some(path),
        Err(problems) => {
            section.report_all(problems);
            None
        }
    }
}

fn listen_addresses(section: &Section<'_>) -> Option<Vec<ListenAddress>> {
    let entries = section.entries("listen_addresses")?;
    let mut seen = BTreeSet::new();
    let mut addresses = Vec::new();
    for entry in &entries {
        let Some(address) = entry.read(ADDRESS_ACCEPTED, ListenAddress::parse) else { continue };
        // Port 0 is another free port each time.
        if seen.insert(address.to_string()) || address.port == 0 {
            addresses.push(address);
        } else {
            entry.refuse(ProblemKind::Contradiction, "there twice", ADDRESS_ACCEPTED);
        }
    }
    if entries.is_empty() {
        let key = format!("{}.listen_addresses", section.key());
        section.report(Problem::new(ProblemKind::BadValue, key, "an empty list", ADDRESS_ACCEPTED));
    }
    Some(addresses)
}

/// A path that a scrape can ask for and that is not already another page.
fn telemetry_path(text: &str) -> Result<String, String> {
    let safe = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    let Some(inside) = text.strip_prefix('/') else { return Err("does not start with /".to_owned()) };
    let mut parts = inside.trim_end_matches('/').split('/');
    if !text.chars().all(safe) {
        Err("has characters that need escaping".to_owned())
    } else if parts.clone().any(|part| matches!(part, "." | "..")) || text.contains("//") {
        Err("has an empty or dotted part".to_owned())
    } else if parts.next().is_some_and(|first| matches!(first, "" | "-" | "api" | "disconnects")) {
        Err("taken by another page".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// An address to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress {
    host: String,
    port: u16,
}

impl ListenAddress {
    /// Reads `host:port`, `:port` or `[v6]:port`.
    ///
    /// ```
    /// use tencent_live_exporter::settings::ListenAddress;
    /// let address = ListenAddress::parse(":19267").unwrap();
    /// assert_eq!(address.to_bind(), ["[::]:19267", "0.0.0.0:19267"]);
    /// ```
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (host, port) = text.rsplit_once(':').ok_or("has no port")?;
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits).ok_or("not a port")?;
        let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let valid = match inside {
            Some(inside) => inside.parse::<Ipv6Addr>().is_ok(),
            None if host.is_empty() => true,
            None if numeric => host.parse::<Ipv4Addr>().is_ok(),
            None => is_host_name(host),
        };
        if valid { Ok(Self { host: host.to_ascii_lowercase(), port }) } else { Err("not a host".to_owned()) }
    }

    /// The port; 0 for any free one.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What to bind, the first that works: without a host every address of the machine, of both families where it has
    /// IPv6.
    #[must_use]
    pub fn to_bind(&self) -> Vec<String> {
        if self.host.is_empty() {
            vec![format!("[::]:{}", self.port), format!("0.0.0.0:{}", self.port)]
        } else {
            vec![self.to_string()]
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_bound_is_taken() {
        for text in [":19267", "127.0.0.1:0", "[::]:9100", "[::1]:9100", "localhost:80", "host.example.com:65535"] {
            assert_eq!(ListenAddress::parse(text).map(|address| address.to_string()), Ok(text.to_owned()));
        }
        for text in [
            "",
            "19267",
            "localhost",
            "::1:80",
            ":http",
            ":",
            ":+1",
            ":65536",
            "1.2.3:80",
            "[::1",
            "[1.2.3.4]:80",
            "a b:80",
            "http://localhost:80",
        ] {
            assert!(ListenAddress::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_metrics_take_no_path_that_is_taken() {
        for text in ["/metrics", "/metrics/", "/a/b-c.d_e~f", "/apis", "/disconnects-total"] {
            assert_eq!(telemetry_path(text), Ok(text.to_owned()));
        }
        for text in [
            "",
            "/",
            "//",
            "metrics",
            "/-",
            "/-/healthy",
            "/api",
            "/api/v1/metrics",
            "/disconnects",
            "/disconnects/",
            "/a b",
            "/a?b",
            "/a#b",
            "/a%20",
            "/a//b",
            "/../a",
            "/a/.",
            "/指标",
        ] {
            assert!(telemetry_path(text).is_err(), "{text}");
        }
    }
}
