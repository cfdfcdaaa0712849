//! Which clients are believed by their certificates.
//!
//! rustls verifies chains; what Go has beside that is here: to ask for a certificate and take any, and to insist on a
//! name. Where it is so wanted, whoever proves to hold the server's own key is let in as well: the health check of this
//! program, which reads the same configuration, has no other certificate to show.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::TlsError;

/// What is asked of clients: Go's `ClientAuthType`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// Nothing.
    #[default]
    NoClientCert,
    /// A certificate, if they have one; it is not verified.
    RequestClientCert,
    /// A certificate, any.
    RequireAnyClientCert,
    /// A certificate that is verified, if they have one.
    VerifyClientCertIfGiven,
    /// A certificate that is verified.
    RequireAndVerifyClientCert,
}

impl ClientAuth {
    /// Whether a client without a certificate is turned away.
    #[must_use]
    pub const fn is_mandatory(self) -> bool {
        matches!(self, Self::RequireAnyClientCert | Self::RequireAndVerifyClientCert)
    }

    /// Whether somebody has to vouch for a client.
    #[must_use]
    pub const fn verifies(self) -> bool {
        matches!(self, Self::VerifyClientCertIfGiven | Self::RequireAndVerifyClientCert)
    }
}

/// The verifier for `auth`, `roots` and `names`; the holder of `own` passes.
pub(super) fn verifier(
    auth: ClientAuth,
    roots: Vec<CertificateDer<'static>>,
    names: Vec<String>,
    own: Option<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    if auth == ClientAuth::NoClientCert {
        return Ok(Arc::new(NoClientAuth));
    }
    let chains = if auth.verifies() {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(root).map_err(TlsError::Root)?;
        }
        Some(WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider)).build()?)
    } else {
        None
    };
    let algorithms = provider.signature_verification_algorithms;
    Ok(Arc::new(Verifier { mandatory: auth.is_mandatory(), chains, names, own, algorithms }))
}

#[derive(Debug)]
struct Verifier {
    mandatory: bool,
    chains: Option<Arc<dyn ClientCertVerifier>>,
    names: Vec<String>,
    own: Option<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Not told: a client with one certificate shows it, one with several is set up for this server.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.own.as_deref() == Some(end_entity.as_ref()) {
            return Ok(ClientCertVerified::assertion());
        }
        if let Some(chains) = &self.chains {
            chains.verify_client_cert(end_entity, intermediates, now)?;
        }
        if self.names.is_empty() || names(end_entity)?.iter().any(|name| self.names.contains(name)) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The subject alternative names of a certificate: DNS, e-mail, URI and IP, as Go writes them.
fn names(certificate: &CertificateDer<'_>) -> Result<Vec<String>, Error> {
    let bad = |_| Error::from(CertificateError::BadEncoding);
    let certificate = Certificate::from_der(certificate).map_err(bad)?;
    let extension = certificate.tbs_certificate().get_extension::<SubjectAltName>().map_err(bad)?;
    let names = extension.map(|(_, names)| names.0).unwrap_or_default();
    Ok(names.iter().filter_map(written).collect())
}

fn written(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(text) | GeneralName::Rfc822Name(text) | GeneralName::UniformResourceIdentifier(text) => {
            Some(text.to_string())
        }
        GeneralName::IpAddress(bytes) => match *bytes.as_bytes() {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(a, b, c, d).to_string()),
            // Go writes a mapped address as the IPv4 address it stands for.
            ref bytes => {
                <[u8; 16]>::try_from(bytes).ok().map(|bytes| std::net::IpAddr::from(bytes).to_canonical().to_string())
            }
        },
        _ => None,
    }
}
