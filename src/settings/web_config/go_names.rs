//! Versions, cipher suites and curves by the names that Go has for them.
//!
//! Source: <https://pkg.go.dev/crypto/tls#pkg-constants>; the toolkit takes what `tls.CipherSuites` lists.

use rustls::crypto::SupportedKxGroup;
use rustls::crypto::ring::{cipher_suite as suite, kx_group};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

pub(super) const VERSIONS_ACCEPTED: &str = "TLS12, TLS13";
pub(super) const CURVES_ACCEPTED: &str = "X25519, CurveP256, CurveP384";

const SUITES: [(&str, SupportedCipherSuite); 9] = [
    ("TLS_AES_128_GCM_SHA256", suite::TLS13_AES_128_GCM_SHA256),
    ("TLS_AES_256_GCM_SHA384", suite::TLS13_AES_256_GCM_SHA384),
    ("TLS_CHACHA20_POLY1305_SHA256", suite::TLS13_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// The suites there are, in words.
pub(super) fn suites_accepted() -> String {
    SUITES.map(|(name, _)| name).join(", ")
}

/// The suite that Go calls `name`.
pub(super) fn suite(name: &str) -> Result<SupportedCipherSuite, String> {
    if let Some((_, suite)) = SUITES.iter().find(|(known, _)| *known == name) {
        return Ok(*suite);
    }
    Err(if !name.starts_with("TLS_") {
        "not a name of Go's".to_owned()
    } else if name.contains("_CBC_") {
        "rustls has no CBC suites, which leak what they encrypt; use one with GCM or CHACHA20".to_owned()
    } else if name.contains("_RC4_") || name.contains("_3DES_") {
        "rustls has no RC4 and no 3DES, which are broken; use one with GCM or CHACHA20".to_owned()
    } else if name.starts_with("TLS_RSA_") {
        "rustls has no RSA key exchange, which keeps no past traffic secret; use one with ECDHE".to_owned()
    } else {
        "not a suite that rustls has".to_owned()
    })
}

/// Versions in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    Tls12,
    Tls13,
}

impl Version {
    /// What rustls calls it.
    pub(super) const fn supported(self) -> &'static SupportedProtocolVersion {
        match self {
            Version::Tls12 => &version::TLS12,
            Version::Tls13 => &version::TLS13,
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Version::Tls12 => "TLS12",
            Version::Tls13 => "TLS13",
        })
    }
}

/// The version called `name`.
pub(super) fn version(name: &str) -> Result<Version, String> {
    match name {
        "TLS12" => Ok(Version::Tls12),
        "TLS13" => Ok(Version::Tls13),
        "TLS10" | "TLS11" => Err("rustls has no TLS 1.0 and 1.1, which are broken; use TLS12".to_owned()),
        _ => Err("not a version".to_owned()),
    }
}

/// The curve that Go calls `name`.
pub(super) fn curve(name: &str) -> Result<&'static dyn SupportedKxGroup, String> {
    match name {
        "X25519" => Ok(kx_group::X25519),
        "CurveP256" => Ok(kx_group::SECP256R1),
        "CurveP384" => Ok(kx_group::SECP384R1),
        "CurveP521" => Err("rustls with ring has no P-521; use CurveP384".to_owned()),
        _ => Err("not a curve".to_owned()),
    }
}
