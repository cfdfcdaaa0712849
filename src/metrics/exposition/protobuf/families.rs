//! The exporter's own families, gathered by the `prometheus` crate, as messages.
//!
//! The crate can write them itself with a feature that brings a code generator's run time along; they are a few fields.

use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::{counter, gauge, head, histogram, label, metric};
use crate::metrics::names::Type;

/// Appends `families` in the order given.
pub(in crate::metrics::exposition) fn families(out: &mut Vec<u8>, families: &[MetricFamily]) {
    let mut metrics = Vec::new();
    for family in families {
        let kind = match family.get_field_type() {
            MetricType::COUNTER => Type::Counter,
            MetricType::GAUGE => Type::Gauge,
            MetricType::HISTOGRAM => Type::Histogram,
            // No collector of ours makes these.
            MetricType::SUMMARY | MetricType::UNTYPED => continue,
        };
        metrics.clear();
        for one in family.get_metric() {
            metric(&mut metrics, |out| fields(out, kind, one));
        }
        head(out, family.name(), kind, family.help(), metrics.len());
        out.extend_from_slice(&metrics);
    }
}

fn fields(out: &mut Vec<u8>, kind: Type, metric: &Metric) {
    for pair in metric.get_label() {
        label(out, pair.name(), pair.value());
    }
    match kind {
        Type::Counter => counter(out, metric.get_counter().get_value(), None, None),
        Type::Gauge => gauge(out, metric.get_gauge().get_value()),
        Type::Histogram => {
            let of = metric.get_histogram();
            let buckets = of.get_bucket().iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
            let finite = buckets.filter(|(upper, _)| upper.is_finite());
            histogram(out, of.get_sample_count(), of.get_sample_sum(), finite, None);
        }
    }
}
