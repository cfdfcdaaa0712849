//! Every page that comes from the cache is what a plain encoder would have written from the same snapshot.
//!
//! Random commits, releases and new domains drive a [`Publication`]; after each of them some kinds of page are read, so
//! that those that are not fall behind by a few snapshots. Text is compared byte for byte with [`text`], protobuf message
//! for message with [`message`], which `prost` decodes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod message;
mod text;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use proptest::prelude::*;
use prost::Message as _;
use tencent_live_exporter::clock::UnixSeconds;
use tencent_live_exporter::ledger::{Books, Posting, Release};
use tencent_live_exporter::metrics::exposition::{Coding, Exposition, Filter, Format};
use tencent_live_exporter::metrics::{OwnMetrics, POLL_ERRORS};
use tencent_live_exporter::publication::{
    BLOCK_SERIES, Exemplar, Happening, OVERFLOW, Publication, Snapshot, StreamLabels, Terms,
};
use tencent_live_exporter::reason::{Reason, TABLE};
use tencent_live_exporter::session::IdentityKey;

/// Domains, each with the account that brings it.
const DOMAINS: [(&str, &str); 3] = [("main", "push.example.com"), ("main", "推流\"\\"), ("second", "\n")];
const APPS: [&str; 2] = ["live", "a\\b"];
const STREAMS: [&str; 7] = ["", "room", "\"\\\n", "房间一号", "\u{2028}", "~", OVERFLOW];
const CREATED: UnixSeconds = 1_767_225_600;
/// Formats, and whether `_created` lines are asked for.
const STYLES: [(Format, bool); 5] = [
    (Format::Text, false),
    (Format::Text, true),
    (Format::OpenMetrics, false),
    (Format::OpenMetrics, true),
    (Format::Protobuf, false),
];

#[derive(Debug, Clone)]
enum Step {
    /// Disconnects: domain, app, stream, reason, end, seconds it lasted, whether it belongs to the baseline.
    Commit(Vec<(usize, usize, usize, usize, i64, u64, bool)>),
    /// As many new streams with one disconnect each.
    Crowd(usize),
    /// A domain without a disconnect.
    Introduce(usize),
    /// The series and domains whose bit is set.
    Release(u64),
    /// The account of a domain.
    Publish(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let happening = (
        0..DOMAINS.len(),
        0..APPS.len(),
        0..=STREAMS.len(),
        prop_oneof![3 => 0..2_usize, 1 => 0..Reason::COUNT],
        0..50_i64,
        prop_oneof![0..20_u64, 0..200_000_u64],
        any::<bool>(),
    );
    prop_oneof![
        4 => proptest::collection::vec(happening, 1..6).prop_map(Step::Commit),
        1 => (1..2 * BLOCK_SERIES).prop_map(Step::Crowd),
        1 => (0..DOMAINS.len()).prop_map(Step::Introduce),
        3 => any::<u64>().prop_map(Step::Release),
        2 => (0..DOMAINS.len()).prop_map(Step::Publish),
    ]
}

/// A publication and what is known of it without asking it.
struct Model {
    publication: Publication,
    /// By place, and whether they have been released.
    domains: Vec<(&'static str, bool)>,
    latest: BTreeMap<(usize, Reason), Exemplar>,
    crowd: usize,
}

impl Model {
    fn new() -> Self {
        let books = Books {
            key: IdentityKey::new(*b"0123456789abcdef"),
            accounts: BTreeMap::new(),
            series: Vec::new(),
            domains: Vec::new(),
        };
        let terms = Terms { series_limit: 2000, hold_max: Duration::from_secs(75), ..Terms::default() };
        let publication = Publication::new(books, terms, Duration::ZERO);
        Self { publication, domains: Vec::new(), latest: BTreeMap::new(), crowd: 0 }
    }

    fn take(&mut self, step: &Step) {
        let mut posting = Posting::default();
        match step {
            Step::Commit(happenings) => {
                let long = "长".repeat(200);
                let names: Vec<_> = happenings.iter().map(|h| STREAMS.get(h.2).copied().unwrap_or(&long)).collect();
                self.count(
                    &mut posting,
                    happenings.iter().zip(names).map(|(h, stream)| Happening {
                        account: DOMAINS[h.0].0,
                        domain: DOMAINS[h.0].1,
                        app: APPS[h.1],
                        stream,
                        reason: TABLE[h.3].reason,
                        end: CREATED + h.4,
                        lasted: h.5,
                        created: CREATED - h.4,
                        in_baseline: h.6,
                    }),
                );
            }
            Step::Crowd(count) => {
                let names: Vec<_> = (self.crowd..self.crowd + count).map(|i| format!("crowd-{i}")).collect();
                self.crowd += count;
                self.count(
                    &mut posting,
                    names.iter().map(|stream| Happening {
                        account: DOMAINS[0].0,
                        domain: DOMAINS[0].1,
                        app: APPS[0],
                        stream,
                        reason: Reason::NetworkError,
                        end: CREATED,
                        lasted: 1,
                        created: CREATED,
                        in_baseline: false,
                    }),
                );
            }
            Step::Introduce(domain) => {
                let mut draft = self.publication.draft();
                draft.introduce(DOMAINS[*domain].0, DOMAINS[*domain].1, CREATED);
                draft.write_into(&mut posting);
                self.domain(DOMAINS[*domain].1);
            }
            Step::Release(bits) => {
                let chosen = |id: &u32| bits.rotate_right(*id) & 1 == 1;
                let series = u32::try_from(self.publication.series().count()).unwrap();
                let domains = u32::try_from(self.domains.len()).unwrap();
                posting.release.series = (0..series).filter(chosen).collect();
                posting.release.domains = (0..domains).filter(chosen).collect();
                for id in &posting.release.domains {
                    self.domains[*id as usize].1 = true;
                }
            }
            Step::Publish(domain) => {
                posting.release = Release { accounts: vec![DOMAINS[*domain].0.to_owned()], ..Release::default() };
            }
        }
        self.publication.apply(&posting, Duration::ZERO);
    }

