//! Snapshots as pages a scraper can read.
//!
//! Text 0.0.4 (prometheus.io "Text-based format") and OpenMetrics 1.0.0 (its specification), plain or in gzip. The
//! order of families and lines is stable. Samples carry no timestamps; `_created` lines are written on request only,
//! since Prometheus without its feature flag would store them as series. Label values may hold anything but NUL.

mod cache;
mod disconnects;
mod families;
mod gzip;
mod lines;
mod negotiation;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;

use self::cache::{Cache, Pen};
pub use self::negotiation::{Offer, coding, format};
use super::OwnMetrics;
use crate::publication::Snapshot;

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 2] = [Format::Text, Format::OpenMetrics];

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
}

impl Coding {
    /// Every coding.
    pub const ALL: [Coding; 2] = [Coding::Identity, Coding::Gzip];
}

/// One page, ready to be written.
#[derive(Debug, Clone)]
pub struct Page {
    /// [`Snapshot::generation`] of what the page shows.
    pub generation: u64,
    /// The page; none of the parts is empty, and most are shared with other pages.
    pub parts: Vec<Bytes>,
}

impl Page {
    /// The whole page in one piece, for those who cannot write it part by part.
    #[must_use]
    pub fn concat(&self) -> Vec<u8> {
        self.parts.concat()
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

    /// The page as it is now.
    ///
    /// Computes: microseconds for a snapshot that was read before, up to seconds for a first compression of a million
    /// series, and it reads `/proc`. An async caller moves it to a thread that may block.
    #[must_use]
    pub fn page(&self, format: Format, coding: Coding) -> Page {
        let disconnects = self.cache.page(&self.snapshots, format, coding);
        let own = self.own.gather(&disconnects.snapshot);
        let own = Pen::new(coding).piece(|out| {
            families::families(out, format, &own);
            if format.is_openmetrics() {
                out.extend_from_slice(b"# EOF\n");
            }
        });
        let mut parts = Vec::with_capacity(disconnects.parts.len() + 3);
        if coding == Coding::Gzip {
            parts.push(Bytes::from_static(gzip::HEADER));
        }
        parts.extend(disconnects.parts.iter().cloned());
        parts.push(own.bytes);
        if coding == Coding::Gzip {
            let mut crc = flate2::Crc::new();
            crc.combine(&disconnects.crc);
            crc.combine(&own.crc);
            parts.push(gzip::trailer(&crc));
        }
        parts.retain(|part| !part.is_empty());
        Page { generation: disconnects.snapshot.generation, parts }
    }

    /// The disconnect part alone, plain, as it is in [`Exposition::page`]: what the benchmarks measure.
    #[must_use]
    pub fn disconnects(&self, format: Format) -> Page {
        let disconnects = self.cache.page(&self.snapshots, format, Coding::Identity);
        Page { generation: disconnects.snapshot.generation, parts: disconnects.parts.clone() }
    }
}
