//! The `measured` crate: label values interned, counters in a sparse map, written straight into the page.

use measured::text::TextEncoder;
use measured::{CounterVec, LabelGroup, MetricGroup};
use paracord::ParaCord;

use super::Peer;
use crate::series::Series;

#[derive(Debug, Clone, Copy, PartialEq, LabelGroup)]
#[label(set = LabelsSet)]
struct Labels<'a> {
    #[label(dynamic_with = ParaCord)]
    domain: &'a str,
    #[label(dynamic_with = ParaCord)]
    app: &'a str,
    #[label(dynamic_with = ParaCord)]
    stream: &'a str,
    #[label(dynamic_with = ParaCord)]
    reason: &'a str,
}

#[derive(MetricGroup)]
struct Metrics {
    /// Finished pushes.
    tencent_live_stream_disconnects_total: CounterVec<LabelsSet>,
}

pub(super) struct Interned {
    metrics: Metrics,
    page: Vec<u8>,
}

impl Interned {
    pub(super) fn new(series: impl Iterator<Item = Series>) -> Self {
        let labels = LabelsSet {
            domain: ParaCord::default(),
            app: ParaCord::default(),
            stream: ParaCord::default(),
            reason: ParaCord::default(),
        };
        let counters = CounterVec::with_label_set(labels);
        for one in series {
            let labels = Labels { domain: &one.domain, app: one.app, stream: &one.stream, reason: one.reason.as_str() };
            counters.inc_by(labels, one.value);
        }
        Self { metrics: Metrics { tencent_live_stream_disconnects_total: counters }, page: Vec::new() }
    }
}

impl Peer for Interned {
    fn name(&self) -> &'static str {
        "`measured`: collect into TextEncoder"
    }

    fn scrape(&mut self) -> usize {
        self.page.clear();
        let mut encoder = TextEncoder::new(&mut self.page);
        self.metrics.collect_group_into(&mut encoder).expect("a Vec takes every write");
        self.page.len()
    }
}
