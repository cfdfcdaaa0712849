//! STS, which lends keys of a role: to whoever signs for it, and to a pod that shows the token of its service account.
//!
//! Its answers are keys, so no error quotes them. Source: <https://cloud.tencent.com/document/api/1312/48197>
//! (`AssumeRole`) and <https://cloud.tencent.com/document/api/1312/73070> (`AssumeRoleWithWebIdentity`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use zeroize::Zeroizing;

use super::issued::{self, Issued};
use super::{Credentials, CredentialsError, Provider, file};
use crate::clock::{Clock, UnixSeconds};
use crate::live::channel::{Call, Channel, Decode, Service, Way};
use crate::live::codes::Retry;
use crate::live::error::CallError;
use crate::live::pacing::Patience;
use crate::live::transport::{self, Proxy, SetupError};
use crate::live::wire::Answer;
use crate::live::{ASSUME_ROLE, ASSUME_ROLE_WITH_WEB_IDENTITY};
use crate::secret::Secret;

/// The product.
const STS: Service = Service { name: "sts", version: "2018-08-13", body_bytes: 64 * 1024, discreet: true };

/// The region that `AssumeRole` is asked in, as Tencent's SDKs do: roles are the same in all of them.
const REGION: &str = "ap-guangzhou";

/// Longest token of a service account, in bytes.
const WEB_TOKEN_BYTES: usize = 64 * 1024;

/// How long the keys of a pod live, as Tencent's SDKs ask for.
const WEB_DURATION: Duration = Duration::from_secs(7200);

/// A role that is taken on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// `RoleArn`, `qcs::cam::uin/…:roleName/…`
    pub arn: String,
    /// `RoleSessionName`, which the account's audit log shows.
    pub session_name: String,
    /// `ExternalId`, where the role asks for one.
    pub external_id: Option<Secret>,
    /// `DurationSeconds`: how long its keys live, up to 12 hours.
    pub duration: Duration,
}

/// A pod's service account, as TKE tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebIdentity {
    /// `TKE_REGION`
    pub region: String,
    /// `TKE_PROVIDER_ID`, sent as `ProviderId`.
    pub provider_id: String,
    /// `TKE_WEB_IDENTITY_TOKEN_FILE`; its token is read for every renewal, since it expires too.
    pub token_file: PathBuf,
    /// `TKE_ROLE_ARN`, sent as `RoleArn`.
    pub role_arn: String,
    /// `RoleSessionName`
    pub session_name: String,
}

/// What an [`Sts`] needs to know.
#[derive(Clone)]
pub struct StsOptions {
    /// Scheme and host, with a port if need be; `http://` for loopback only.
    pub endpoint: String,
    /// Most attempts at one request, at least 1.
    pub attempts: u32,
    /// Deadline of connecting, name resolution and TLS included.
    pub connect_timeout: Duration,
    /// Deadline of an exchange as a whole.
    pub total_timeout: Duration,
    /// Bound of the first pause between attempts; doubles with each.
    pub back_off: Duration,
    /// Who may sign its certificate.
    pub roots: RootCertStore,
    /// Through whom the requests go; straight without one.
    pub proxy: Option<Proxy>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
}

impl StsOptions {
    /// Options with the usual patience: 3 attempts, 5 s to connect, 10 s in all, pauses from 500 ms. Trusted are the
    /// bundled roots.
    #[must_use]
    pub fn new(endpoint: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self {
            endpoint: endpoint.into(),
            attempts: 3,
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(10),
            back_off: Duration::from_millis(500),
            roots: transport::bundled_roots(),
            proxy: None,
            clock,
        }
    }
}

/// The security token service.
pub struct Sts {
    channel: Channel,
    patience: Patience,
}

impl std::fmt::Debug for Sts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sts").field("host", &self.channel.peer()).finish_non_exhaustive()
    }
}

/// Keys as far as they could be read, or what is wrong with them.
type Lent = Result<(Credentials, UnixSeconds), &'static str>;

impl Sts {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// When the endpoint or the proxy cannot be used, or TLS cannot be set up.
    pub fn new(options: &StsOptions) -> Result<Self, SetupError> {
        let way = Way {
            endpoint: &options.endpoint,
            proxy: options.proxy.as_ref(),
            roots: &options.roots,
            connect_timeout: options.connect_timeout,
            total_timeout: options.total_timeout,
        };
        let channel = Channel::new(&way, STS, Arc::clone(&options.clock))?;
        // So few requests need no pace of their own.
        Ok(Self { channel, patience: Patience::new(1000.0, options.attempts, options.back_off) })
    }

