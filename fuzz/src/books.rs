//! Counts under names that a script of bytes makes up.

use std::collections::BTreeMap;
use std::sync::Arc;

use tencent_live_exporter::publication::{
    BLOCK_SERIES, DURATION_BOUNDS, DomainSeries, DurationHistogram, Snapshot, StreamBlock, StreamLabels,
};
use tencent_live_exporter::reason::{Class, Reason, TABLE};
use tencent_live_exporter::session::{IdentityKey, Name};

use crate::page::Sample;

/// Start timestamp of everything.
const CREATED: i64 = 1_767_225_600;
/// Lengths of sessions; they fall into buckets from the first to the last.
const LONGEST_SECONDS: u64 = 1 << 33;
/// Most domains whose families are on the page, two hundred lines each; of the others there are the streams.
const MOST_DOMAINS: usize = 2;
/// The bit of a reason that asks for the families of its domain.
const WITH_DOMAIN: u64 = 0x80;

/// Series with their totals, and domains with their counts.
#[derive(Debug, Default)]
pub struct Books {
    /// By domain, app, stream and reason, as labels.
    series: Vec<([String; 3], Reason, u64)>,
    domains: BTreeMap<String, Domain>,
}

/// What happened in one domain.
#[derive(Debug, Default)]
struct Domain {
    counts: BTreeMap<Reason, u64>,
    lengths: BTreeMap<Class, Vec<u64>>,
}

impl Books {
    /// Reads fields that are separated by 0xFF: domain, app, stream, reason, total, and so on.
    ///
    /// # Panics
    /// When two names make one label.
    #[must_use]
    pub fn read(script: &[u8]) -> Self {
        let fields: Vec<&[u8]> = script.split(|byte| *byte == 0xff).collect();
        let key = IdentityKey::new(*b"0123456789abcdef");
        let mut books = Self::default();
        let mut names = BTreeMap::new();
        for field in fields.as_chunks::<5>().0 {
            let [domain, app, stream, code, total] = *field;
            let raw = [domain, app, stream];
            let labels = raw.map(|name| Name::new(name).label(&key));
            let reason = TABLE[(number(code) % WITH_DOMAIN) as usize % Reason::COUNT].reason;
            let known = names.insert((labels.clone(), reason), raw);
            assert!(known.is_none_or(|known| known == raw), "two series under {labels:?}");
            if known.is_none() {
                let with_domain = number(code) & WITH_DOMAIN != 0;
                books.add(labels, reason, number(total), with_domain);
            }
        }
        books
    }

    fn add(&mut self, labels: [String; 3], reason: Reason, total: u64, with_domain: bool) {
        if with_domain && (self.domains.len() < MOST_DOMAINS || self.domains.contains_key(&labels[0])) {
            self.add_to_domain(&labels[0], reason, total);
        }
        self.series.push((labels, reason, total));
    }

    fn add_to_domain(&mut self, domain: &str, reason: Reason, total: u64) {
        let domain = self.domains.entry(domain.to_owned()).or_default();
        let count = domain.counts.entry(reason).or_default();
        *count = count.wrapping_add(total);
        domain.lengths.entry(reason.class()).or_default().push(total % LONGEST_SECONDS);
    }

    /// The books as the exporter publishes them.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let series = self.series.iter().map(|([domain, app, stream], reason, shown)| {
            let [domain, app, stream] = [domain, app, stream].map(|name| Arc::from(name.as_str()));
            (StreamLabels { domain, app, stream, reason: *reason }, *shown, CREATED)
        });
        let series: Vec<_> = series.collect();
        let domains = self.domains.iter().map(|(name, domain)| {
            let mut durations = [DurationHistogram::default(); Class::ALL.len()];
            for (class, lengths) in &domain.lengths {
                for seconds in lengths {
                    durations[*class as usize].observe(*seconds);
                }
            }
            Arc::new(DomainSeries {
                domain: name.as_str().into(),
                created: CREATED,
                disconnects: TABLE.each_ref().map(|entry| domain.counts.get(&entry.reason).copied().unwrap_or(0)),
                durations,
                last_end: Class::ALL.map(|class| domain.lengths.contains_key(&class).then_some(CREATED)),
                exemplars: Arc::default(),
            })
        });
        Snapshot {
            blocks: Arc::new(
                series.chunks(BLOCK_SERIES).map(|block| Arc::new(StreamBlock::of(block.to_vec()))).collect(),
            ),
            domains: domains.collect(),
            series: series.len() as u64,
            ..Snapshot::default()
        }
    }

    /// What a page has to show of these books; `le` spells a bound as the format does.
    #[must_use]
    pub fn samples(&self, created: bool, le: impl Fn(u64) -> String) -> Vec<Sample> {
        let mut samples = Vec::new();
        let mut put = |name: &str, labels: &[(&str, &str)], value: String| {
            let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            samples.push(Sample { name: name.to_owned(), labels, value });
        };
        for ([domain, app, stream], reason, total) in &self.series {
            let labels = [("domain", &**domain), ("app", app), ("stream", stream), ("reason", reason.as_str())];
            put("tencent_live_stream_disconnects_total", &labels, total.to_string());
            if created {
                put("tencent_live_stream_disconnects_created", &labels, CREATED.to_string());
            }
        }
        for (name, domain) in &self.domains {
            for entry in &TABLE {
                let labels = [("domain", &**name), ("class", entry.class.as_str()), ("reason", entry.name)];
                let count = domain.counts.get(&entry.reason).copied().unwrap_or(0);
                put("tencent_live_disconnects_total", &labels, count.to_string());
                if created {
                    put("tencent_live_disconnects_created", &labels, CREATED.to_string());
                }
            }
            for class in Class::ALL {
                const DURATION: &str = "tencent_live_session_duration_seconds";
                let labels = [("domain", &**name), ("class", class.as_str())];
                let lengths = domain.lengths.get(&class).map_or(&[][..], Vec::as_slice);
                for bound in DURATION_BOUNDS {
                    let within = lengths.iter().filter(|seconds| **seconds <= bound).count();
                    put(&format!("{DURATION}_bucket"), &[labels[0], labels[1], ("le", &le(bound))], within.to_string());
                }
                put(&format!("{DURATION}_bucket"), &[labels[0], labels[1], ("le", "+Inf")], lengths.len().to_string());
                put(&format!("{DURATION}_count"), &labels, lengths.len().to_string());
                put(&format!("{DURATION}_sum"), &labels, lengths.iter().sum::<u64>().to_string());
                if created {
                    put(&format!("{DURATION}_created"), &labels, CREATED.to_string());
                }
                if !lengths.is_empty() {
                    put("tencent_live_last_disconnect_timestamp_seconds", &labels, CREATED.to_string());
                }
            }
        }
        samples
    }
}

/// The number whose lowest bytes come first.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