    fn count<'a>(&mut self, posting: &mut Posting, happenings: impl Iterator<Item = Happening<'a>>) {
        let happenings: Vec<_> = happenings.collect();
        let mut draft = self.publication.draft();
        for happening in &happenings {
            draft.count(happening);
        }
        draft.write_into(posting);
        for happening in happenings {
            let key = (self.domain(happening.domain), happening.reason);
            let latest = self.latest.get(&key).map_or(i64::MIN, |latest| latest.end);
            if happening.end >= latest {
                self.latest.insert(key, Exemplar { stream: happening.stream.into(), end: happening.end });
            }
        }
    }

    fn domain(&mut self, name: &str) -> usize {
        let known = self.domains.iter().position(|(known, _)| *known == name);
        known.unwrap_or_else(|| {
            let name = DOMAINS.iter().find(|(_, known)| *known == name).unwrap().1;
            self.domains.push((name, false));
            self.domains.len() - 1
        })
    }

    /// The latest disconnects that may be told of `domain`.
    fn exemplars(&self, domain: &str) -> BTreeMap<Reason, Exemplar> {
        let place = self.domains.iter().position(|(known, _)| *known == domain).unwrap();
        let told = self.latest.iter().filter(|((of, _), _)| *of == place && self.domains[place].1);
        told.map(|((_, reason), latest)| (*reason, latest.clone())).collect()
    }
}

/// The stream counter of a snapshot: labels, value, start timestamp.
fn streams(snapshot: &Snapshot) -> impl Iterator<Item = (StreamLabels, u64, UnixSeconds)> {
    snapshot.streams().map(|series| (series.labels(), series.shown, series.created))
}

/// What an exemplar may tell of `stream`: 128 characters less those of the label's name.
fn told(stream: &str) -> String {
    stream.chars().take(128 - "stream".len()).collect()
}

fn decoded(page: &[u8], coding: Coding) -> Vec<u8> {
    match coding {
        Coding::Identity => page.to_vec(),
        Coding::Gzip => {
            let mut out = Vec::new();
            let mut rest = page;
            // Of one member, and there is nothing behind it.
            flate2::bufread::GzDecoder::new(&mut rest).read_to_end(&mut out).unwrap();
            assert!(rest.is_empty(), "{} bytes behind the member", rest.len());
            out
        }
        Coding::Zstd => zstd::decode_all(page).unwrap(),
    }
}

/// The page without what the process says about itself, which is different each time.
fn lasting(format: Format, page: &[u8]) -> Page {
    if format.is_text() {
        let page = std::str::from_utf8(page).unwrap();
        Page::Text(page.split_inclusive('\n').filter(|line| !line.contains("process_")).collect())
    } else {
        let mut families = message::read(page);
        families.retain(|family| !family.name().starts_with("process_"));
        Page::Messages(families)
    }
}

/// What the plain encoders make of a snapshot.
fn expected(format: Format, created: bool, snapshot: &Snapshot, own: &OwnMetrics, filter: &[&str]) -> Page {
    let mut own = own.gather(snapshot);
    own.retain(|family| !family.name().starts_with("process_"));
    match format {
        Format::Text => Page::Text(text::page(snapshot, &own, text::Style::Text, filter)),
        Format::OpenMetrics => Page::Text(text::page(snapshot, &own, text::Style::OpenMetrics { created }, filter)),
        Format::Protobuf => Page::Messages(message::page(snapshot, &own, filter)),
    }
}

#[derive(Debug, PartialEq)]
enum Page {
    Text(String),
    Messages(Vec<message::MetricFamily>),
}

fn own() -> Arc<OwnMetrics> {
    let accounts = ["main".to_owned(), "a\"\\b".to_owned()];
    let own = OwnMetrics::new(&accounts, Duration::from_secs(30), 50_000, &["ok"], &["action"], POLL_ERRORS).unwrap();
    own.api_request("main", "action", "ok", Duration::from_millis(70));
    own.clock_skew("main", -0.25);
    Arc::new(own)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_cached_page_is_what_a_plain_encoder_writes(
        steps in proptest::collection::vec((step(), any::<u16>()), 1..12)
    ) {
        let own = own();
        let mut model = Model::new();
        let snapshots = Arc::new(ArcSwap::from_pointee(model.publication.snapshot()));
        let expositions = [false, true].map(|created| Exposition::new(Arc::clone(&snapshots), Arc::clone(&own), created));
        let last = steps.len() - 1;
        for (number, (step, read)) in steps.iter().enumerate() {
            model.take(step);
            let snapshot = Arc::new(model.publication.snapshot());
            for domain in &snapshot.domains {
                prop_assert_eq!(&*domain.exemplars, &model.exemplars(&domain.domain));
            }
            snapshots.store(Arc::clone(&snapshot));
            let kinds = STYLES.iter().flat_map(|style| Coding::ALL.map(|coding| (*style, coding)));
            for (kind, ((format, created), coding)) in kinds.enumerate() {
                if number == last || read >> kind & 1 == 1 {
                    let page = expositions[usize::from(created)].page(format, coding);
                    prop_assert!(page.has_baselines && page.generation == snapshot.generation);
                    let page = lasting(format, &decoded(&page.concat(), coding));
                    let expected = expected(format, created, &snapshot, &own, &[]);
                    prop_assert!(page == expected, "{format:?} {coding:?}: is {page:?}\nnot {expected:?}");
                }
            }
        }
    }
}

/// Two domains shown whole, one of them with a disconnect.
fn shown() -> Model {
    let mut model = Model::new();
    for step in [
        Step::Introduce(1),
        Step::Commit(vec![(0, 0, 1, 0, 7, 100, false), (0, 1, 7, 1, 9, 5, false)]),
        Step::Publish(0),
        Step::Release(u64::MAX),
    ] {
        model.take(&step);
    }
    model
}

#[test]
fn a_filter_leaves_the_named_families_in_every_format_and_coding() {
    let own = own();
    let snapshot = Arc::new(shown().publication.snapshot());
    let exposition = Exposition::new(Arc::new(ArcSwap::new(Arc::clone(&snapshot))), Arc::clone(&own), false);
    for (names, families) in [
        (&["tencent_live_stream_disconnects_total"][..], &["tencent_live_stream_disconnects_total"][..]),
        (&["tencent_live_disconnects"], &["tencent_live_disconnects_total"]),
        (
            &["tencent_live_up", "tencent_live_session_duration_seconds", "tencent_live_up"],
            &["tencent_live_session_duration_seconds", "tencent_live_up"],
        ),
        (&["tencent_live_exporter_polls_total", "unknown"], &["tencent_live_exporter_polls_total"]),
        (&["tencent_live_session_duration_seconds_count"], &["nothing"]),
        (&["unknown"], &["nothing"]),
        (&[""], &["nothing"]),
    ] {
        let filter: Filter = names.iter().map(|name| (*name).to_owned()).collect();
        for format in Format::ALL {
            for coding in Coding::ALL {
                let page = exposition.filtered(format, coding, &filter);
                assert!(!page.has_baselines, "none of these has all that may be held");
                let page = lasting(format, &decoded(&page.concat(), coding));
                assert_eq!(page, expected(format, false, &snapshot, &own, families), "{names:?} {format:?} {coding:?}");
            }
        }
    }
    let page =
        exposition.filtered(Format::OpenMetrics, Coding::Identity, &["unknown".to_owned()].into_iter().collect());
    assert_eq!(page.concat(), b"# EOF\n");
}

#[test]
fn an_exemplar_tells_the_latest_stream_as_far_as_it_may() {
    let model = shown();
    let snapshot = Arc::new(model.publication.snapshot());
    let exposition = Exposition::new(Arc::new(ArcSwap::new(Arc::clone(&snapshot))), own(), false);
    let page = exposition.page(Format::OpenMetrics, Coding::Identity).concat();
    let page = String::from_utf8(page).unwrap();
    let exemplars: Vec<_> = page.lines().filter_map(|line| line.split_once(" # ")).map(|(_, told)| told).collect();
    let long = "长".repeat(122);
    assert_eq!(
        exemplars,
        ["{stream=\"room\"} 1 1767225607".to_owned(), format!("{{stream=\"{long}\"}} 1 1767225609")],
        "of the class counter only, since a gauge has none"
    );
    let page = exposition.page(Format::Protobuf, Coding::Identity).concat();
    let mut bytes = &page[..];
    let first = message::MetricFamily::decode_length_delimited(&mut bytes).unwrap();
    assert!(bytes.len() < page.len() && first.metric.iter().all(|metric| metric.exemplar().is_none()));
    let second = message::MetricFamily::decode_length_delimited(&mut bytes).unwrap();
    let told: Vec<_> = second.metric.iter().filter_map(message::Metric::exemplar).collect();
    assert_eq!(told.iter().map(|told| told.label[0].value()).collect::<Vec<_>>(), ["room", &*long]);
    assert_eq!(told[0].timestamp.as_ref().unwrap().seconds, Some(1_767_225_607));
}
