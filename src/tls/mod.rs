//! How TLS is spoken on the server side: with rustls and ring, TLS 1.2 and 1.3.
//!
//! Promises: a server configuration that has been made is whole: the key fits the certificate, and whom to believe is
//! decided. Clients are believed by their certificates as Go's `ClientAuthType` says, since that is how the operators of
//! Prometheus programs say it. Reading files and names is left to the settings, the handshake to the server.

mod client_auth;
mod probe;

use std::net::IpAddr;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::VerifierBuilderError;
use rustls::{ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

pub use client_auth::ClientAuth;
pub use probe::probe_config;

/// The protocol of HTTP/2 in ALPN.
pub const HTTP2: &[u8] = b"h2";
/// The protocol of HTTP/1.1 in ALPN.
pub const HTTP1: &[u8] = b"http/1.1";

/// Everything a server's side of TLS is made of.
pub struct Terms {
    /// The server's certificate, then those that lead to a root.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first certificate.
    pub key: PrivateKeyDer<'static>,
    /// Whether clients have to show a certificate, and whose.
    pub client_auth: ClientAuth,
    /// Who vouches for clients.
    pub client_roots: Vec<CertificateDer<'static>>,
    /// Names of which a client's certificate must have one; none for any name.
    pub client_names: Vec<String>,
    /// The versions spoken.
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// The cipher suites, best first.
    pub suites: Vec<SupportedCipherSuite>,
    /// The groups of the key exchange, best first.
    pub groups: Vec<&'static dyn SupportedKxGroup>,
    /// Whether the order of `suites` counts rather than the client's.
    pub own_order: bool,
    /// Whether HTTP/2 is offered beside HTTP/1.1.
    pub http2: bool,
}

impl std::fmt::Debug for Terms {
    /// There is a key in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terms").field("client_auth", &self.client_auth).finish_non_exhaustive()
    }
}

/// Why there can be no TLS on these terms.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The key is of another certificate.
    #[error("the key is not that of the certificate")]
    OtherKey,
    /// The key or the certificate is of no use.
    #[error("the certificate or its key cannot be used")]
    Certificate(#[source] rustls::Error),
    /// One of the roots is no certificate.
    #[error("a client root cannot be used")]
    Root(#[source] rustls::Error),
    /// There is nobody to vouch for clients.
    #[error("clients cannot be verified")]
    Verifier(#[from] VerifierBuilderError),
    /// Versions and suites do not fit together.
    #[error("the versions and cipher suites do not fit together")]
    Versions(#[source] rustls::Error),
}

/// The server's side of TLS, ready to shake hands.
#[derive(Debug, Clone)]
pub struct Server {
    anybody: Arc<ServerConfig>,
    this_machine: Arc<ServerConfig>,
    expiry: Option<i64>,
}

impl Server {
    /// The server's side for `terms`.
    ///
    /// # Errors
    /// Where the terms do not fit together.
    pub fn new(terms: &Terms) -> Result<Self, TlsError> {
        let anybody = server_config(terms, None)?;
        let own = terms.chain.first().filter(|_| terms.client_auth != ClientAuth::NoClientCert);
        let this_machine = match own {
            Some(own) => server_config(terms, Some(own.clone()))?,
            None => Arc::clone(&anybody),
        };
        Ok(Self { anybody, this_machine, expiry: terms.chain.iter().filter_map(expiry).min() })
    }

    /// When the first certificate of the chain expires, in seconds since 1970.
    #[must_use]
    pub fn expiry(&self) -> Option<i64> {
        self.expiry
    }

    /// How to shake hands with `peer`. From loopback the server's own certificate is good enough for a client, which the
    /// health check of this program shows.
    #[must_use]
    pub fn for_peer(&self, peer: IpAddr) -> &Arc<ServerConfig> {
        if peer.to_canonical().is_loopback() { &self.this_machine } else { &self.anybody }
    }
}

/// When `certificate` expires. One that leads to a root may be anything; whoever connects judges it.
fn expiry(certificate: &CertificateDer<'static>) -> Option<i64> {
    let certificate = Certificate::from_der(certificate).ok()?;
    i64::try_from(certificate.tbs_certificate().validity().not_after.to_unix_duration().as_secs()).ok()
}

/// The configuration for `terms`, with which a client that shows `own` passes.
fn server_config(terms: &Terms, own: Option<CertificateDer<'static>>) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: terms.suites.clone(),
        kx_groups: terms.groups.clone(),
        ..ring::default_provider()
    });
    let (roots, names) = (terms.client_roots.clone(), terms.client_names.clone());
    let verifier = client_auth::verifier(terms.client_auth, roots, names, own, &provider)?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&terms.versions)
        .map_err(TlsError::Versions)?
        .with_client_cert_verifier(verifier);
    let mut config =
        config.with_single_cert(terms.chain.clone(), terms.key.clone_key()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::OtherKey,
            other => TlsError::Certificate(other),
        })?;
    config.ignore_client_order = terms.own_order;
    config.alpn_protocols = if terms.http2 { vec![HTTP2.to_vec(), HTTP1.to_vec()] } else { vec![HTTP1.to_vec()] };
    Ok(Arc::new(config))
}
