//! Keys that expire, renewed ahead of that.
//!
//! Whoever asks gets the keys there are, as long as they live: renewing goes on beside it, started by a timer, and by
//! whoever finds that it is due. Only where there are none (at first, or when renewing has failed until they expired)
//! a request waits. Life is measured by the clock that does not jump; what a machine that slept has missed, the API
//! tells by refusing the keys.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::issued::Issued;
use super::{Credentials, CredentialsError, KeyNews, KeyObserver, Metadata, Provider, Role, Sts, WebIdentity, life};
use crate::clock::Clock;

/// Who issues keys.
#[derive(Debug)]
enum Issuer {
    Metadata(Metadata),
    WebIdentity(Arc<Sts>, WebIdentity),
    Role(Arc<Sts>, Role, Provider),
}

/// A source of keys that expire.
pub struct Temporary {
    issuer: Issuer,
    clock: Arc<dyn Clock>,
    observer: KeyObserver,
    /// Whether it is one of several that are tried, so that its absence is nothing to tell of.
    one_of_many: bool,
    // Held to look and to write, never while waiting.
    state: Mutex<State>,
    /// Held while keys are renewed, so that they are once.
    renewing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// Failed renewals in a row.
    failures: u32,
    /// Of them, whether any was told of.
    told: bool,
    /// When the next may be tried, by the elapsed clock, and why the last one failed.
    wait: Option<(Duration, Arc<CredentialsError>)>,
    /// What starts the next renewal.
    timer: Option<JoinHandle<()>>,
}

/// Keys, and when they are to be renewed and expire by the elapsed clock.
struct Held {
    credentials: Credentials,
    renew_at: Duration,
    expires_at: Duration,
}

impl std::fmt::Debug for Temporary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Temporary").field(&self.issuer).finish()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(timer) = state.timer.take() {
            timer.abort();
        }
    }
}

impl Temporary {
    /// The keys of the role that is bound to this machine.
    #[must_use]
    pub fn of_machine(metadata: Metadata, clock: Arc<dyn Clock>, observer: KeyObserver) -> Self {
        Self::new(Issuer::Metadata(metadata), clock, observer)
    }

    /// The keys of this pod's role.
    #[must_use]
    pub fn of_pod(sts: Arc<Sts>, identity: WebIdentity, clock: Arc<dyn Clock>, observer: KeyObserver) -> Self {
        Self::new(Issuer::WebIdentity(sts, identity), clock, observer)
    }

    /// The keys of `role`, for whoever signs with those of `base`.
    #[must_use]
    pub fn of_role(sts: Arc<Sts>, role: Role, base: Provider, clock: Arc<dyn Clock>, observer: KeyObserver) -> Self {
        Self::new(Issuer::Role(sts, role, base), clock, observer)
    }

    fn new(issuer: Issuer, clock: Arc<dyn Clock>, observer: KeyObserver) -> Self {
        let (state, renewing) = (Mutex::default(), Arc::default());
        Self { issuer, clock, observer, one_of_many: false, state, renewing }
    }

    /// The same as one of several sources that are tried.
    #[must_use]
    pub fn one_of_many(mut self) -> Self {
        self.one_of_many = true;
        self
    }

