//! The `prometheus-client` crate: its registry is written straight into the page.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::Peer;
use crate::series::{FAMILY, Series};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    domain: Arc<String>,
    app: &'static str,
    stream: String,
    reason: &'static str,
}

pub(super) struct Client {
    registry: Registry,
    page: String,
}

impl Client {
    pub(super) fn new(series: impl Iterator<Item = Series>) -> Self {
        let counters = Family::<Labels, Counter>::default();
        let mut domain = Arc::new(String::new());
        for one in series {
            if *domain != one.domain {
                domain = Arc::new(one.domain);
            }
            let reason = one.reason.as_str();
            let labels = Labels { domain: Arc::clone(&domain), app: one.app, stream: one.stream, reason };
            counters.get_or_create(&labels).inc_by(one.value);
        }
        let mut registry = Registry::default();
        // It adds the `_total` itself.
        registry.register(FAMILY.trim_end_matches("_total"), "Finished pushes", counters);
        Self { registry, page: String::new() }
    }
}

impl Peer for Client {
    fn name(&self) -> &'static str {
        "`prometheus-client`: encode"
    }

    fn scrape(&mut self) -> usize {
        self.page.clear();
        encode(&mut self.page, &self.registry).expect("a String takes every write");
        self.page.len()
    }
}
