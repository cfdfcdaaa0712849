//! A client with little patience, and what it reported.
#![expect(clippy::unwrap_used, reason = "a stand-in that cannot go on ends its test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tencent_live_exporter::clock::ManualClock;
use tencent_live_exporter::listing::{FULL_PAGE, Filter, Page, Query, Window};
use tencent_live_exporter::live::{
    CallError, CallReport, Client, ClientOptions, Credentials, EventSource as _, KeyFile, Provider,
};
use tencent_live_exporter::secret::Secret;

use super::scripted::{Act, Scripted};

/// 2019-01-04T20:00:00Z, the end of the sample request.
pub(crate) const NOW: i64 = 1_546_632_000;
pub(crate) const KEY: &str = "canaryKEYcanaryKEYcanaryKEYcanary";
pub(crate) const TOKEN: &str = "canaryTOKEN/canary+TOKEN==";
pub(crate) const EMPTY: &str = r#"{"Response":{"EventList":[],"TotalNum":0,"RequestId":"r-ok"}}"#;

pub(crate) fn credentials(token: Option<&str>) -> Provider {
    Provider::Fixed(Credentials {
        secret_id: "AKIDEXAMPLE".into(),
        secret_key: Secret::new(KEY),
        token: token.map(Secret::new),
    })
}

/// A client with little patience, and what it reported.
pub(crate) struct Bench {
    pub(crate) client: Client,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) reports: Arc<Mutex<Vec<CallReport>>>,
}

impl Bench {
    pub(crate) fn new(endpoint: String, credentials: Provider, change: impl FnOnce(&mut ClientOptions)) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let reports = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&reports);
        let observer = Arc::new(move |report: &CallReport| told.lock().unwrap().push(report.clone()));
        let mut options = ClientOptions::new(endpoint, credentials, 10_000.0, clock.clone(), observer);
        options.back_off = Duration::from_millis(1);
        change(&mut options);
        Self { client: Client::new(options).unwrap(), clock, reports }
    }

    pub(crate) fn of(server: &Scripted) -> Self {
        Self::new(server.endpoint(), credentials(None), |_| {})
    }

    pub(crate) async fn ask(&self) -> Result<Page, CallError> {
        let window = Window { start: NOW - 28_800, end: NOW };
        self.client.events(&Query { window, filter: Filter::default(), page: 1, page_size: FULL_PAGE }).await
    }

    /// The codes reported so far, with the attempt of each.
    pub(crate) fn codes(&self) -> Vec<(&'static str, u32)> {
        self.reports.lock().unwrap().iter().map(|report| (report.code, report.attempt)).collect()
    }
}

/// An error with its whole chain and all that `Debug` shows.
pub(crate) fn everything(error: &CallError) -> String {
    let first: &dyn std::error::Error = error;
    let chain = std::iter::successors(Some(first), |error| error.source());
    chain.map(|error| format!("{error} {error:?}")).collect::<Vec<_>>().join(" ")
}

/// A key file of its own, removed when the test ends.
pub(crate) struct TempKey(pub(crate) std::path::PathBuf);

impl TempKey {
    pub(crate) fn new(name: &str, key: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tencent-live-{name}-{}", std::process::id()));
        std::fs::write(&path, key).unwrap();
        Self(path)
    }

    pub(crate) fn provider(&self) -> Provider {
        Provider::KeyFile(Arc::new(KeyFile::new(&self.0, "AKIDEXAMPLE", None)))
    }

    /// Replaces the key when called.
    pub(crate) fn replace_with(&self, key: &'static str) -> Act {
        let path = self.0.clone();
        Act(Arc::new(move || std::fs::write(&path, key).unwrap()))
    }
}

impl Drop for TempKey {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}
