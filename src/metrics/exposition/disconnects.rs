//! The disconnect families, piece by piece: one piece per block of streams, and per domain and family.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use bytes::BytesMut;

use super::lines::{bound, family_header, integer, label_value, push};
use super::{Format, exemplar, protobuf};
use crate::clock::UnixSeconds;
use crate::metrics::names::{self, Family};
use crate::publication::{DURATION_BOUNDS, DomainSeries, Kind, StreamBlock, StreamSeries};
use crate::reason::{Class, TABLE};

/// How the pieces of one page are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) format: Format,
    /// Whether counters and histograms are followed by a `_created` line; OpenMetrics only.
    pub(super) created: bool,
}

impl Style {
    /// Whether nothing but a line feed comes behind the value of a series of the stream counter.
    pub(super) fn ends_in_number(self) -> bool {
        self.format.is_text() && !self.created
    }
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

    pub(super) const fn family(self) -> &'static Family {
        match self {
            DomainFamily::Disconnects => &names::DISCONNECTS,
            DomainFamily::Durations => &names::SESSION_DURATION,
            DomainFamily::LastEnd => &names::LAST_DISCONNECT,
        }
    }

    pub(super) fn piece(self, out: &mut Vec<u8>, style: Style, domain: &DomainSeries) {
        let is_text = style.format.is_text();
        match self {
            DomainFamily::Disconnects if is_text => disconnects(out, style, domain),
            DomainFamily::Disconnects => protobuf::disconnects(out, domain),
            DomainFamily::Durations if is_text => durations(out, style, domain),
            DomainFamily::Durations => protobuf::durations(out, domain),
            DomainFamily::LastEnd if is_text => last_end(out, domain),
            DomainFamily::LastEnd => protobuf::last_end(out, domain),
        }
    }
}

/// What stands before the pieces of a family, which are `length` bytes together.
pub(super) fn head(out: &mut Vec<u8>, style: Style, family: &Family, length: usize) {
    if style.format.is_text() {
        family_header(out, style.format, family);
    } else {
        protobuf::head(out, family.name, family.kind, family.help, length);
    }
}

/// Appends the lines of one block of the stream counter, and gives back where they end. In protobuf a line is a message;
/// that of a series that has left is empty.
pub(super) fn streams(out: &mut Vec<u8>, style: Style, block: &StreamBlock) -> Vec<u32> {
    let mut prefix = Prefix::default();
    let line = |at| {
        line(out, style, block.get(at), &mut prefix);
        short(out.len())
    };
    (0..block.places()).map(line).collect()
}

/// Makes of the lines of a block those of its successor with the same labels: what changed is changed where it stands.
pub(super) fn follow(lines: &mut BytesMut, ends: &mut [u32], style: Style, block: &StreamBlock, next: &StreamBlock) {
    let mut written = Vec::new();
    let (mut from, mut moved) = (0, 0);
    while let Some(at) = next.differs_from(block, from) {
        shift(&mut ends[from..=at], moved);
        let start = at.checked_sub(1).map_or(0, |previous| ends[previous] as usize);
        let mut place = start..ends[at] as usize;
        written.clear();
        match next.value(at) {
            Some(value) if style.ends_in_number() => {
                let blank = lines[place.clone()].iter().rposition(|byte| *byte == b' ').expect("a value stands there");
                place = start + blank + 1..place.end - 1;
                integer(&mut written, value);
            }
            _ => line(&mut written, style, next.get(at), &mut Prefix::default()),
        }
        let longer = short(written.len()).wrapping_sub(short(place.len()));
        splice(lines, place, &written);
        ends[at] = ends[at].wrapping_add(longer);
        moved = moved.wrapping_add(longer);
        from = at + 1;
    }
    shift(&mut ends[from..], moved);
}

/// Adds a difference, which may be below 0, to each.
fn shift(ends: &mut [u32], moved: u32) {
    if moved != 0 {
        for end in ends {
            *end = end.wrapping_add(moved);
        }
    }
}

fn splice(bytes: &mut BytesMut, place: Range<usize>, with: &[u8]) {
    let (length, end) = (bytes.len(), place.start + with.len());
    if end > place.end {
        bytes.resize(length + end - place.end, 0);
    }
    if end != place.end {
        bytes.copy_within(place.end..length, end);
        bytes.truncate(length - place.end + end);
    }
    bytes[place.start..end].copy_from_slice(with);
}

fn line<'a>(out: &mut Vec<u8>, style: Style, series: Option<StreamSeries<'a>>, prefix: &mut Prefix<'a>) {
    match series {
        Some(series) if style.format.is_text() => stream(out, style, series, prefix),
        Some(series) => protobuf::stream(out, series),
        None => {}
    }
}

