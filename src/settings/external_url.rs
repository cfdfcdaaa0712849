//! The URL under which people reach the exporter, where that is not its own address.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::endpoint::{is_host_name, split_port};

/// What an external URL may be, in words.
pub(super) const ACCEPTED: &str = "http:// or https://, a host, perhaps a port and a path; no query";

/// A validated URL: scheme, host, perhaps a port and a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalUrl {
    /// Scheme, host and port.
    origin: String,
    /// Empty, or with a slash before and none behind it.
    path: String,
}

impl ExternalUrl {
    /// Reads a URL.
    ///
    /// ```
    /// use tencent_live_exporter::settings::ExternalUrl;
    /// let url = ExternalUrl::parse("https://ops.example.com/live/").unwrap();
    /// assert_eq!((url.path(), url.to_string().as_str()), ("/live", "https://ops.example.com/live"));
    /// ```
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("not a URL")?;
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(&*scheme, "http" | "https") {
            return Err("neither https nor http".to_owned());
        }
        if rest.contains('@') {
            return Err("has a user name".to_owned());
        }
        if rest.contains(['?', '#']) {
            return Err("has a query".to_owned());
        }
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let authority = authority.to_ascii_lowercase();
        let (host, _) = split_port(&authority)?;
        let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let valid = match inside {
            Some(inside) => inside.parse::<Ipv6Addr>().is_ok(),
            None if numeric => host.parse::<Ipv4Addr>().is_ok(),
            None => is_host_name(host),
        };
        if !valid {
            return Err("not a host".to_owned());
        }
        let path = path.trim_end_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        if path.split('/').skip(1).any(|part| matches!(part, "" | "." | "..") || !part.chars().all(plain)) {
            return Err("has an empty or dotted part in its path, or characters that need escaping".to_owned());
        }
        Ok(Self { origin: format!("{scheme}://{authority}"), path: path.to_owned() })
    }

    /// The path, without a slash at its end; empty where there is none.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for ExternalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_can_open_is_taken() {
        for (text, url, path) in [
            ("http://localhost:19267", "http://localhost:19267", ""),
            ("HTTPS://Ops.Example.com/Live//", "https://ops.example.com/Live", "/Live"),
            ("https://[2001:db8::1]:8443/a/b-c.d_e~f/", "https://[2001:db8::1]:8443/a/b-c.d_e~f", "/a/b-c.d_e~f"),
            ("http://192.0.2.1/", "http://192.0.2.1", ""),
        ] {
            let read = ExternalUrl::parse(text).unwrap();
            assert_eq!((read.to_string().as_str(), read.path()), (url, path));
        }
    }

    #[test]
    fn nothing_else_is_taken() {
        for text in [
            "",
            "/live",
            "ops.example.com/live",
            "ftp://ops.example.com",
            "https://",
            "https:///live",
            "https://user@ops.example.com",
            "https://ops.example.com:0",
            "https://ops.example.com:http",
            "https://1.2.3/",
            "https://[::1/",
            "https://ops.example.com/a//b",
            "https://ops.example.com/../b",
            "https://ops.example.com/a b",
            "https://ops.example.com/a\"onclick=",
            "https://ops.example.com/直播",
            "https://ops.example.com/live?x",
            "https://ops.example.com/live#x",
        ] {
            assert!(ExternalUrl::parse(text).is_err(), "{text}");
        }
    }
}
