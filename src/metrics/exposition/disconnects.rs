//! The disconnect families as text, piece by piece: one piece per block of streams, and per domain and family.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use super::Format;
use super::lines::{bound, family_header, integer, label_value, push};
use crate::clock::UnixSeconds;
use crate::metrics::names;
use crate::publication::{DURATION_BOUNDS, DomainSeries, Kind, StreamBlock, StreamSeries};
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

/// The text of one block of the stream counter and where its lines end, so that the block's successor can take over
/// the lines that stay.
#[derive(Debug)]
pub(super) struct BlockText<'a> {
    pub(super) block: &'a StreamBlock,
    pub(super) text: &'a [u8],
    pub(super) ends: &'a [u32],
}

impl<'a> BlockText<'a> {
    /// Where line `at` is if it would be written the same way for `block`.
    fn staying(&self, block: &StreamBlock, at: usize) -> Option<Range<usize>> {
        let same = if self.block.has_labels_of(block) {
            self.block.shown()[at] == block.shown()[at]
        } else {
            let (before, series) = (self.block.get(at)?, block.get(at)?);
            before.shown == series.shown
                && before.created == series.created
                && Arc::ptr_eq(before.kind, series.kind)
                && before.stream == series.stream
        };
        same.then(|| self.line(at))
    }

    fn line(&self, at: usize) -> Range<usize> {
        at.checked_sub(1).map_or(0, |previous| self.ends[previous] as usize)..self.ends[at] as usize
    }

    /// Line `at` without its number, if only that is another one in `block`.
    fn patched(&self, block: &StreamBlock, at: usize) -> Option<&'a [u8]> {
        let line = self.block.has_labels_of(block).then(|| &self.text[self.line(at)])?;
        let number = line.iter().rposition(|byte| *byte == b' ')? + 1;
        Some(&line[..number])
    }
}

/// Appends the lines of one block of the stream counter, and gives back where they end.
pub(super) fn streams(
    out: &mut Vec<u8>,
    style: Style,
    block: &StreamBlock,
    before: Option<&BlockText<'_>>,
) -> Vec<u32> {
    let mut ends = Vec::with_capacity(block.len());
    // Lines that stay are copied together with their neighbours that stay.
    let mut staying = 0..0;
    let mut prefix = Prefix::default();
    for at in 0..block.len() {
        let old = before.and_then(|before| Some((before.staying(block, at)?, before.text)));
        if let Some((line, text)) = old {
            if staying.end != line.start {
                out.extend_from_slice(&text[std::mem::replace(&mut staying, line.start..line.start)]);
            }
            staying.end = line.end;
        } else {
            if let Some(before) = before {
                out.extend_from_slice(&before.text[std::mem::replace(&mut staying, 0..0)]);
            }
            let patched = before.filter(|_| !style.created).and_then(|before| before.patched(block, at));
            match (patched, block.get(at)) {
                (Some(labels), _) => {
                    out.extend_from_slice(labels);
                    integer(out, block.shown()[at]);
                    out.push(b'\n');
                }
                (None, Some(series)) => stream(out, style, series, &mut prefix),
                (None, None) => {}
            }
        }
        ends.push(u32::try_from(out.len() + staying.len()).expect("lines of a block are short"));
    }
    if let Some(before) = before {
        out.extend_from_slice(&before.text[staying]);
    }
    ends
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
        streams(&mut out, Style { format: Format::Text, created: false }, &block, None);
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
        streams(&mut out, Style { format: Format::OpenMetrics, created: true }, &block, None);
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
        for created in [false, true] {
            let style = Style { format: Format::OpenMetrics, created };
            let written = |block: &StreamBlock, before: Option<&BlockText<'_>>| {
                let mut out = Vec::new();
                let ends = streams(&mut out, style, block, before);
                (String::from_utf8(out).unwrap(), ends)
            };
            let all: Vec<_> = (0..6).map(|i| series("d", "a", &i.to_string(), i)).collect();
            let block = StreamBlock::of(all.clone());
            let (text, ends) = written(&block, None);
            let before = BlockText { block: &block, text: text.as_bytes(), ends: &ends };
            // Every choice of changed values, under the same labels, and with a series more, less, and as many.
            for changed in 0..64_u32 {
                let grown = |(i, shown): (u32, u64)| shown + if changed & (1 << i) == 0 { 0 } else { 10_u64.pow(i) };
                let patched = block.with((0..).zip(block.shown().iter().copied()).map(grown).collect());
                assert_eq!(written(&patched, Some(&before)), written(&patched, None), "{changed:b}");
                for length in 3..=9 {
                    let mut next = all.clone();
                    next.resize_with(length, || series("d", "a", "new", 1));
                    for (i, (_, shown, _)) in (0..).zip(&mut next) {
                        *shown = grown((i, *shown));
                    }
                    let next = StreamBlock::of(next);
                    assert_eq!(written(&next, Some(&before)), written(&next, None), "{changed:b} {length}");
                }
            }
        }
    }
}
