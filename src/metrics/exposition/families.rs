//! The exporter's own families, gathered by the `prometheus` crate, in either text format.
//!
//! The crate's encoder knows text 0.0.4 only, so the same structures are written here for both.

use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::Format;
use super::lines::{bound, header, integer, label_value, push, value};

/// Appends `families` in the order given.
pub(super) fn families(out: &mut Vec<u8>, format: Format, families: &[MetricFamily]) {
    for family in families {
        let name = family.name();
        let kind = match family.get_field_type() {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            MetricType::HISTOGRAM => "histogram",
            // No collector of ours makes these; without a word of their own they would be written wrongly.
            MetricType::SUMMARY | MetricType::UNTYPED => continue,
        };
        header(out, format, name, kind, family.help());
        for metric in family.get_metric() {
            match kind {
                "counter" => simple(out, name, metric, metric.get_counter().get_value()),
                "gauge" => simple(out, name, metric, metric.get_gauge().get_value()),
                _ => histogram(out, format, name, metric),
            }
        }
    }
}

fn simple(out: &mut Vec<u8>, name: &str, metric: &Metric, number: f64) {
    push(out, &[name]);
    labels(out, metric, |_| false);
    value(out, number);
    out.push(b'\n');
}

fn histogram(out: &mut Vec<u8>, format: Format, name: &str, metric: &Metric) {
    let histogram = metric.get_histogram();
    let count = histogram.get_sample_count();
    let buckets = histogram.get_bucket().iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
    // The crate leaves +Inf out.
    for (upper, cumulative) in buckets.filter(|(upper, _)| upper.is_finite()).chain([(f64::INFINITY, count)]) {
        push(out, &[name, "_bucket"]);
        labels(out, metric, |out| {
            push(out, &["le=\""]);
            bound(out, format, upper);
            push(out, &["\""]);
            true
        });
        integer(out, cumulative);
        out.push(b'\n');
    }
    push(out, &[name, "_sum"]);
    labels(out, metric, |_| false);
    value(out, histogram.get_sample_sum());
    push(out, &["\n", name, "_count"]);
    labels(out, metric, |_| false);
    integer(out, count);
    out.push(b'\n');
}

/// Appends the label set and a space; `last` appends one more label and says whether it did.
fn labels(out: &mut Vec<u8>, metric: &Metric, last: impl FnOnce(&mut Vec<u8>) -> bool) {
    let start = out.len();
    out.push(b'{');
    for pair in metric.get_label() {
        push(out, &[pair.name(), "=\""]);
        label_value(out, pair.value());
        push(out, &["\","]);
    }
    if !last(out) {
        // Neither a comma before the brace nor empty braces.
        out.pop();
    }
    if out.len() > start {
        out.push(b'}');
    }
    out.push(b' ');
}

#[cfg(test)]
mod tests {
    use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

    use super::*;

    fn registry() -> Registry {
        let registry = Registry::new();
        let counters = IntCounterVec::new(Opts::new("tries_total", "Tries."), &["who"]).unwrap();
        counters.with_label_values(&["a\"b"]).inc_by(3);
        let gauge = IntGauge::new("level", "Level.").unwrap();
        gauge.set(-2);
        let opts = HistogramOpts::new("took_seconds", "Took.").buckets(vec![0.5, 1.0]);
        let histograms = HistogramVec::new(opts, &["who"]).unwrap();
        histograms.with_label_values(&["x"]).observe(0.75);
        registry.register(Box::new(counters)).unwrap();
        registry.register(Box::new(gauge)).unwrap();
        registry.register(Box::new(histograms)).unwrap();
        registry
    }

    #[test]
    fn text_is_what_the_crate_writes() {
        let gathered = registry().gather();
        let mut out = Vec::new();
        families(&mut out, Format::Text, &gathered);
        let theirs = prometheus::TextEncoder::new().encode_to_string(&gathered).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), theirs);
    }

    #[test]
    fn openmetrics_has_family_names_and_canonical_bounds() {
        let mut out = Vec::new();
        families(&mut out, Format::OpenMetrics, &registry().gather());
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("# TYPE tries counter\ntries_total{who=\"a\\\"b\"} 3\n"), "{text}");
        assert!(text.contains("took_seconds_bucket{who=\"x\",le=\"1.0\"} 1\n"), "{text}");
    }
}
