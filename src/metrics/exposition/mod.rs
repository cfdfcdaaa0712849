//! Snapshots as pages a scraper can read.
//!
//! Text 0.0.4 (prometheus.io "Text-based format"), OpenMetrics 1.0.0 (its specification) and delimited protobuf
//! (`client_model`), plain, in gzip or in zstd. The order of families and lines is stable. Samples carry no timestamps;
//! OpenMetrics has `_created` lines on request only, since Prometheus without its feature flag would store them as
//! series. Label values may hold anything but NUL. What nobody asks for is neither made nor kept.

mod cache;
mod disconnects;
mod exemplar;
mod families;
mod filter;
mod gzip;
mod lines;
mod negotiation;
mod parts;
mod protobuf;
mod zstd;

use std::sync::Arc;

use self::cache::{Cache, Pen};
pub use self::filter::Filter;
pub use self::negotiation::{Offer, coding, format};
pub use self::parts::Parts;
use super::{OwnMetrics, names};
use crate::publication::Snapshot;
use arc_swap::ArcSwap;
use bytes::{Buf as _, BufMut as _};

/// An exposition format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// `io.prometheus.client.MetricFamily` messages, each with its length before it.
    Protobuf,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 3] = [Format::Text, Format::OpenMetrics, Format::Protobuf];

    /// Whether a page is text, line by line.
    #[must_use]
    pub const fn is_text(self) -> bool {
        !matches!(self, Format::Protobuf)
    }

    const fn is_openmetrics(self) -> bool {
        matches!(self, Format::OpenMetrics)
    }
}

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Identity,
    /// gzip, as one member.
    Gzip,
    /// zstd, as a frame for each block and each domain.
    Zstd,
}

impl Coding {
    /// Every coding.
    pub const ALL: [Coding; 3] = [Coding::Identity, Coding::Gzip, Coding::Zstd];

    /// What `Content-Encoding` says; absent where nothing was done.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Coding::Identity => None,
            Coding::Gzip => Some("gzip"),
            Coding::Zstd => Some("zstd"),
        }
    }
}

/// One page, ready to be written.
#[derive(Debug, Clone)]
pub struct Page {
    /// [`Snapshot::generation`] of what the page shows.
    pub generation: u64,
    /// Whether all that waits at a baseline is on it: who reads less may not have seen every baseline.
    pub has_baselines: bool,
    /// The page.
    pub parts: Parts,
}

impl Page {
    /// The whole page in one piece, for those who cannot write it part by part.
    #[must_use]
    pub fn concat(&self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.parts.remaining());
        whole.put(self.parts.clone());
        whole
    }
}

/// Makes pages: the disconnect families of the newest snapshot, then the exporter's own.
#[derive(Debug)]
pub struct Exposition {
    snapshots: Arc<ArcSwap<Snapshot>>,
    own: Arc<OwnMetrics>,
    cache: Cache,
}

impl Exposition {
    /// Pages of `snapshots` and `own`; `created_lines` adds `_created` lines to OpenMetrics pages.
    #[must_use]
    pub fn new(snapshots: Arc<ArcSwap<Snapshot>>, own: Arc<OwnMetrics>, created_lines: bool) -> Self {
        Self { snapshots, own, cache: Cache::new(created_lines) }
    }

    /// What the next page is made of.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.load_full()
    }

    /// The exporter's own metrics that stand on each page.
    #[must_use]
    pub fn own(&self) -> &OwnMetrics {
        &self.own
    }

    /// The page as it is now.
    ///
    /// Computes: microseconds for a snapshot that was read before, up to seconds for a first compression of a million
    /// series, and it reads `/proc`. An async caller moves it to a thread that may block.
    #[must_use]
    pub fn page(&self, format: Format, coding: Coding) -> Page {
        self.filtered(format, coding, &Filter::default())
    }

    /// [`Exposition::page`] with the families of `filter` only, in the same order.
    #[must_use]
    pub fn filtered(&self, format: Format, coding: Coding, filter: &Filter) -> Page {
        let wants_disconnects = names::DISCONNECT_FAMILIES.iter().any(|family| filter.takes(family.name));
        let disconnects = wants_disconnects.then(|| self.cache.page(&self.snapshots, format, coding));
        let snapshot =
            disconnects.as_ref().map_or_else(|| self.snapshots.load_full(), |page| Arc::clone(&page.snapshot));
        let mut own = self.own.gather(&snapshot);
        own.retain(|family| filter.takes(family.name()));
        let mut pen = Pen::new(coding);
        let own = pen.piece(|out| match format {
            Format::Text => families::families(out, format, &own),
            Format::OpenMetrics => {
                families::families(out, format, &own);
                out.extend_from_slice(b"# EOF\n");
            }
            Format::Protobuf => protobuf::families(out, &own),
        });
        let mut page = Page {
            generation: snapshot.generation,
            has_baselines: names::HELD_FAMILIES.iter().all(|family| filter.takes(family.name)),
            parts: Parts::default(),
        };
        page.parts.extend(pen.start());
        let mut total = gzip::Total::default();
        if let Some(disconnects) = disconnects {
            let families = disconnects.families.iter().enumerate().filter(|(_, family)| filter.takes(family.name));
            for (at, family) in families {
                page.parts.push_family(&disconnects, at);
                total.append(&family.sum);
            }
        }
        total.append(&own.sum);
        page.parts.extend([own.bytes]);
        page.parts.extend(pen.end(&total, !page.parts.has_remaining()));
        page
    }

    /// The disconnect part alone, plain, as it is in [`Exposition::page`]: what the benchmarks measure.
    #[must_use]
    pub fn disconnects(&self, format: Format) -> Page {
        let disconnects = self.cache.page(&self.snapshots, format, Coding::Identity);
        let mut parts = Parts::default();
        (0..disconnects.families.len()).for_each(|family| parts.push_family(&disconnects, family));
        Page { generation: disconnects.snapshot.generation, has_baselines: true, parts }
    }
}
