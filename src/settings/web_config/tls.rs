//! The section `tls_server_config`.

use std::sync::Arc;

use rustls::crypto::SupportedKxGroup;
use rustls::crypto::ring::{ALL_KX_GROUPS, DEFAULT_CIPHER_SUITES};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, SupportedCipherSuite, SupportedProtocolVersion};

use crate::settings::problem::{Problem, ProblemKind};
use crate::settings::section::{Entry, Section};
use crate::tls::{self, ClientAuth, Server, Terms, TlsError};

use super::files::Files;
use super::go_names::{self, CURVES_ACCEPTED, VERSIONS_ACCEPTED, Version};

const NAME: &str = "tls_server_config";
const CERTIFICATES: &str = "certificates in PEM, the server's first";
const ROOTS: &str = "certificates in PEM";
const KEY: &str = "the key of the certificate, in PEM and without a password";

const CLIENT_AUTH: [(&str, ClientAuth); 6] = [
    ("NoClientCert", ClientAuth::NoClientCert),
    ("RequestClientCert", ClientAuth::RequestClientCert),
    ("RequireAnyClientCert", ClientAuth::RequireAnyClientCert),
    ("VerifyClientCertIfGiven", ClientAuth::VerifyClientCertIfGiven),
    ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerifyClientCert),
    // An older name, which the toolkit still takes.
    ("RequireClientCert", ClientAuth::RequireAnyClientCert),
];

/// Both sides of TLS, as far as there is any.
#[derive(Default)]
pub(super) struct Tls {
    pub(super) server: Option<Server>,
    pub(super) probe: Option<Arc<ClientConfig>>,
    pub(super) verifies_clients: bool,
}

/// Reads the section; `None` where it is refused, or where nothing is set in it.
pub(super) fn read(root: &Section<'_>, http2: bool, files: &Files, warnings: &mut Vec<String>) -> Option<Tls> {
    let section = root.section(NAME);
    if !section.names().any(|name| section.has(name)) {
        return None;
    }
    let chain = material(&section, ["cert", "cert_file"], files, CERTIFICATES, certificates);
    let key = material(&section, ["key", "key_file"], files, KEY, private_key);
    for ([inline, file], accepted) in [(["cert", "cert_file"], CERTIFICATES), (["key", "key_file"], KEY)] {
        if !is_set(&section, inline) && !is_set(&section, file) {
            let wrong = format!("neither {inline} nor {file} is set");
            section.report(Problem::new(ProblemKind::Missing, NAME, wrong, accepted));
        }
    }
    if let Some(entry) = set_entry(&section, "key_file").filter(|entry| files.is_open_to_all(entry.text)) {
        warnings.push(format!("{}: everybody on this machine can read the key; chmod o-r it", entry.key));
    }
    let roots = material(&section, ["client_ca", "client_ca_file"], files, ROOTS, certificates);
    let client_auth = client_auth(&section);
    let (versions, suites) = versions_and_suites(&section);
    let terms = Terms {
        chain: chain.clone().unwrap_or_default(),
        key: key.as_ref()?.clone_key(),
        client_auth,
        client_roots: roots.unwrap_or_default(),
        client_names: values(&section, "client_allowed_sans", "a name", |text| Ok(text.to_owned())),
        versions,
        suites,
        groups: groups(&section),
        own_order: section.choice("prefer_server_cipher_suites", true, &[("true", true), ("false", false)]),
        http2,
    };
    let (chain, key) = (chain?, key?);
    if !root.is_sound(NAME) {
        return None;
    }
    let refuse = |key: &str, wrong: String, accepted: &str| {
        let key = format!("{NAME}.{key}");
        section.report(Problem::new(ProblemKind::Contradiction, key, wrong, accepted));
    };
    let server = match Server::new(&terms) {
        Ok(server) => server,
        Err(error) => {
            let (key, accepted) = match &error {
                TlsError::OtherKey => (if is_set(&section, "key") { "key" } else { "key_file" }, KEY),
                TlsError::Certificate(_) => (if is_set(&section, "cert") { "cert" } else { "cert_file" }, CERTIFICATES),
                TlsError::Root(_) | TlsError::Verifier(_) => ("client_ca", ROOTS),
                TlsError::Versions(_) => ("cipher_suites", "suites of the versions spoken"),
            };
            refuse(key, in_words(&error), accepted);
            return None;
        }
    };
    let probe = tls::probe_config(chain, key).map_err(|error| refuse("key", error.to_string(), KEY)).ok()?;
    let verifies_clients = client_auth == ClientAuth::RequireAndVerifyClientCert;
    Some(Tls { server: Some(server), probe: Some(Arc::new(probe)), verifies_clients })
}

/// The value called `name`; blank is not set, as in the toolkit.
fn set_entry<'a>(section: &Section<'a>, name: &str) -> Option<Entry<'a>> {
    section.entry(name).filter(|entry| !entry.text.is_empty())
}

fn is_set(section: &Section<'_>, name: &str) -> bool {
    section.has(name) && section.entry(name).is_none_or(|entry| !entry.text.is_empty())
}

