//! Where the API answers: a URL that cannot lead a signed request astray.
//!
//! Credentials are signed for whoever listens at the endpoint. So it is `https`, except on this very machine; and it is
//! never a link-local address, behind which clouds keep the metadata of their machines.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an endpoint may be, in words.
pub(super) const ACCEPTED: &str =
    "https://HOST or https://HOST:PORT, or http:// with localhost or a loopback address, without a path";

/// The host that hands out a machine's own credentials (CVM).
const METADATA_HOST: &str = "metadata.tencentyun.com";

/// Which of the two separate clouds an account belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// cloud.tencent.com
    China,
    /// tencentcloud.com
    International,
}

impl Site {
    pub(super) const CHOICES: [(&str, Site); 2] = [("china", Site::China), ("international", Site::International)];

    /// The site's API for Live.
    #[must_use]
    pub fn endpoint(self) -> Endpoint {
        self.api("live")
    }

    /// The site's security token service.
    #[must_use]
    pub fn sts_endpoint(self) -> Endpoint {
        self.api("sts")
    }

    fn api(self, service: &str) -> Endpoint {
        let domain = match self {
            Site::China => "tencentcloudapi.com",
            Site::International => "intl.tencentcloudapi.com",
        };
        Endpoint { plain: false, host: format!("{service}.{domain}"), port: None }
    }
}

/// A validated base URL: scheme, host, perhaps a port, nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    plain: bool,
    host: String,
    port: Option<u16>,
}

impl Endpoint {
    /// Reads a URL.
    ///
    /// ```
    /// use tencent_live_exporter::settings::Endpoint;
    /// let endpoint = Endpoint::parse("https://live.tencentcloudapi.com/").unwrap();
    /// assert_eq!(endpoint.to_string(), "https://live.tencentcloudapi.com");
    /// assert!(Endpoint::parse("http://live.tencentcloudapi.com").is_err());
    /// assert!(Endpoint::parse("http://127.0.0.1:8080").is_ok());
    /// ```
    ///
    /// # Errors
    /// What is wrong with it, in words, when it has another form or leads where no signed request may go.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("not a URL")?;
        let plain = match scheme.to_ascii_lowercase().as_str() {
            "https" => false,
            "http" => true,
            _ => return Err("neither https nor http".to_owned()),
        };
        if rest.contains('@') {
            return Err("has a user name".to_owned());
        }
        if rest.contains(['?', '#']) {
            return Err("has a query".to_owned());
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '\\']) {
            return Err("has a path".to_owned());
        }
        let (host, port) = split_port(rest)?;
        let host = host.to_ascii_lowercase();
        let address = check_host(&host)?;
        let loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        if plain && !loopback {
            return Err("http to another machine".to_owned());
        }
        Ok(Self { plain, host, port })
    }

    /// The host: a name, an IPv4 address, or an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.plain { 80 } else { 443 })
    }

    /// The `Host` header: the host, and the port where one was given.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// Whether this is `http`, which only loopback may be.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.plain
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.plain { "http" } else { "https" }, self.authority())
    }
}

/// `host:port`, or a host alone.
pub(super) fn split_port(rest: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match rest.rfind(']') {
        Some(end) => match &rest[end + 1..] {
            "" => (rest, None),
            port => (&rest[..=end], Some(port.strip_prefix(':').ok_or("not a host")?)),
        },
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    let port = port.map(|port| match port.parse() {
        Ok(number @ 1..) if port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err("not a port"),
    });
    Ok((host, port.transpose()?))
}

/// The address that `host` is, or `None` for a name.
pub(super) fn check_host(host: &str) -> Result<Option<IpAddr>, String> {
    if let Some(inside) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address: Ipv6Addr = inside.parse().map_err(|_| "not an IPv6 address")?;
        return check_address(IpAddr::V6(address)).map(Some);
    }
    if !is_host_name(host) {
        return Err("not a host".to_owned());
    }
    // Browsers and HTTP libraries read `2852039166` and `0xa9fea9fe` as 169.254.169.254; only the usual form is taken.
    let last = host.rsplit('.').next().unwrap_or(host);
    if last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") {
        let address: Ipv4Addr = host.parse().map_err(|_| "not an IPv4 address")?;
        return check_address(IpAddr::V4(address)).map(Some);
    }
    if host == METADATA_HOST {
        return Err("the metadata service of the machine".to_owned());
    }
    Ok(None)
}

