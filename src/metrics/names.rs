//! Every metric of this exporter in one table: name, type, labels, help.
//!
//! The registry, the encoders and the documentation read it from here, so that a name is written once. The
//! `process_*` metrics are not in it: they come as the `prometheus` crate names them.

/// What kind of metric a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Only goes up; starts at 0 with the ledger or with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations in cumulative buckets.
    Histogram,
}

impl Type {
    /// The word of a `# TYPE` line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        }
    }
}

/// One metric family.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name, `_total` included.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// Its label names, in the order of its lines.
    pub labels: &'static [&'static str],
    /// What it means and its unit; no line break, no backslash.
    pub help: &'static str,
}

macro_rules! families {
    ($($ident:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(#[doc = $help] pub const $ident: Family =
            Family { name: $name, kind: Type::$kind, labels: &[$($label),*], help: $help };)*
        /// Every family, in the order of the documentation.
        pub const ALL: &[&Family] = &[$(&$ident),*];
    };
}

families! {
    STREAM_DISCONNECTS: Counter "tencent_live_stream_disconnects_total" ["domain", "app", "stream", "reason"]
        "Finished pushes by stream and reason, as series.stream, include and exclude say; past the series limit under stream=\"__overflow__\".";
    DISCONNECTS: Counter "tencent_live_disconnects_total" ["domain", "class", "reason"]
        "Finished pushes by domain and reason; complete even when streams overflow or are excluded.";
    SESSION_DURATION: Histogram "tencent_live_session_duration_seconds" ["domain", "class"]
        "How long finished pushes had lasted, in seconds.";
    LAST_DISCONNECT: Gauge "tencent_live_last_disconnect_timestamp_seconds" ["domain", "class"]
        "End of the latest finished push, in seconds since 1970; absent where there was none.";
    REASON_INFO: Gauge "tencent_live_disconnect_reason_info" ["reason", "class", "description", "description_zh"]
        "Always 1: what a reason means and which class it belongs to.";
    UP: Gauge "tencent_live_up" ["account"]
        "1 if the account's last poll succeeded, 0 if it failed or has not finished yet.";
    DOMAIN_INFO: Gauge "tencent_live_domain_info" ["account", "domain", "enabled"]
        "Always 1: a push domain of an account, discovered, configured or seen; whether it is switched on: true, false or unknown.";
    STREAMS_ONLINE: Gauge "tencent_live_streams_online" ["domain", "app"]
        "Streams that are pushed, as the API lists them once a minute; absent while it does not.";
    BUILD_INFO: Gauge "tencent_live_exporter_build_info" ["version", "revision", "rustversion"]
        "Always 1: which build of the exporter runs.";
    POLLS: Counter "tencent_live_exporter_polls_total" ["account", "kind"]
        "Polls, sweeps and audits finished, successful or not.";
    POLL_FAILURES: Counter "tencent_live_exporter_poll_failures_total" ["account", "kind", "error"]
        "Polls, sweeps and audits that failed, by kind of error; what they missed is asked for again.";
    POLL_DURATION: Histogram "tencent_live_exporter_poll_duration_seconds" ["account", "kind"]
        "How long polls, sweeps and audits took, in seconds.";
    LAST_POLL: Gauge "tencent_live_exporter_last_poll_timestamp_seconds" ["account"]
        "When the last poll ended, successful or not, in seconds since 1970; 0 before the first.";
    LAST_POLL_SUCCESS: Gauge "tencent_live_exporter_last_poll_success_timestamp_seconds" ["account"]
        "When the last successful poll ended, in seconds since 1970; 0 before the first.";
    WATERMARK: Gauge "tencent_live_exporter_watermark_timestamp_seconds" ["account"]
        "Up to when everything that ended has been asked for, in seconds since 1970; 0 before the first poll.";
    POLL_INTERVAL: Gauge "tencent_live_exporter_poll_interval_seconds" []
        "Time between two polls as configured, in seconds.";
    API_REQUESTS: Counter "tencent_live_exporter_api_requests_total" ["account", "action", "code"]
        "Requests to the API, retries included, by action and by error code or ok.";
    API_REQUEST_DURATION: Histogram "tencent_live_exporter_api_request_duration_seconds" ["account", "action"]
        "How long requests to the API took, in seconds.";
    CREDENTIALS_EXPIRY: Gauge "tencent_live_exporter_credentials_expiry_timestamp_seconds" ["account"]
        "When the keys that sign the account's requests expire, in seconds since 1970; absent for keys that do not.";
    CREDENTIALS_RENEWALS: Counter "tencent_live_exporter_credentials_renewals_total" ["account", "result"]
        "Renewals of temporary keys, those of a role and those that take it on alike, by result: success or failure.";
    RECORDS: Counter "tencent_live_exporter_records_total" ["account", "outcome"]
        "Disconnect records received, by what became of them.";
    OBSERVATION_LAG: Histogram "tencent_live_exporter_observation_lag_seconds" ["account"]
        "From the end of a push to its being counted, in seconds.";
    UNMAPPED_REASONS: Counter "tencent_live_exporter_unmapped_reasons_total" ["account"]
        "Disconnects counted under reason=\"unmapped\" because no known text matches; the text is in the log.";
    SERIES: Gauge "tencent_live_exporter_series" []
        "Series of the stream counter.";
    SERIES_LIMIT: Gauge "tencent_live_exporter_series_limit" []
        "Most series the stream counter may have as configured.";
    IDLE_SERIES: Gauge "tencent_live_exporter_idle_series" []
        "Series that have left the page since nothing has been counted of them for long.";
    HELD_SERIES: Gauge "tencent_live_exporter_held_series" []
        "Series that wait at their baseline for the scrapers to have seen it.";
    HELD_DISCONNECTS: Gauge "tencent_live_exporter_held_disconnects" []
        "Disconnects that are counted but wait behind a baseline.";
    OVERFLOWED_DISCONNECTS: Counter "tencent_live_exporter_overflowed_disconnects_total" ["account"]
        "Disconnects counted under stream=\"__overflow__\" because the series limit was reached.";
    EXCLUDED_DISCONNECTS: Counter "tencent_live_exporter_excluded_disconnects_total" ["account"]
        "Disconnects counted by class but not by stream, because series.include or series.exclude leaves them out.";
    CATCHUP_DISCONNECTS: Counter "tencent_live_exporter_catchup_disconnects_total" ["account"]
        "Disconnects counted by polls that reached further back than usual: on the very first start, where they are the baseline, and after an outage.";
    SPLIT_WINDOWS: Counter "tencent_live_exporter_split_windows_total" ["account"]
        "Windows that were split because one response could not hold them.";
    REPEATED_LISTINGS: Counter "tencent_live_exporter_repeated_listings_total" ["account"]
        "Responses that contradicted themselves and were asked for again.";
    INCOMPLETE_LISTINGS: Counter "tencent_live_exporter_incomplete_listings_total" ["account"]
        "Listings that ended without all of their rows; counted as far as rows were seen together in one response.";
    API_PACE: Gauge "tencent_live_exporter_api_requests_per_second" ["account"]
        "Requests per second that the account may make now: as many as poll allows, or fewer where the API throttles.";
    CLOCK_SKEW: Gauge "tencent_live_exporter_clock_skew_seconds" ["account"]
        "The API's clock minus this machine's, in seconds.";
    STATE_COMMIT_DURATION: Histogram "tencent_live_exporter_state_commit_duration_seconds" []
        "How long writing counted records to disk took, in seconds.";
    CONFIG_LAST_RELOAD_SUCCESSFUL: Gauge "tencent_live_exporter_config_last_reload_successful" []
        "1 if the configuration was loaded the last time it was read, 0 if it was refused.";
    CONFIG_LAST_RELOAD_SUCCESS: Gauge "tencent_live_exporter_config_last_reload_success_timestamp_seconds" []
        "When the configuration was last loaded, in seconds since 1970.";
    WEB_CONFIG_LAST_RELOAD_SUCCESSFUL: Gauge "tencent_live_exporter_web_config_last_reload_successful" []
        "1 if the web config was taken up the last time it changed, 0 if it was refused and what was there before stays.";
    WEB_CONFIG_LAST_RELOAD_SUCCESS: Gauge "tencent_live_exporter_web_config_last_reload_success_timestamp_seconds" []
        "When the web config, with the files that it names, was last taken up, in seconds since 1970.";
    WEB_CERTIFICATE_EXPIRY: Gauge "tencent_live_exporter_web_certificate_expiry_timestamp_seconds" []
        "When the first certificate of the served chain expires, in seconds since 1970; absent without TLS.";
}

/// The families that come from the snapshot, in the order of a page; all others are the exporter's own.
pub const DISCONNECT_FAMILIES: [&Family; 5] =
    [&STREAM_DISCONNECTS, &DISCONNECTS, &SESSION_DURATION, &LAST_DISCONNECT, &REASON_INFO];

/// Those of them that wait at their baselines for every scraper to have read them.
pub const HELD_FAMILIES: [&Family; 3] = [&STREAM_DISCONNECTS, &DISCONNECTS, &SESSION_DURATION];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_of_their_type() {
        for family in ALL {
            assert!(family.name.starts_with("tencent_live_"), "{family:?}");
            assert_eq!(family.name.ends_with("_total"), family.kind == Type::Counter, "{family:?}");
            assert!(family.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{family:?}");
            assert!(!family.help.contains(['\n', '\\']) && family.help.ends_with('.'), "{family:?}");
            assert_eq!(ALL.iter().filter(|other| other.name == family.name).count(), 1, "{family:?}");
        }
    }
}
