//! The `prometheus` crate: its registry gathers everything into messages, which `TextEncoder` writes.

use prometheus::{IntCounterVec, Opts, Registry, TextEncoder};

use super::Peer;
use crate::series::{FAMILY, Series};

pub(super) struct Tikv {
    registry: Registry,
    page: String,
}

impl Tikv {
    pub(super) fn new(series: impl Iterator<Item = Series>) -> Self {
        Self { registry: registry(series), page: String::new() }
    }
}

/// A registry with these series; their names meet nowhere, so no two of them fall into one.
pub(crate) fn registry(series: impl Iterator<Item = Series>) -> Registry {
    let opts = Opts::new(FAMILY, "Finished pushes.");
    let counters = IntCounterVec::new(opts, &["domain", "app", "stream", "reason"]).expect("the names are valid");
    for one in series {
        let values = [&*one.domain, one.app, &one.stream, one.reason.as_str()];
        counters.get_metric_with_label_values(&values).expect("four names, four values").inc_by(one.value);
    }
    let registry = Registry::new();
    registry.register(Box::new(counters)).expect("it is the only one");
    registry
}

impl Peer for Tikv {
    fn name(&self) -> &'static str {
        "`prometheus`: gather and TextEncoder"
    }

    fn scrape(&mut self) -> usize {
        self.page.clear();
        TextEncoder::new().encode_utf8(&self.registry.gather(), &mut self.page).expect("counters with labels encode");
        self.page.len()
    }
}