fn check_address(address: IpAddr) -> Result<IpAddr, String> {
    let inside = match address {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(v6) => embedded(v6),
    };
    let link_local =
        inside.is_some_and(|v4| v4.is_link_local()) || matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    if link_local {
        return Err("a link-local address".to_owned());
    }
    let nowhere = address.is_unspecified()
        || address.is_multicast()
        || inside.is_some_and(|v4| v4.is_broadcast() || v4.is_unspecified() || v4.is_multicast());
    // `::1` ends in what reads as 0.0.0.1; it is none of these.
    if nowhere { Err("not the address of one machine".to_owned()) } else { Ok(address) }
}

/// The IPv4 address inside an IPv6 one: mapped, compatible, or behind the well-known NAT64 prefix (RFC 6052).
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    match v6.octets() {
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, v4 @ ..] => Some(Ipv4Addr::from(v4)),
        _ => v6.to_ipv4(),
    }
}

/// Whether `host` is made of letters, digits, `-` and `_`, in parts separated by single dots.
pub(super) fn is_host_name(host: &str) -> bool {
    let part = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    host.len() <= 253 && host.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hosts_of_either_site_and_loopback_are_taken() {
        for (text, url) in [
            ("https://live.tencentcloudapi.com", "https://live.tencentcloudapi.com"),
            ("HTTPS://LIVE.intl.tencentcloudapi.com/", "https://live.intl.tencentcloudapi.com"),
            ("https://live.example.com:8443", "https://live.example.com:8443"),
            ("https://203.0.113.9", "https://203.0.113.9"),
            ("http://127.0.0.1:19268", "http://127.0.0.1:19268"),
            ("http://localhost:80", "http://localhost:80"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(Endpoint::parse(text).map(|endpoint| endpoint.to_string()), Ok(url.to_owned()), "{text}");
        }
        for (site, domain) in [(Site::China, "tencentcloudapi.com"), (Site::International, "intl.tencentcloudapi.com")]
        {
            assert_eq!(site.endpoint().to_string(), format!("https://live.{domain}"));
            assert_eq!(site.sts_endpoint().to_string(), format!("https://sts.{domain}"));
        }
        assert_eq!(Site::China.endpoint().port(), 443);
        assert_eq!(Endpoint::parse("http://[::1]").unwrap().authority(), "[::1]");
    }

    #[test]
    fn nothing_else_is_taken() {
        for text in [
            "",
            "live.tencentcloudapi.com",
            "ftp://live.tencentcloudapi.com",
            "https://",
            "https:///",
            "https://:443",
            "https://host:0",
            "https://host:+1",
            "https://host:65536",
            "https://host:1:2",
            "https://host.",
            "https://ho st",
            "https://h\u{f6}st",
            "https://user@host",
            "https://host/api",
            "https://host\\api",
            "https://host?x",
            "https://host#x",
            "https://[::1",
            "https://::1",
            "https://[::1]443",
            "https://[fe80::1%25eth0]",
            "http://live.tencentcloudapi.com",
            "http://192.168.1.1",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn metadata_and_link_local_addresses_are_refused_in_every_form() {
        for host in [
            "169.254.169.254",
            "169.254.0.23",
            "169.254.169.254.",
            "2852039166",
            "0xa9fea9fe",
            "0251.0376.0251.0376",
            "169.254.43518",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]",
            "[::169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[fe80::1]",
            "metadata.tencentyun.com",
            "METADATA.tencentyun.com",
            "0.0.0.0",
            "[::]",
            "[::ffff:0.0.0.0]",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            for scheme in ["http", "https"] {
                let url = format!("{scheme}://{host}");
                assert!(Endpoint::parse(&url).is_err(), "{url}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_is_taken_again(text in "https?://[a-z0-9.:\\[\\]-]{0,20}/?|\\PC{0,20}") {
            if let Ok(endpoint) = Endpoint::parse(&text) {
                prop_assert_eq!(Endpoint::parse(&endpoint.to_string()), Ok(endpoint));
            }
        }
    }
}