    /// The keys of `role`, for whoever signs with those of `base`.
    pub(super) async fn assume_role(&self, role: &Role, base: &Provider) -> Result<Issued, CredentialsError> {
        let mut parameters = serde_json::json!({
            "RoleArn": role.arn,
            "RoleSessionName": role.session_name,
            "DurationSeconds": role.duration.as_secs(),
        });
        if let Some(external_id) = &role.external_id {
            parameters["ExternalId"] = external_id.expose().into();
        }
        let body = Zeroizing::new(parameters.to_string());
        let secret = role.external_id.as_ref();
        let mut asking = Asking::default();
        loop {
            let credentials = base.current().await?;
            let key = Some(&credentials);
            let call = Call { action: ASSUME_ROLE, region: Some(REGION), body: &body, key, secret };
            let tried = self.channel.exchange(call, LENT).await;
            match tried.result {
                Ok(lent) => return self.issued(lent),
                Err(error) if error.retry() == Retry::Renew && error.kind() != "clock" => {
                    let first = !std::mem::replace(&mut asking.renewed, true);
                    if !(first && base.renewed(&credentials).await.is_ok_and(|fresh| fresh != credentials)) {
                        return Err(error.into());
                    }
                }
                Err(error) => self.ask_again(error, tried.dated, &mut asking).await?,
            }
        }
    }

    /// The keys of a pod's role, for its token.
    pub(super) async fn assume_role_with_web_identity(&self, who: &WebIdentity) -> Result<Issued, CredentialsError> {
        let path = who.token_file.clone();
        let read = file::off_the_loop(move || file::read(&path, WEB_TOKEN_BYTES)).await;
        let failed = |source| CredentialsError::TokenFile { path: who.token_file.clone(), source };
        let token = Secret::new(read.map_err(failed)?.trim());
        if token.expose().is_empty() {
            return Err(failed(std::io::Error::other("it is empty")));
        }
        let parameters = serde_json::json!({
            "ProviderId": who.provider_id,
            "WebIdentityToken": token.expose(),
            "RoleArn": who.role_arn,
            "RoleSessionName": who.session_name,
            "DurationSeconds": WEB_DURATION.as_secs(),
        });
        let body = Zeroizing::new(parameters.to_string());
        let (action, region, secret) = (ASSUME_ROLE_WITH_WEB_IDENTITY, Some(who.region.as_str()), Some(&token));
        let call = Call { action, region, body: &body, key: None, secret };
        let mut asking = Asking::default();
        loop {
            let tried = self.channel.exchange(call, LENT).await;
            match tried.result {
                Ok(lent) => return self.issued(lent),
                Err(error) => self.ask_again(error, tried.dated, &mut asking).await?,
            }
        }
    }

    /// Waits as long as the same request needs after `error`, or hands it back.
    async fn ask_again(&self, error: CallError, dated: bool, asking: &mut Asking) -> Result<(), CallError> {
        asking.attempts += 1;
        match error.retry() {
            Retry::Pause if self.patience.lasts_beyond(asking.attempts) => {
                tokio::time::sleep(self.patience.pause_after(asking.attempts)).await;
                Ok(())
            }
            // It has just told its time.
            Retry::Renew if error.kind() == "clock" && dated && !std::mem::replace(&mut asking.clock, true) => Ok(()),
            _ => Err(error),
        }
    }

    fn issued(&self, lent: Lent) -> Result<Issued, CredentialsError> {
        let unusable = |problem: &str| CredentialsError::Unusable {
            from: format!("the answer of {}", self.channel.peer()),
            problem: problem.to_owned(),
        };
        let (credentials, expires) = lent.map_err(unusable)?;
        Issued::new(credentials, expires, self.channel.now()).map_err(unusable)
    }
}

/// What has been tried for a request already.
#[derive(Default)]
struct Asking {
    attempts: u32,
    clock: bool,
    renewed: bool,
}

const LENT: Decode<Lent> = |answer: &Answer<'_>| {
    let (keys, expiry) = answer.keys();
    let lent = || Ok((issued::credentials(keys.ok_or("it has no Credentials")?)?, issued::expiry(expiry)?));
    Ok(lent())
};
