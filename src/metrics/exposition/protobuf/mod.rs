//! Delimited Protocol Buffers: each family as one `io.prometheus.client.MetricFamily`, its length before it.
//!
//! Source: `prometheus/client_model`, `io/prometheus/client/metrics.proto`; the field numbers below are its. Written as
//! `client_golang` writes it: what a counter or a gauge shows is there also at 0, a histogram's bucket `+Inf` is left to
//! its count, and a family without a metric is left out. Start timestamps are always there, since a Prometheus that
//! does not read them stores nothing more for it.

mod disconnects;
mod families;
mod wire;

pub(super) use self::disconnects::{disconnects, durations, last_end, reasons, stream};
pub(super) use self::families::families;
use self::wire::{double, integer, message, string, varint};
use super::lines::unit;
use crate::clock::UnixSeconds;
use crate::metrics::names::Type;

/// `LabelPair`.
mod label_pair {
    pub(super) const NAME: u8 = 1;
    pub(super) const VALUE: u8 = 2;
}

/// `Gauge`.
mod gauge {
    pub(super) const VALUE: u8 = 1;
}

/// `Counter`.
mod counter {
    pub(super) const VALUE: u8 = 1;
    pub(super) const EXEMPLAR: u8 = 2;
    pub(super) const CREATED_TIMESTAMP: u8 = 3;
}

/// `Histogram`.
mod histogram {
    pub(super) const SAMPLE_COUNT: u8 = 1;
    pub(super) const SAMPLE_SUM: u8 = 2;
    pub(super) const BUCKET: u8 = 3;
    pub(super) const CREATED_TIMESTAMP: u8 = 15;
}

/// `Bucket`.
mod bucket {
    pub(super) const CUMULATIVE_COUNT: u8 = 1;
    pub(super) const UPPER_BOUND: u8 = 2;
}

/// `Exemplar`.
mod exemplar {
    pub(super) const LABEL: u8 = 1;
    pub(super) const VALUE: u8 = 2;
    pub(super) const TIMESTAMP: u8 = 3;
}

/// `google.protobuf.Timestamp`.
mod timestamp {
    pub(super) const SECONDS: u8 = 1;
}

/// `Metric`.
mod metric {
    pub(super) const LABEL: u8 = 1;
    pub(super) const GAUGE: u8 = 2;
    pub(super) const COUNTER: u8 = 3;
    pub(super) const HISTOGRAM: u8 = 7;
}

/// `MetricFamily`.
mod family {
    pub(super) const NAME: u8 = 1;
    pub(super) const HELP: u8 = 2;
    pub(super) const TYPE: u8 = 3;
    pub(super) const METRIC: u8 = 4;
    pub(super) const UNIT: u8 = 5;
}

/// Appends what stands before the metrics of a family, `length` bytes of them; nothing where there are none.
pub(super) fn head(out: &mut Vec<u8>, name: &str, kind: Type, help: &str, length: usize) {
    if length == 0 {
        return;
    }
    let mut head = Vec::with_capacity(name.len() + help.len() + 16);
    string(&mut head, family::NAME, name);
    string(&mut head, family::HELP, help);
    // `MetricType`.
    let kind_number = match kind {
        Type::Counter => 0,
        Type::Gauge => 1,
        Type::Histogram => 4,
    };
    integer(&mut head, family::TYPE, kind_number);
    if let Some(unit) = unit(name, kind.as_str()) {
        string(&mut head, family::UNIT, unit);
    }
    varint(out, (head.len() + length) as u64);
    out.extend_from_slice(&head);
}

/// Appends one metric of a family.
fn metric(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    message(out, family::METRIC, write);
}

/// Appends one label of a metric.
fn label(out: &mut Vec<u8>, name: &str, value: &str) {
    pair(out, metric::LABEL, name, value);
}

fn pair(out: &mut Vec<u8>, field: u8, name: &str, value: &str) {
    message(out, field, |out| {
        string(out, label_pair::NAME, name);
        string(out, label_pair::VALUE, value);
    });
}

/// Appends what makes a metric a counter. An exemplar is a label, and when it was.
fn counter(out: &mut Vec<u8>, value: f64, exemplar: Option<((&str, &str), UnixSeconds)>, created: Option<UnixSeconds>) {
    message(out, metric::COUNTER, |out| {
        double(out, counter::VALUE, value);
        if let Some(((name, value), at)) = exemplar {
            message(out, counter::EXEMPLAR, |out| {
                pair(out, exemplar::LABEL, name, value);
                double(out, exemplar::VALUE, 1.0);
                timestamp(out, exemplar::TIMESTAMP, at);
            });
        }
        if let Some(created) = created {
            timestamp(out, counter::CREATED_TIMESTAMP, created);
        }
    });
}

/// Appends what makes a metric a gauge.
fn gauge(out: &mut Vec<u8>, value: f64) {
    message(out, metric::GAUGE, |out| double(out, gauge::VALUE, value));
}

/// Appends what makes a metric a histogram; `buckets` are upper bounds and cumulative counts, `+Inf` left out.
fn histogram(
    out: &mut Vec<u8>,
    count: u64,
    sum: f64,
    buckets: impl Iterator<Item = (f64, u64)>,
    created: Option<UnixSeconds>,
) {
    message(out, metric::HISTOGRAM, |out| {
        integer(out, histogram::SAMPLE_COUNT, count);
        double(out, histogram::SAMPLE_SUM, sum);
        for (upper, cumulative) in buckets {
            message(out, histogram::BUCKET, |out| {
                integer(out, bucket::CUMULATIVE_COUNT, cumulative);
                double(out, bucket::UPPER_BOUND, upper);
            });
        }
        if let Some(created) = created {
            timestamp(out, histogram::CREATED_TIMESTAMP, created);
        }
    });
}

/// Appends a moment.
fn timestamp(out: &mut Vec<u8>, field: u8, at: UnixSeconds) {
    // An `int64` is written as the 64 bits it has.
    message(out, field, |out| integer(out, timestamp::SECONDS, at.cast_unsigned()));
}
