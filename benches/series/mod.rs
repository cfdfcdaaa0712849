//! The same series in both shapes: a snapshot of ours, and metric families of the `prometheus` crate.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::proto::{Counter, LabelPair, Metric, MetricFamily, MetricType};
use tencent_live_exporter::metrics::exposition::{Exposition, Format};
use tencent_live_exporter::metrics::{OwnMetrics, POLL_ERRORS};
use tencent_live_exporter::publication::{BLOCK_SERIES, Snapshot, StreamBlock, StreamLabels, StreamSeries};
use tencent_live_exporter::reason::TABLE;

/// One series of every `CHANGED` is different in a snapshot's successor: 0.1 %.
pub(crate) const CHANGED: usize = 1000;

/// `count` series as a busy account has them: ten domains, two apps, stream names of some twenty bytes.
pub(crate) fn snapshot(count: usize) -> Arc<Snapshot> {
    let domains: Vec<Arc<str>> = (0..10).map(|i| format!("push{i}.example.com").into()).collect();
    let apps: [Arc<str>; 2] = ["live".into(), "event".into()];
    let series = |i: usize| {
        let labels = StreamLabels {
            domain: Arc::clone(&domains[i * 10 / count]),
            app: Arc::clone(&apps[usize::from(i.is_multiple_of(3))]),
            stream: format!("room-{i:08}-main-hd").into(),
            reason: TABLE[i % TABLE.len()].reason,
        };
        (labels, (i as u64).wrapping_mul(2_654_435_761) % 5000, 1_767_225_600)
    };
    let starts = (0..count).step_by(BLOCK_SERIES);
    let blocks = starts.map(|start| (start..count.min(start + BLOCK_SERIES)).map(series));
    let blocks = Arc::new(blocks.map(|block| Arc::new(StreamBlock::of(block))).collect());
    Arc::new(Snapshot { generation: 1, blocks, series: count as u64, ..Snapshot::default() })
}

/// What a poll makes of `before`: 0.1 % of the series, spread over the whole, have one more.
pub(crate) fn successor(before: &Snapshot) -> Arc<Snapshot> {
    let changed = |(number, block): (usize, &Arc<StreamBlock>)| {
        let start = number * BLOCK_SERIES;
        let due = |i: usize| (start + i).is_multiple_of(CHANGED);
        if !(0..block.len()).any(due) {
            return Arc::clone(block);
        }
        let shown = block.shown().iter().enumerate().map(|(i, shown)| shown + u64::from(due(i)));
        Arc::new(block.with(shown.collect()))
    };
    let blocks = Arc::new(before.blocks.iter().enumerate().map(changed).collect());
    Arc::new(Snapshot { generation: before.generation + 1, blocks, series: before.series, ..Snapshot::default() })
}

/// The same series for `prometheus::TextEncoder`.
pub(crate) fn families(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let pair = |name: &str, value: &str| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    let metric = |series: StreamSeries<'_>| {
        let mut metric = Metric::from_label(vec![
            pair("domain", &series.kind.domain),
            pair("app", &series.kind.app),
            pair("stream", series.stream),
            pair("reason", series.kind.reason.as_str()),
        ]);
        let mut counter = Counter::default();
        counter.set_value(series.shown as f64);
        metric.set_counter(counter);
        metric
    };
    let mut family = MetricFamily::default();
    family.set_name("tencent_live_stream_disconnects_total".to_owned());
    family.set_help("Finished pushes.".to_owned());
    family.set_field_type(MetricType::COUNTER);
    family.set_metric(snapshot.streams().map(metric).collect());
    vec![family]
}

/// Their encoder as one uses it: into a fresh string.
pub(crate) fn theirs(families: &[MetricFamily]) -> usize {
    prometheus::TextEncoder::new().encode_to_string(families).expect("counters with labels encode").len()
}

/// Our encoder with nothing kept from before.
pub(crate) fn fresh(own: &Arc<OwnMetrics>, snapshot: &Arc<Snapshot>) -> usize {
    disconnects(&exposition(own, &Arc::new(ArcSwap::new(Arc::clone(snapshot)))))
}

/// The disconnect part as text, summed up.
pub(crate) fn disconnects(exposition: &Exposition) -> usize {
    exposition.disconnects(Format::Text).parts.iter().map(bytes::Bytes::len).sum()
}

/// An exposition of whatever `snapshots` holds.
pub(crate) fn exposition(own: &Arc<OwnMetrics>, snapshots: &Arc<ArcSwap<Snapshot>>) -> Exposition {
    Exposition::new(Arc::clone(snapshots), Arc::clone(own), false)
}

/// The exporter's own metrics, for one account.
pub(crate) fn own() -> Arc<OwnMetrics> {
    let actions = &["DescribeLiveStreamEventList"];
    let accounts = ["main".to_owned()];
    let own = OwnMetrics::new(&accounts, Duration::from_secs(30), 50_000, &["ok"], actions, POLL_ERRORS);
    Arc::new(own.expect("the table of names is sound"))
}
