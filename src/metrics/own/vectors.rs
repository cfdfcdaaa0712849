//! The registered families, made from [`crate::metrics::names`].

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::metrics::names::{self, Family};

/// Seconds; a poll is one request or a long catching up.
const POLL_BUCKETS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
/// Seconds; the longest is the deadline of a request.
const REQUEST_BUCKETS: &[f64] = &[0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Seconds, from below one poll interval to a day.
const LAG_BUCKETS: &[f64] =
    &[5.0, 15.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 1800.0, 3600.0, 21_600.0, 86_400.0];
/// Seconds, from an SSD's flush to a disk in trouble.
pub(super) const COMMIT_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// The families with an `account` label.
#[derive(Debug)]
pub(super) struct Vectors {
    pub(super) up: IntGaugeVec,
    pub(super) domain_info: IntGaugeVec,
    pub(super) streams_online: IntGaugeVec,
    pub(super) polls: IntCounterVec,
    pub(super) poll_failures: IntCounterVec,
    pub(super) poll_duration: HistogramVec,
    pub(super) last_poll: IntGaugeVec,
    pub(super) last_poll_success: IntGaugeVec,
    pub(super) watermark: IntGaugeVec,
    pub(super) api_requests: IntCounterVec,
    pub(super) api_request_duration: HistogramVec,
    pub(super) credentials_expiry: IntGaugeVec,
    pub(super) credentials_renewals: IntCounterVec,
    pub(super) records: IntCounterVec,
    pub(super) observation_lag: HistogramVec,
    pub(super) unmapped: IntCounterVec,
    pub(super) catchup: IntCounterVec,
    pub(super) overflowed: IntCounterVec,
    pub(super) excluded: IntCounterVec,
    pub(super) split_windows: IntCounterVec,
    pub(super) repeated_listings: IntCounterVec,
    pub(super) incomplete_listings: IntCounterVec,
    pub(super) api_pace: GaugeVec,
    pub(super) clock_skew: GaugeVec,
}

impl Vectors {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            up: int_gauge_vec(registry, &names::UP)?,
            domain_info: int_gauge_vec(registry, &names::DOMAIN_INFO)?,
            streams_online: int_gauge_vec(registry, &names::STREAMS_ONLINE)?,
            polls: int_counter_vec(registry, &names::POLLS)?,
            poll_failures: int_counter_vec(registry, &names::POLL_FAILURES)?,
            poll_duration: histogram_vec(registry, &names::POLL_DURATION, POLL_BUCKETS)?,
            last_poll: int_gauge_vec(registry, &names::LAST_POLL)?,
            last_poll_success: int_gauge_vec(registry, &names::LAST_POLL_SUCCESS)?,
            watermark: int_gauge_vec(registry, &names::WATERMARK)?,
            api_requests: int_counter_vec(registry, &names::API_REQUESTS)?,
            api_request_duration: histogram_vec(registry, &names::API_REQUEST_DURATION, REQUEST_BUCKETS)?,
            credentials_expiry: int_gauge_vec(registry, &names::CREDENTIALS_EXPIRY)?,
            credentials_renewals: int_counter_vec(registry, &names::CREDENTIALS_RENEWALS)?,
            records: int_counter_vec(registry, &names::RECORDS)?,
            observation_lag: histogram_vec(registry, &names::OBSERVATION_LAG, LAG_BUCKETS)?,
            unmapped: int_counter_vec(registry, &names::UNMAPPED_REASONS)?,
            catchup: int_counter_vec(registry, &names::CATCHUP_DISCONNECTS)?,
            overflowed: int_counter_vec(registry, &names::OVERFLOWED_DISCONNECTS)?,
            excluded: int_counter_vec(registry, &names::EXCLUDED_DISCONNECTS)?,
            split_windows: int_counter_vec(registry, &names::SPLIT_WINDOWS)?,
            repeated_listings: int_counter_vec(registry, &names::REPEATED_LISTINGS)?,
            incomplete_listings: int_counter_vec(registry, &names::INCOMPLETE_LISTINGS)?,
            api_pace: registered(registry, GaugeVec::new(opts(&names::API_PACE), names::API_PACE.labels))?,
            clock_skew: registered(registry, GaugeVec::new(opts(&names::CLOCK_SKEW), names::CLOCK_SKEW.labels))?,
        })
    }
}

pub(super) fn gauge(registry: &Registry, family: &Family) -> Result<Gauge, prometheus::Error> {
    registered(registry, Gauge::with_opts(opts(family)))
}

pub(super) fn int_gauge(registry: &Registry, family: &Family) -> Result<IntGauge, prometheus::Error> {
    registered(registry, IntGauge::with_opts(opts(family)))
}

pub(super) fn histogram(registry: &Registry, family: &Family, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
    registered(registry, Histogram::with_opts(histogram_opts(family, buckets)))
}

pub(super) fn int_gauge_vec(registry: &Registry, family: &Family) -> Result<IntGaugeVec, prometheus::Error> {
    registered(registry, IntGaugeVec::new(opts(family), family.labels))
}

fn int_counter_vec(registry: &Registry, family: &Family) -> Result<IntCounterVec, prometheus::Error> {
    registered(registry, IntCounterVec::new(opts(family), family.labels))
}

fn histogram_vec(registry: &Registry, family: &Family, buckets: &[f64]) -> Result<HistogramVec, prometheus::Error> {
    registered(registry, HistogramVec::new(histogram_opts(family, buckets), family.labels))
}

fn opts(family: &Family) -> Opts {
    Opts::new(family.name, family.help)
}

fn histogram_opts(family: &Family, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts::new(family.name, family.help).buckets(buckets.to_vec())
}

fn registered<C>(registry: &Registry, collector: Result<C, prometheus::Error>) -> Result<C, prometheus::Error>
where
    C: prometheus::core::Collector + Clone + 'static,
{
    let collector = collector?;
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