    /// What it is called, one of [`super::SOURCES`].
    pub(super) fn name(&self) -> &'static str {
        match self.issuer {
            Issuer::Metadata(_) => "CVM role",
            Issuer::WebIdentity(..) => "TKE OIDC",
            Issuer::Role(..) => "role",
        }
    }

    /// Keys to sign with, which may be old but have not expired.
    pub(super) async fn current(self: &Arc<Self>) -> Result<Credentials, CredentialsError> {
        if let Some((credentials, due)) = self.living() {
            if due {
                self.renew_beside();
            }
            return Ok(credentials);
        }
        let _turn = self.renewing.lock().await;
        if let Some((credentials, _)) = self.living() {
            return Ok(credentials);
        }
        if let Some(error) = self.waiting() {
            return Err(CredentialsError::Still(error));
        }
        self.renew(false).await
    }

    /// Keys other than `used`, which somebody has refused; `used` again where there are no others.
    pub(super) async fn renewed(self: &Arc<Self>, used: &Credentials) -> Result<Credentials, CredentialsError> {
        let _turn = self.renewing.lock().await;
        match self.living() {
            Some((credentials, _)) if credentials != *used => Ok(credentials),
            _ => self.renew(false).await,
        }
    }

    /// Starts a renewal, unless there is one or it is too soon after one that failed.
    fn renew_beside(self: &Arc<Self>) {
        if self.waiting().is_some() {
            return;
        }
        if let Ok(turn) = Arc::clone(&self.renewing).try_lock_owned() {
            let this = Arc::clone(self);
            tokio::spawn(async move {
                // Whoever watches is told; the old keys serve on.
                drop(this.renew(true).await);
                drop(turn);
            });
        }
    }

    /// Has keys issued. Whoever calls this holds the turn; `beside` says that nobody waits for it.
    async fn renew(self: &Arc<Self>, beside: bool) -> Result<Credentials, CredentialsError> {
        let result = self.issue().await;
        // An account that is gone meanwhile has nothing to tell any more.
        let told = !(beside && Arc::strong_count(self) == 1);
        let now = self.clock.elapsed();
        let source = self.name();
        match result {
            Ok(Issued { credentials, expires, left }) => {
                let renew_at = now + life::renew_after(left, fastrand::f64());
                let again = {
                    let mut state = self.state();
                    state.held = Some(Held { credentials: credentials.clone(), renew_at, expires_at: now + left });
                    state.failures = 0;
                    state.wait = None;
                    std::mem::take(&mut state.told)
                };
                self.renew_later(renew_at.saturating_sub(now));
                if told {
                    (self.observer)(&KeyNews::Renewed { source, expires, again });
                }
                Ok(credentials)
            }
            Err(error) => {
                let error = Arc::new(error);
                let (pause, tell, first) = {
                    let mut state = self.state();
                    state.failures = state.failures.saturating_add(1);
                    let pause = life::retry_after(state.failures, error.is_refusal(), fastrand::f64());
                    state.wait = Some((now + pause, Arc::clone(&error)));
                    let alive = state.held.as_ref().is_some_and(|held| now < held.expires_at);
                    // Of several sources another has its turn now.
                    let gone = self.one_of_many && error.is_absence() && !alive;
                    let tell = told && !gone;
                    let first = tell && !state.told;
                    state.told |= tell;
                    (pause, tell, first)
                };
                if tell {
                    self.renew_later(pause);
                    (self.observer)(&KeyNews::NotRenewed { source, error: &error, first });
                }
                Err(CredentialsError::Still(error))
            }
        }
    }

    async fn issue(&self) -> Result<Issued, CredentialsError> {
        match &self.issuer {
            Issuer::Metadata(metadata) => metadata.issue().await,
            Issuer::WebIdentity(sts, identity) => sts.assume_role_with_web_identity(identity).await,
            Issuer::Role(sts, role, base) => sts.assume_role(role, base).await,
        }
    }

    /// Has whether renewal is due looked at after `pause`, as long as anybody needs the keys.
    fn renew_later(self: &Arc<Self>, pause: Duration) {
        let this: Weak<Self> = Arc::downgrade(self);
        let timer = tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            if let Some(this) = this.upgrade()
                && this.living().is_none_or(|(_, due)| due)
            {
                this.renew_beside();
            }
        });
        if let Some(before) = self.state().timer.replace(timer) {
            before.abort();
        }
    }

    /// Keys that have not expired, and whether they are to be renewed.
    fn living(&self) -> Option<(Credentials, bool)> {
        let now = self.clock.elapsed();
        let state = self.state();
        let held = state.held.as_ref().filter(|held| now < held.expires_at)?;
        Some((held.credentials.clone(), now >= held.renew_at))
    }

    /// Why it is too soon to try again.
    fn waiting(&self) -> Option<Arc<CredentialsError>> {
        let state = self.state();
        let (until, error) = state.wait.as_ref()?;
        (self.clock.elapsed() < *until).then(|| Arc::clone(error))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
