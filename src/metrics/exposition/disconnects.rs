//! The disconnect families as text, piece by piece: one piece per block of streams, and per domain and family.

use std::sync::Arc;

use super::Format;
use super::lines::{bound, family_header, integer, label_value, push};
use crate::clock::UnixSeconds;
use crate::metrics::names;
use crate::publication::{DURATION_BOUNDS, DomainSeries, StreamBlock};
use crate::reason::{Class, TABLE};

/// How the pieces of one page are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) format: Format,
    /// Whether counters and histograms are followed by a `_created` line; OpenMetrics only.
    pub(super) created: bool,
}

/// The families that have one piece per domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DomainFamily {
    Disconnects,
    Durations,
    LastEnd,
}

impl DomainFamily {
    pub(super) const ALL: [DomainFamily; 3] =
        [DomainFamily::Disconnects, DomainFamily::Durations, DomainFamily::LastEnd];

    pub(super) fn header(self, out: &mut Vec<u8>, style: Style) {
        let family = match self {
            DomainFamily::Disconnects => &names::DISCONNECTS,
            DomainFamily::Durations => &names::SESSION_DURATION,
            DomainFamily::LastEnd => &names::LAST_DISCONNECT,
        };
        family_header(out, style.format, family);
    }

    pub(super) fn piece(self, out: &mut Vec<u8>, style: Style, domain: &DomainSeries) {
        match self {
            DomainFamily::Disconnects => disconnects(out, style, domain),
            DomainFamily::Durations => durations(out, style, domain),
            DomainFamily::LastEnd => last_end(out, domain),
        }
    }
}

/// The header of the stream counter.
pub(super) fn streams_header(out: &mut Vec<u8>, style: Style) {
    family_header(out, style.format, &names::STREAM_DISCONNECTS);
}

/// The lines of one block of the stream counter.
pub(super) fn streams(out: &mut Vec<u8>, style: Style, block: &StreamBlock) {
    const NAME: &str = "tencent_live_stream_disconnects";
    const START: &str = "tencent_live_stream_disconnects_total{domain=\"";
    // Neighbours often share domain and app: then the start of the line before is the start of this one.
    let (mut start, mut end) = (0, 0);
    let mut before = None;
    for series in &block.series {
        let labels = &series.labels;
        let line = out.len();
        let same = before.is_some_and(|(domain, app)| same_text(&labels.domain, domain) && same_text(&labels.app, app));
        if same {
            out.extend_from_within(start..end);
        } else {
            push(out, &[START]);
            label_value(out, &labels.domain);
            push(out, &["\",app=\""]);
            label_value(out, &labels.app);
            push(out, &["\",stream=\""]);
            before = Some((&labels.domain, &labels.app));
        }
        (start, end) = (line, line + if same { end - start } else { out.len() - line });
        label_value(out, &labels.stream);
        push(out, &["\",reason=\"", labels.reason.as_str(), "\"} "]);
        let labels_end = out.len() - 1;
        integer(out, series.shown);
        out.push(b'\n');
        if style.created {
            push(out, &[NAME, "_created"]);
            out.extend_from_within(line + NAME.len() + "_total".len()..labels_end);
            end_created(out, series.created);
        }
    }
}

