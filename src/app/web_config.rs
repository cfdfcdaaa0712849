//! The web config: taken up at the start, and again when it or a file that it names has changed.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinError;
use tracing::{error, info, warn};

use super::AppError;
use crate::clock::{Clock, UnixSeconds};
use crate::metrics::OwnMetrics;
use crate::settings::web_config::{self, Reading, WebConfig};
use crate::tls::Server;
use crate::web::{Guard, Terms};

/// How often the files are looked at. A change is taken up once two looks found the same, so that a file that is being
/// written, or a new certificate whose key is not there yet, is no mistake.
const LOOK: Duration = Duration::from_secs(1);

type Digest = [u8; 32];

/// The guard of the web server, and what it stands on.
pub(super) struct Protection {
    pub(super) guard: Arc<Guard>,
    watched: Option<Watched>,
}

/// The web config at `file`, and what was read of it last.
struct Watched {
    file: PathBuf,
    files: Vec<PathBuf>,
    looks: Looks,
}

/// What the last looks found.
#[derive(Debug)]
struct Looks {
    judged: Digest,
    seen: Digest,
}

impl Looks {
    fn new(judged: Digest) -> Self {
        Self { judged, seen: judged }
    }

    /// Whether what was found is new, and has been so for two looks.
    fn is_news(&mut self, found: Digest) -> bool {
        let settled = found == self.seen;
        self.seen = found;
        if !settled || found == self.judged {
            return false;
        }
        self.judged = found;
        true
    }
}

impl Protection {
    /// What `file` says, for a server that listens at `addresses`; without a file, no protection.
    pub(super) fn new(file: Option<&Path>, addresses: &[IpAddr], metrics: &OwnMetrics) -> Result<Self, AppError> {
        let Some(file) = file else {
            warn_of_exposure(&WebConfig::default(), addresses);
            return Ok(Self { guard: Arc::new(Guard::new(Terms::default())?), watched: None });
        };
        let reading = web_config::read(file);
        let config = reading.result?;
        warn_of_exposure(&config, addresses);
        warn_of(&config);
        show_expiry(expiry(&config), metrics);
        let guard = Arc::new(Guard::new(terms(config))?);
        let watched = Watched { file: file.to_owned(), files: reading.files, looks: Looks::new(reading.digest) };
        Ok(Self { guard, watched: Some(watched) })
    }

    /// Looks for changes until `stopped`.
    pub(super) async fn keep(
        self,
        metrics: Arc<OwnMetrics>,
        clock: Arc<dyn Clock>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let Some(mut watched) = self.watched else { return };
        let mut turns = tokio::time::interval(LOOK);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return,
                _ = turns.tick() => {}
            }
            match watched.news().await {
                Ok(None) => {}
                Ok(Some(reading)) => {
                    let taken = take_up(&self.guard, reading, &watched.file, &metrics);
                    metrics.web_config_reload(taken, clock.now());
                }
                Err(error) => error!(file = %watched.file.display(), %error, "the web config could not be looked at"),
            }
        }
    }
}

impl Watched {
    /// What is there now, if it is new and has settled. Reading is left to threads that may wait for a disk.
    async fn news(&mut self) -> Result<Option<Reading>, JoinError> {
        let files = self.files.clone();
        let found = tokio::task::spawn_blocking(move || web_config::digest(&files)).await?;
        if !self.looks.is_news(found) {
            return Ok(None);
        }
        let file = self.file.clone();
        let mut reading = tokio::task::spawn_blocking(move || web_config::read(&file)).await?;
        // Other files may be named now.
        self.files = std::mem::take(&mut reading.files);
        self.looks = Looks::new(reading.digest);
        Ok(Some(reading))
    }
}

fn take_up(guard: &Guard, reading: Reading, file: &Path, metrics: &OwnMetrics) -> bool {
    let taken = match reading.result {
        Ok(config) => {
            warn_of(&config);
            let expiry = expiry(&config);
            let taken = guard.replace(terms(config)).map_err(|error| error.to_string());
            if taken.is_ok() {
                show_expiry(expiry, metrics);
            }
            taken
        }
        Err(problems) => Err(problems.to_string()),
    };
    match &taken {
        Ok(()) => info!(file = %file.display(), "took up the changed web config"),
        Err(problems) => {
            error!(file = %file.display(), problems, "the changed web config is refused, what was there before stays");
        }
    }
    taken.is_ok()
}

fn terms(config: WebConfig) -> Terms {
    Terms {
        tls: config.tls,
        headers: config.headers,
        users: config.users,
        rate_limit: config.rate_limit.map(|limit| (limit.interval, limit.burst)),
    }
}

fn expiry(config: &WebConfig) -> Option<UnixSeconds> {
    config.tls.as_ref().and_then(Server::expiry)
}

fn show_expiry(expiry: Option<UnixSeconds>, metrics: &OwnMetrics) {
    if let Some(expiry) = expiry {
        metrics.web_certificate_expiry(expiry);
    }
}

fn warn_of(config: &WebConfig) {
    for warning in &config.warnings {
        warn!(warning, "the web config is accepted, but not wise");
    }
}

/// What strangers can read or overhear is said once.
fn warn_of_exposure(config: &WebConfig, addresses: &[IpAddr]) {
    if addresses.iter().all(|address| address.to_canonical().is_loopback()) {
        return;
    }
    match (&config.tls, config.users.is_empty()) {
        (None, true) => warn!(
            "whoever reaches this machine can read the metrics, in clear: set web.config_file for TLS and passwords, or \
             listen on loopback with --web.listen-address 127.0.0.1:19267"
        ),
        (None, false) => warn!(
            "passwords come in clear over the network: add tls_server_config to the web config, or listen on loopback \
             behind a proxy that has TLS"
        ),
        (Some(_), true) if !config.verifies_clients => warn!(
            "whoever reaches this machine can read the metrics: add basic_auth_users to the web config, or \
             client_auth_type RequireAndVerifyClientCert"
        ),
        (Some(_), _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_judged_once_and_only_when_it_has_settled() {
        let mut looks = Looks::new([0; 32]);
        let mut found = |digit: u8| looks.is_news([digit; 32]);
        let news: Vec<bool> = [0, 1, 2, 2, 2, 2, 0, 0, 0, 2, 1, 1].into_iter().map(&mut found).collect();
        let expected = [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1].map(|news| news == 1);
        assert_eq!(news, expected);
    }
}