/// What stands in the key `inline` itself, or in the file that the key `file` names.
fn material<T>(
    section: &Section<'_>,
    [inline, file]: [&str; 2],
    files: &Files,
    accepted: &str,
    parse: fn(&[u8]) -> Result<T, String>,
) -> Option<T> {
    match (set_entry(section, inline), set_entry(section, file)) {
        (Some(_), Some(entry)) => {
            entry.refuse(ProblemKind::Contradiction, format!("set beside {inline}"), "one of them");
            None
        }
        (Some(entry), None) => entry.read(accepted, |text| parse(text.as_bytes())),
        (None, Some(entry)) => entry.read(accepted, |name| {
            files.named(name).and_then(|bytes| parse(&bytes).map_err(|wrong| format!("the file {wrong}")))
        }),
        (None, None) => None,
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(certificates) if certificates.is_empty() => Err("has no certificate in PEM".to_owned()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("is not PEM, {error}")),
    }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    // What the parser says of a bad one may repeat some of it.
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| "has no key in PEM that can be read".to_owned())
}

fn client_auth(section: &Section<'_>) -> ClientAuth {
    let kinds = &CLIENT_AUTH[..];
    let default = ClientAuth::default();
    let auth = match set_entry(section, "client_auth_type") {
        Some(_) => section.choice("client_auth_type", default, kinds),
        None => default,
    };
    if !section.is_sound("client_auth_type") {
        return auth;
    }
    let report = |key: &str, wrong: &str, accepted: &str| {
        let key = format!("{NAME}.{key}");
        section.report(Problem::new(ProblemKind::Contradiction, key, wrong, accepted));
    };
    let has_roots = is_set(section, "client_ca") || is_set(section, "client_ca_file");
    if has_roots && auth == ClientAuth::NoClientCert {
        report("client_auth_type", "not set beside a client CA", "RequireAndVerifyClientCert");
    }
    if !has_roots && auth.verifies() {
        // Go would believe whomever the roots of the machine vouch for, that is nearly everybody.
        report("client_auth_type", "neither client_ca nor client_ca_file is set", "one of them beside this");
    }
    if section.has("client_allowed_sans") && !auth.is_mandatory() {
        report(
            "client_allowed_sans",
            "no certificate is demanded of clients",
            "client_auth_type RequireAnyClientCert or RequireAndVerifyClientCert beside it",
        );
    }
    auth
}

/// Versions and suites that fit together.
fn versions_and_suites(section: &Section<'_>) -> (Vec<&'static SupportedProtocolVersion>, Vec<SupportedCipherSuite>) {
    let min = section.read("min_version", Version::Tls12, VERSIONS_ACCEPTED, go_names::version);
    let max = section.read("max_version", Version::Tls13, VERSIONS_ACCEPTED, go_names::version);
    if min.sound && max.sound && min.value > max.value {
        section.report(min.contradicts(format!("above max_version {}", max.value), format!("at most {}", max.value)));
    }
    let chosen = values(section, "cipher_suites", &go_names::suites_accepted(), go_names::suite);
    let of_12 = |suite: &SupportedCipherSuite| suite.tls13().is_none();
    let mut versions: Vec<Version> =
        [Version::Tls12, Version::Tls13].into_iter().filter(|one| (min.value..=max.value).contains(one)).collect();
    // As in Go, the list is about TLS 1.2; those of 1.3 are all good, and always there.
    let suites = if chosen.is_empty() {
        DEFAULT_CIPHER_SUITES.to_vec()
    } else {
        let (chosen_12, chosen_13): (Vec<_>, Vec<_>) = chosen.into_iter().partition(of_12);
        let others = DEFAULT_CIPHER_SUITES.iter().filter(|suite| !of_12(suite) && !chosen_13.contains(suite)).copied();
        if chosen_12.is_empty() && section.is_sound("cipher_suites") {
            versions.retain(|version| *version == Version::Tls13);
            if max.value == Version::Tls12 {
                let (key, wrong) = (format!("{NAME}.cipher_suites"), "none of them is of TLS 1.2");
                section.report(Problem::new(
                    ProblemKind::Contradiction,
                    key,
                    wrong,
                    "max_version TLS13, or one that is",
                ));
            }
        }
        chosen_13.iter().copied().chain(others).chain(chosen_12).collect()
    };
    (versions.into_iter().map(Version::supported).collect(), suites)
}

fn groups(section: &Section<'_>) -> Vec<&'static dyn SupportedKxGroup> {
    let chosen = values(section, "curve_preferences", CURVES_ACCEPTED, go_names::curve);
    if chosen.is_empty() { ALL_KX_GROUPS.to_vec() } else { chosen }
}

/// The values of the list called `name` through `read`, those that were accepted.
fn values<T>(section: &Section<'_>, name: &str, accepted: &str, read: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
    let entries = section.entries(name).unwrap_or_default();
    entries.iter().filter_map(|entry| entry.read(accepted, &read)).collect()
}

fn in_words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |words, cause| format!("{words}, {cause}"))
}