fn short(length: usize) -> u32 {
    u32::try_from(length).expect("lines of a block are short")
}

/// Where the line before begins, up to its stream name, and for which names that is.
#[derive(Default)]
struct Prefix<'a> {
    bytes: Range<usize>,
    names: Option<(&'a Arc<str>, &'a Arc<str>)>,
}

fn stream<'a>(out: &mut Vec<u8>, style: Style, series: StreamSeries<'a>, prefix: &mut Prefix<'a>) {
    const NAME: &str = "tencent_live_stream_disconnects";
    const START: &str = "tencent_live_stream_disconnects_total{domain=\"";
    /// What follows the stream name, up to the value, by `Reason as usize`.
    static TAILS: LazyLock<[String; TABLE.len()]> =
        LazyLock::new(|| std::array::from_fn(|i| format!("\",reason=\"{}\"}} ", TABLE[i].name)));

    let Kind { domain, app, reason } = &**series.kind;
    let line = out.len();
    // Neighbours often share domain and app: then the start of the line before is the start of this one.
    let same = |(other_domain, other_app)| same_text(domain, other_domain) && same_text(app, other_app);
    if prefix.names.is_some_and(same) {
        out.extend_from_within(prefix.bytes.clone());
    } else {
        push(out, &[START]);
        label_value(out, domain);
        push(out, &["\",app=\""]);
        label_value(out, app);
        push(out, &["\",stream=\""]);
        prefix.names = Some((domain, app));
    }
    prefix.bytes = line..out.len();
    label_value(out, series.stream);
    push(out, &[&TAILS[*reason as usize]]);
    let labels_end = out.len() - 1;
    integer(out, series.shown);
    out.push(b'\n');
    if style.created {
        push(out, &[NAME, "_created"]);
        out.extend_from_within(line + NAME.len() + "_total".len()..labels_end);
        end_created(out, series.created);
    }
}

pub(super) fn same_text(one: &Arc<str>, other: &Arc<str>) -> bool {
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
        if style.format.is_openmetrics()
            && let Some(latest) = domain.exemplars.get(&entry.reason)
        {
            push(out, &[" # {", exemplar::LABEL, "=\""]);
            label_value(out, exemplar::value(&latest.stream));
            push(out, &["\"} 1 "]);
            integer(out, latest.end);
        }
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

/// The taxonomy, the same on every page of a format.
pub(super) fn reasons(out: &mut Vec<u8>, style: Style) {
    if !style.format.is_text() {
        return protobuf::reasons(out);
    }
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
    use crate::publication::StreamLabels;
    use crate::reason::Reason;

    fn series(domain: &str, app: &str, stream: &str, shown: u64) -> (StreamLabels, u64, UnixSeconds) {
        let reason = Reason::NetworkError;
        let labels = StreamLabels { domain: domain.into(), app: app.into(), stream: stream.into(), reason };
        (labels, shown, 1_700_000_000)
    }

    #[test]
    fn neighbours_that_share_a_start_are_written_as_if_they_did_not() {
        let block =
            StreamBlock::of([series("d\"", "a", "1", 1), series("d\"", "a", "2", 20), series("d\"", "", "3", 3)]);
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
        let block = StreamBlock::of([series("d", "a", "1", 1), series("d", "a", "2", 2)]);
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

    #[test]
    fn a_successor_reads_as_if_it_had_been_written_afresh() {
        let styles = [(Format::OpenMetrics, false), (Format::OpenMetrics, true), (Format::Protobuf, false)];
        for style in styles.map(|(format, created)| Style { format, created }) {
            let written = |block: &StreamBlock| {
                let mut out = Vec::new();
                let ends = streams(&mut out, style, block);
                (BytesMut::from(&out[..]), ends)
            };
            let block = StreamBlock::of((0..6).map(|i| series("d", "a b", &i.to_string(), i)));
            // Of each series: it stays, grows or leaves.
            for choice in 0..3_u32.pow(6) {
                let mut next = block.clone();
                for at in 0..6 {
                    match choice / 3_u32.pow(at) % 3 {
                        0 => {}
                        1 => next.set(at as usize, 10_u64.pow(at) + 7),
                        _ => next.leave(at as usize),
                    }
                }
                let (mut lines, mut ends) = written(&block);
                follow(&mut lines, &mut ends, style, &block, &next);
                assert_eq!((&lines, &ends), (&written(&next).0, &written(&next).1), "{choice}");
                // And so does the successor of a successor.
                let mut last = next.clone();
                for at in 0..6 {
                    if last.get(at).is_some() {
                        last.set(at, 99);
                    }
                }
                follow(&mut lines, &mut ends, style, &next, &last);
                assert_eq!((lines, ends), written(&last), "{choice}");
            }
        }
    }
}
