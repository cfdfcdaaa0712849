//! The disconnect families as metrics of their messages, piece by piece as the text is.

use super::{counter, gauge, histogram, label, metric};
use crate::metrics::exposition::exemplar;
use crate::publication::{DURATION_BOUNDS, DomainSeries, StreamSeries};
use crate::reason::{Class, TABLE};

/// Appends one series of the stream counter.
pub(in crate::metrics::exposition) fn stream(out: &mut Vec<u8>, series: StreamSeries<'_>) {
    metric(out, |out| {
        label(out, "domain", &series.kind.domain);
        label(out, "app", &series.kind.app);
        label(out, "stream", series.stream);
        label(out, "reason", series.kind.reason.as_str());
        counter(out, series.shown as f64, None, Some(series.created));
    });
}

/// Appends the class counter of one domain.
pub(in crate::metrics::exposition) fn disconnects(out: &mut Vec<u8>, domain: &DomainSeries) {
    for (entry, count) in TABLE.iter().zip(domain.disconnects) {
        metric(out, |out| {
            label(out, "domain", &domain.domain);
            label(out, "class", entry.class.as_str());
            label(out, "reason", entry.name);
            let latest = domain.exemplars.get(&entry.reason);
            let exemplar = latest.map(|latest| ((exemplar::LABEL, exemplar::value(&latest.stream)), latest.end));
            counter(out, count as f64, exemplar, Some(domain.created));
        });
    }
}

/// Appends the session durations of one domain.
pub(in crate::metrics::exposition) fn durations(out: &mut Vec<u8>, domain: &DomainSeries) {
    for (class, durations) in Class::ALL.iter().zip(&domain.durations) {
        metric(out, |out| {
            label(out, "domain", &domain.domain);
            label(out, "class", class.as_str());
            let cumulative = durations.buckets.iter().scan(0, |count, bucket| {
                *count += bucket;
                Some(*count)
            });
            let buckets = DURATION_BOUNDS.iter().map(|bound| *bound as f64).zip(cumulative);
            histogram(out, durations.count(), durations.sum as f64, buckets, Some(domain.created));
        });
    }
}

/// Appends the latest ends of one domain.
pub(in crate::metrics::exposition) fn last_end(out: &mut Vec<u8>, domain: &DomainSeries) {
    for (class, last_end) in Class::ALL.iter().zip(domain.last_end) {
        if let Some(at) = last_end {
            metric(out, |out| {
                label(out, "domain", &domain.domain);
                label(out, "class", class.as_str());
                gauge(out, at as f64);
            });
        }
    }
}

/// Appends the taxonomy.
pub(in crate::metrics::exposition) fn reasons(out: &mut Vec<u8>) {
    for entry in &TABLE {
        metric(out, |out| {
            label(out, "reason", entry.name);
            label(out, "class", entry.class.as_str());
            label(out, "description", entry.en.first().copied().unwrap_or_default());
            label(out, "description_zh", entry.zh.first().copied().unwrap_or_default());
            gauge(out, 1.0);
        });
    }
}
