//! An account's keys, wired: where they come from, and who is told what becomes of them.

use std::sync::Arc;

use tracing::{info, warn};

use crate::clock::Clock;
use crate::live::{
    Chain, Credentials, CredentialsError, KeyFile, KeyNews, KeyObserver, METADATA, Metadata, ProfileFile, Provider,
    Proxy, Role, SetupError, Sts, StsOptions, Temporary, WebIdentity,
};
use crate::metrics::OwnMetrics;
use crate::settings::{self, Account, CredentialSource, ProfilePlaces};

/// What a pod's session is called in the account's audit log.
const SESSION_NAME: &str = "tencent-live-exporter";

/// Everything that the sources of one account need.
struct Wiring<'a> {
    account: &'a Account,
    clock: &'a Arc<dyn Clock>,
    /// Absent where nobody reads them.
    metrics: Option<&'a Arc<OwnMetrics>>,
    /// Who is told of the keys that sign, in place of the log.
    told: Option<&'a KeyObserver>,
}

/// Where `account` has its keys from. What becomes of them is logged, or told to `told`.
///
/// # Errors
/// When STS or the metadata service cannot be reached in principle: an endpoint, a proxy or TLS that cannot be.
pub(super) fn provider(
    account: &Account,
    clock: &Arc<dyn Clock>,
    metrics: Option<&Arc<OwnMetrics>>,
    told: Option<&KeyObserver>,
) -> Result<Provider, SetupError> {
    Wiring { account, clock, metrics, told }.provider(&account.credentials, true)
}

/// The proxy that `account` has, as the client takes it.
///
/// # Errors
/// When it is none.
pub(super) fn proxy(account: &Account) -> Result<Option<Proxy>, SetupError> {
    account.proxy.as_ref().map(|proxy| Proxy::new(proxy.url().clone())).transpose()
}

/// Has `roots` believe whom `account` believes too.
pub(super) fn add_roots(account: &Account, roots: &mut rustls::RootCertStore) {
    for certificate in account.ca_file.iter().flat_map(settings::CaFile::certificates) {
        roots.add(certificate.clone()).expect("it was checked when the settings were read");
    }
}

impl Wiring<'_> {
    /// `signs` says whether the API sees these keys, rather than STS alone.
    fn provider(&self, source: &CredentialSource, signs: bool) -> Result<Provider, SetupError> {
        Ok(match source.clone() {
            CredentialSource::Static { secret_id, secret_key, token } => {
                Provider::Fixed(Credentials { secret_id, secret_key, token })
            }
            CredentialSource::KeyFile { secret_id, secret_key_file, token } => {
                Provider::KeyFile(Arc::new(KeyFile::new(secret_key_file, secret_id, token)))
            }
            CredentialSource::Profile(places) => profile(places),
            CredentialSource::CvmRole { metadata } => temporary(self.machine(metadata.as_deref(), signs)?),
            CredentialSource::TkeOidc(identity) => temporary(self.pod(identity, signs)?),
            CredentialSource::Chain { profile: places, metadata, web_identity } => {
                let mut ruled_out =
                    vec!["environment: TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY are not set".to_owned()];
                let mut links =
                    vec![profile(places), temporary(self.machine(metadata.as_deref(), signs)?.one_of_many())];
                match web_identity {
                    Ok(identity) => links.push(temporary(self.pod(identity, signs)?)),
                    Err(missing) => ruled_out.push(format!("TKE OIDC: {} not set", missing.join(", "))),
                }
                Provider::Chain(Arc::new(Chain::new(links, ruled_out, self.observer(signs))))
            }
            CredentialSource::Role { base, role } => {
                let settings::Role { arn, session_name, external_id, duration } = role;
                let role = Role { arn, session_name, external_id, duration };
                let (sts, base) = (self.sts()?, self.provider(&base, false)?);
                temporary(Temporary::of_role(sts, role, base, Arc::clone(self.clock), self.observer(signs)))
            }
        })
    }

    fn machine(&self, stand_in: Option<&str>, signs: bool) -> Result<Temporary, SetupError> {
        let metadata = Metadata::new(stand_in.unwrap_or(METADATA), Arc::clone(self.clock))?;
        Ok(Temporary::of_machine(metadata, Arc::clone(self.clock), self.observer(signs)))
    }

    fn pod(&self, identity: settings::WebIdentity, signs: bool) -> Result<Temporary, SetupError> {
        let settings::WebIdentity { region, provider_id, token_file, role_arn } = identity;
        let session_name = SESSION_NAME.to_owned();
        let identity = WebIdentity { region, provider_id, token_file, role_arn, session_name };
        Ok(Temporary::of_pod(self.sts()?, identity, Arc::clone(self.clock), self.observer(signs)))
    }

    fn sts(&self) -> Result<Arc<Sts>, SetupError> {
        let mut options = StsOptions::new(self.account.sts_endpoint.to_string(), Arc::clone(self.clock));
        options.proxy = proxy(self.account)?;
        add_roots(self.account, &mut options.roots);
        Ok(Arc::new(Sts::new(&options)?))
    }

    /// Who counts and logs what becomes of keys.
    fn observer(&self, signs: bool) -> KeyObserver {
        if let Some(told) = self.told {
            return if signs { Arc::clone(told) } else { Arc::new(|_: &KeyNews<'_>| ()) };
        }
        let (account, metrics) = (self.account.name.clone(), self.metrics.cloned());
        Arc::new(move |news: &KeyNews<'_>| match news {
            KeyNews::Renewed { source, expires, again } => {
                if let Some(metrics) = &metrics {
                    metrics.credentials_renewed(&account, true);
                    if signs {
                        metrics.credentials_expiry(&account, Some(*expires));
                    }
                }
                if *again {
                    info!(account, source, "keys are renewed again");
                }
            }
            KeyNews::NotRenewed { source, error, first } => {
                if let Some(metrics) = &metrics {
                    metrics.credentials_renewed(&account, false);
                }
                if *first {
                    let error = in_words(error);
                    warn!(account, source, error, "keys not renewed, those there are serve until they expire");
                }
            }
            KeyNews::Found { source, expire } => {
                if let Some(metrics) = metrics.as_ref().filter(|_| signs && !expire) {
                    metrics.credentials_expiry(&account, None);
                }
                info!(account, source, "keys found");
            }
        })
    }
}

fn profile(places: ProfilePlaces) -> Provider {
    Provider::ProfileFile(Arc::new(ProfileFile::new(places.files, places.profile)))
}

fn temporary(temporary: Temporary) -> Provider {
    Provider::Temporary(Arc::new(temporary))
}

/// An error with its causes.
fn in_words(error: &CredentialsError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}
