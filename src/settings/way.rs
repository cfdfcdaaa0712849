//! The way to the API: the proxy before it and who vouches for what is behind.

use std::fmt;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::accounts::Surroundings;
use super::endpoint::{check_host, split_port};
use super::layers;
use super::section::Section;
use crate::secret::Secret;

const PROXY_ACCEPTED: &str =
    "http://HOST:PORT or https://HOST:PORT, before HOST perhaps USER:PASSWORD@ with special characters percent-encoded";
const CA_ACCEPTED: &str = "a file of CA certificates in PEM";

/// An HTTP proxy: shown by its host alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    url: Secret,
    host: String,
    port: u16,
    loopback: bool,
}

impl Proxy {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, in words, when it has another form or leads to no machine that can be a proxy.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("not a URL")?;
        let scheme = scheme.to_ascii_lowercase();
        let usual = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return Err("neither http nor https".to_owned()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '\\', '?', '#']) {
            return Err("has a path or a query".to_owned());
        }
        let (user, place) = rest.rsplit_once('@').map_or((None, rest), |(user, place)| (Some(user), place));
        if user.is_some_and(|user| user.contains('@') || !user.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err("has a user name or password that is not percent-encoded".to_owned());
        }
        if user.is_some_and(|user| user.split(':').next().is_none_or(str::is_empty)) {
            return Err("has no user name before the @".to_owned());
        }
        let (host, port) = split_port(place)?;
        let host = host.to_ascii_lowercase();
        let address = check_host(&host)?;
        let loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        let port = port.unwrap_or(usual);
        let before = user.map_or_else(String::new, |user| format!("{user}@"));
        Ok(Self { url: Secret::new(format!("{scheme}://{before}{host}:{port}")), host, port, loopback })
    }

    /// Host and port, without name and password.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The whole URL, name and password included.
    #[must_use]
    pub fn url(&self) -> &Secret {
        &self.url
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({}:{})", self.host, self.port)
    }
}

/// CA certificates that are believed beside the bundled ones.
#[derive(Clone, PartialEq, Eq)]
pub struct CaFile {
    path: PathBuf,
    certificates: Vec<CertificateDer<'static>>,
}

impl CaFile {
    /// The certificates in the file at `path`.
    ///
    /// # Errors
    /// In words, when it cannot be read or what is in it cannot vouch for anybody.
    pub fn read(path: &Path) -> Result<Self, String> {
        let pem = layers::file_bytes(path)?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let certificates = found.map_err(|_| "has a certificate that is broken")?;
        if certificates.is_empty() {
            return Err("has no certificate in PEM".to_owned());
        }
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates.iter().enumerate() {
            let wrong = |_| format!("its certificate number {} cannot be used", index + 1);
            roots.add(certificate.clone()).map_err(wrong)?;
        }
        Ok(Self { path: path.to_owned(), certificates })
    }

    /// The certificates, at least one.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }
}

impl fmt::Debug for CaFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaFile({:?}, {} certificates)", self.path, self.certificates.len())
    }
}

/// The proxy of the account at `section`, where one is set. `plain` says whether anything is asked without TLS: what is
/// signed must not leave this machine in the clear.
pub(super) fn proxy(section: &Section<'_>, plain: bool) -> Option<Proxy> {
    let entry = section.entry("proxy")?;
    entry.read(PROXY_ACCEPTED, |text| {
        let proxy = Proxy::parse(text)?;
        if plain && !proxy.loopback {
            return Err("on another machine, where requests to http:// would pass in the clear".to_owned());
        }
        Ok(proxy)
    })
}

/// The further roots of the account at `section`, where some are set.
pub(super) fn ca_file(section: &Section<'_>, around: Surroundings<'_>) -> Option<CaFile> {
    let entry = section.entry("ca_file")?;
    entry.read(CA_ACCEPTED, |text| CaFile::read(&around.path(&entry, text)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_host_with_perhaps_a_name_and_a_password() {
        for (text, url) in [
            ("http://proxy.example.com:3128", "http://proxy.example.com:3128"),
            ("HTTPS://Proxy.example.com/", "https://proxy.example.com:443"),
            ("http://user:p%40ss@10.0.0.1", "http://user:p%40ss@10.0.0.1:80"),
            ("http://user@[::1]:8080", "http://user@[::1]:8080"),
        ] {
            assert_eq!(Proxy::parse(text).map(|proxy| proxy.url().expose().to_owned()), Ok(url.to_owned()), "{text}");
        }
        let shown = format!("{:?}", Proxy::parse("http://user:canary@proxy.example.com").unwrap());
        assert_eq!(shown, "Proxy(proxy.example.com:80)");
    }

    #[test]
    fn no_proxy_leads_to_a_metadata_service_or_has_another_form() {
        for text in [
            "",
            "proxy.example.com:3128",
            "canary@proxy:3128",
            "socks5://proxy:1080",
            "http://",
            "http://proxy:0",
            "http://proxy/canary",
            "http://proxy?canary",
            "http://proxy#canary",
            "http://us@er:canary@proxy",
            "http://user:can ary@proxy",
            "http://:canary@proxy",
            "http://@proxy",
            "http://169.254.0.23",
            "http://[::ffff:169.254.0.23]:80",
            "http://metadata.tencentyun.com",
            "http://0.0.0.0:3128",
        ] {
            let wrong = Proxy::parse(text).unwrap_err();
            assert!(!wrong.contains("canary"), "{text}: {wrong}");
        }
    }
}