fn same_text(one: &Arc<str>, other: &Arc<str>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

fn disconnects(out: &mut Vec<u8>, style: Style, domain: &DomainSeries) {
    const NAME: &str = "tencent_live_disconnects";
    let escaped = escaped(&domain.domain);
    for (entry, count) in TABLE.iter().zip(domain.disconnects) {
        let labels = [&*escaped, "\",class=\"", entry.class.as_str(), "\",reason=\"", entry.name, "\"} "];
        push(out, &[NAME, "_total{domain=\""]);
        push(out, &labels);
        integer(out, count);
        out.push(b'\n');
        if style.created {
            push(out, &[NAME, "_created{domain=\""]);
            push(out, &labels[..labels.len() - 1]);
            push(out, &["\"}"]);
            end_created(out, domain.created);
        }
    }
}

fn durations(out: &mut Vec<u8>, style: Style, domain: &DomainSeries) {
    const NAME: &str = "tencent_live_session_duration_seconds";
    let escaped = escaped(&domain.domain);
    for (class, histogram) in Class::ALL.iter().zip(&domain.durations) {
        let labels = ["{domain=\"", &*escaped, "\",class=\"", class.as_str(), "\""];
        let line = |out: &mut Vec<u8>, suffix: &str| {
            push(out, &[NAME, suffix]);
            push(out, &labels);
        };
        let mut count = 0;
        let bounds = DURATION_BOUNDS.iter().map(|bound| *bound as f64).chain([f64::INFINITY]);
        for (upper, bucket) in bounds.zip(histogram.buckets) {
            count += bucket;
            line(out, "_bucket");
            push(out, &[",le=\""]);
            bound(out, style.format, upper);
            push(out, &["\"} "]);
            integer(out, count);
            out.push(b'\n');
        }
        for (suffix, number) in [("_sum", histogram.sum), ("_count", count)] {
            line(out, suffix);
            push(out, &["} "]);
            integer(out, number);
            out.push(b'\n');
        }
        if style.created {
            line(out, "_created");
            push(out, &["}"]);
            end_created(out, domain.created);
        }
    }
}

fn last_end(out: &mut Vec<u8>, domain: &DomainSeries) {
    let escaped = escaped(&domain.domain);
    for (class, last_end) in Class::ALL.iter().zip(domain.last_end) {
        if let Some(at) = last_end {
            push(out, &[names::LAST_DISCONNECT.name, "{domain=\"", &escaped, "\",class=\"", class.as_str(), "\"} "]);
            integer(out, at);
            out.push(b'\n');
        }
    }
}

/// The taxonomy: header and lines, the same on every page.
pub(super) fn reasons(out: &mut Vec<u8>, style: Style) {
    family_header(out, style.format, &names::REASON_INFO);
    for entry in &TABLE {
        push(out, &[names::REASON_INFO.name, "{reason=\"", entry.name, "\",class=\"", entry.class.as_str()]);
        for (label, texts) in [("description", entry.en), ("description_zh", entry.zh)] {
            push(out, &["\",", label, "=\""]);
            label_value(out, texts.first().copied().unwrap_or_default());
        }
        push(out, &["\"} 1\n"]);
    }
}

fn end_created(out: &mut Vec<u8>, created: UnixSeconds) {
    out.push(b' ');
    integer(out, created);
    out.push(b'\n');
}

fn escaped(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len());
    label_value(&mut out, value);
    String::from_utf8(out).expect("escaping puts ASCII before ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publication::{StreamLabels, StreamSeries};
    use crate::reason::Reason;

    fn series(domain: &str, app: &str, stream: &str, shown: u64) -> StreamSeries {
        let reason = Reason::NetworkError;
        let labels = StreamLabels { domain: domain.into(), app: app.into(), stream: stream.into(), reason };
        StreamSeries { labels: Arc::new(labels), shown, created: 1_700_000_000 }
    }

    #[test]
    fn neighbours_that_share_a_start_are_written_as_if_they_did_not() {
        let block = StreamBlock {
            series: vec![series("d\"", "a", "1", 1), series("d\"", "a", "2", 20), series("d\"", "", "3", 3)],
        };
        let mut out = Vec::new();
        streams(&mut out, Style { format: Format::Text, created: false }, &block);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "tencent_live_stream_disconnects_total{domain=\"d\\\"\",app=\"a\",stream=\"1\",reason=\"network_error\"} 1\n\
             tencent_live_stream_disconnects_total{domain=\"d\\\"\",app=\"a\",stream=\"2\",reason=\"network_error\"} 20\n\
             tencent_live_stream_disconnects_total{domain=\"d\\\"\",app=\"\",stream=\"3\",reason=\"network_error\"} 3\n"
        );
    }

    #[test]
    fn a_created_line_follows_its_total() {
        let block = StreamBlock { series: vec![series("d", "a", "1", 1), series("d", "a", "2", 2)] };
        let mut out = Vec::new();
        streams(&mut out, Style { format: Format::OpenMetrics, created: true }, &block);
        let labels = |stream| format!("{{domain=\"d\",app=\"a\",stream=\"{stream}\",reason=\"network_error\"}}");
        let name = "tencent_live_stream_disconnects";
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!(
                "{name}_total{0} 1\n{name}_created{0} 1700000000\n{name}_total{1} 2\n{name}_created{1} 1700000000\n",
                labels(1),
                labels(2)
            )
        );
    }
}
