//! The series that everything is measured on, and ours as it shows them.
//!
//! The only place in the benches that knows how a publication, a snapshot and an exposition are made and read.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Buf as _;
use flate2::Compression;
use tencent_live_exporter::clock::SystemClock;
use tencent_live_exporter::ledger::{DURATION_BOUNDS, Ledger as _, NewAccount, Posting, Release, SqliteLedger};
use tencent_live_exporter::listing::{Filter, Progress};
use tencent_live_exporter::metrics::exposition::{Coding, Exposition, Format, Page};
use tencent_live_exporter::metrics::{OwnMetrics, POLL_ERRORS};
use tencent_live_exporter::poller::{ClientIp, KeeperOptions, Observation};
use tencent_live_exporter::publication::labels::Choice;
use tencent_live_exporter::publication::{Happening, Publication, Snapshot, Terms};
use tencent_live_exporter::reason::{Classifier, Reason, TABLE};
use tencent_live_exporter::session::{Name, PushSession};

/// The account they belong to: the one that settings without a name have.
pub(crate) const ACCOUNT: &str = "main";

/// The stream counter.
pub(crate) const FAMILY: &str = "tencent_live_stream_disconnects_total";

/// The level that pages are compressed at.
pub(crate) const GZIP_LEVEL: Compression = Compression::fast();

/// One series of every so many changes between two scrapes: 0.1 %.
pub(crate) const CHANGED: u64 = 1000;

/// When counting began.
const START: i64 = 1_767_225_600;

/// How long every push lasted, in seconds.
const LASTED: u64 = 600;

/// More than any bench needs.
const SERIES_LIMIT: u64 = 10_000_000;

/// Series are shown at once: no bench waits for a scraper to have read a baseline.
fn terms(labels: Choice) -> Terms {
    Terms { series_limit: SERIES_LIMIT, labels, hold_max: Duration::ZERO, ..Terms::default() }
}

/// One series of the stream counter.
pub(crate) struct Series {
    pub(crate) domain: String,
    pub(crate) app: &'static str,
    pub(crate) stream: String,
    pub(crate) reason: Reason,
    pub(crate) value: u64,
}

/// Series `number` of `count`, as a busy account has them: ten domains, two apps, stream names of some twenty bytes,
/// every reason.
pub(crate) fn series(number: u64, count: u64) -> Series {
    Series {
        domain: format!("push{}.example.com", number * 10 / count),
        app: if number.is_multiple_of(3) { "event" } else { "live" },
        stream: format!("room-{number:08}-main-hd"),
        reason: TABLE[usize::try_from(number).expect("64 bits") % TABLE.len()].reason,
        value: number.wrapping_mul(2_654_435_761) % 5000 + 1,
    }
}

/// All of them.
pub(crate) fn all(count: u64) -> impl Iterator<Item = Series> {
    (0..count).map(move |number| series(number, count))
}

/// Which series change.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Where {
    /// Anywhere: each a random one.
    Anywhere,
    /// Neighbours, from a random one on.
    Neighbours,
}

/// Chooses what changes; the same each time a bench is run.
pub(crate) struct Changes {
    count: u64,
    dice: fastrand::Rng,
}

impl Changes {
    /// Of `count` series.
    pub(crate) fn new(count: u64) -> Self {
        Self { count, dice: fastrand::Rng::with_seed(count) }
    }

    /// The numbers of `changed` series, each once.
    pub(crate) fn choose(&mut self, changed: u64, place: Where) -> Vec<u64> {
        let changed = changed.clamp(1, self.count);
        match place {
            Where::Anywhere => {
                let stride = self.count / changed;
                (0..changed).map(|i| i * stride + self.dice.u64(..stride)).collect()
            }
            Where::Neighbours => {
                let first = self.dice.u64(..=self.count - changed);
                (first..first + changed).collect()
            }
        }
    }
}

/// `count` series, published, and the pages of them.
pub(crate) struct Ours {
    count: u64,
    publication: Publication,
    snapshots: Arc<ArcSwap<Snapshot>>,
    exposition: Exposition,
    own: Arc<OwnMetrics>,
}

impl Ours {
    pub(crate) fn new(count: u64) -> Self {
        let mut ledger = SqliteLedger::in_memory().expect("there is memory");
        let books = ledger.read().expect("an empty ledger can be read");
        let mut publication = Publication::new(books, terms(Choice::default()), Duration::ZERO);
        let posting = opening(&publication, count);
        publication.apply(&posting, Duration::ZERO);
        let snapshots = Arc::new(ArcSwap::from_pointee(publication.snapshot()));
        let own = own();
        Self { count, publication, exposition: exposition(&snapshots, &own), snapshots, own }
    }

    /// What a poll makes of it: each of the series in `changed` has one more.
    pub(crate) fn change(&mut self, changed: &[u64]) {
        let posting = posting(&self.publication, changed.iter().map(|number| series(*number, self.count)));
        self.publication.apply(&posting, Duration::ZERO);
        self.snapshots.store(Arc::new(self.publication.snapshot()));
    }

    /// The whole page, ready to be sent.
    pub(crate) fn page(&self, coding: Coding) -> Page {
        self.page_as(Format::Text, coding)
    }

    /// The same in another format.
    pub(crate) fn page_as(&self, format: Format, coding: Coding) -> Page {
        self.exposition.page(format, coding)
    }

    /// The whole page by an exposition that has made none before.
    pub(crate) fn fresh(&self, coding: Coding) -> Page {
        self.fresh_as(Format::Text, coding)
    }

    /// The same in another format.
    pub(crate) fn fresh_as(&self, format: Format, coding: Coding) -> Page {
        exposition(&self.snapshots, &self.own).page(format, coding)
    }
}

/// Generation of the newest snapshot, and how many series it shows.
pub(crate) fn newest(snapshots: &ArcSwap<Snapshot>) -> (u64, u64) {
    let newest = snapshots.load();
    (newest.generation, newest.series)
}

/// Length of a page in bytes.
pub(crate) fn length(page: &Page) -> usize {
    page.parts.remaining()
}

/// An exposition of whatever `snapshots` holds.
pub(crate) fn exposition(snapshots: &Arc<ArcSwap<Snapshot>>, own: &Arc<OwnMetrics>) -> Exposition {
    Exposition::new(Arc::clone(snapshots), Arc::clone(own), false)
}

/// The exporter's own metrics, for one account.
pub(crate) fn own() -> Arc<OwnMetrics> {
    let actions = &["DescribeLiveStreamEventList"];
    let accounts = [ACCOUNT.to_owned()];
    let own = OwnMetrics::new(&accounts, Duration::from_secs(30), SERIES_LIMIT, &["ok"], actions, POLL_ERRORS);
    Arc::new(own.expect("the table of names is sound"))
}

/// Opens the ledger in `folder`.
pub(crate) fn ledger(folder: &Path) -> SqliteLedger {
    SqliteLedger::open(folder).expect("the bench's folder is its own")
}

/// Writes `count` series into an empty ledger, all of them released.
pub(crate) fn fill(ledger: &mut SqliteLedger, count: u64) {
    let books = ledger.read().expect("an empty ledger can be read");
    let publication = Publication::new(books, terms(Choice::default()), Duration::ZERO);
    let account = NewAccount { name: ACCOUNT.into(), first_start: START, counting_since: START, floor: START - 86_400 };
    let posting = Posting { new_account: Some(account), ..opening(&publication, count) };
    ledger.commit(&posting).expect("the bench's disk takes it");
}

/// How a keeper of the ledger works, with this choice of labels.
pub(crate) fn keeper_options(labels: Choice) -> KeeperOptions {
    KeeperOptions {
        classifier: Classifier::new(&[]),
        terms: terms(labels),
        client_ip: ClientIp::Masked,
        clock: Arc::new(SystemClock::new()),
        observer: Box::new(|_| {}),
    }
}

/// A response with one finished push for each of `changed`; no two `round`s show the same push.
pub(crate) fn observation(round: i64, changed: &[u64], count: u64) -> Observation {
    let session = |number: &u64| {
        let Series { domain, app, stream, reason, .. } = series(*number, count);
        // Some reasons have a code and no sentence; the one that has neither is what nothing matches.
        let entry = reason.entry();
        let text = entry.zh.iter().chain(entry.en).chain(entry.codes).next().copied().unwrap_or("猫踩了键盘");
        PushSession {
            domain: Name::from(domain.as_str()),
            app: app.into(),
            stream: Name::from(stream.as_str()),
            start: START + round,
            end: START + round + LASTED.cast_signed(),
            reason_text: text.to_owned(),
            client_ip: "203.0.113.7".into(),
            duration: Some(LASTED),
            resolution: "1280*720".into(),
        }
    };
    Observation {
        account: ACCOUNT.into(),
        scope: Filter::default(),
        sessions: changed.iter().map(session).collect(),
        progress: Progress { reached: Some(START), ..Progress::default() },
        ..Observation::default()
    }
}

/// All series at their values, and their account, shown.
fn opening(publication: &Publication, count: u64) -> Posting {
    let mut posting = posting(publication, all(count));
    // Counted was one each; what is missing to the value goes wherever that one went, since the ledger compares sums.
    let bucket = DURATION_BOUNDS.partition_point(|bound| *bound < LASTED);
    for (add, series) in posting.series.iter_mut().zip(all(count)) {
        let more = series.value - add.total;
        add.total += more;
        let domain = posting
            .domains
            .iter_mut()
            .find(|domain| domain.new.as_ref().is_some_and(|new| *new.name == *series.domain));
        let domain = domain.expect("every series has brought its domain");
        *domain.disconnects.entry(series.reason).or_default() += more;
        let durations = &mut domain.classes.entry(series.reason.class()).or_default().durations;
        durations.buckets[bucket] += more;
        durations.sum += more * LASTED;
    }
    posting.release = Release {
        series: posting.series.iter().map(|add| add.id).collect(),
        domains: posting.domains.iter().map(|add| add.id).collect(),
        accounts: vec![ACCOUNT.to_owned()],
    };
    posting
}

/// One disconnect more for each of `series`.
fn posting(publication: &Publication, series: impl Iterator<Item = Series>) -> Posting {
    let mut draft = publication.draft();
    for Series { domain, app, stream, reason, .. } in series {
        draft.count(&Happening {
            account: ACCOUNT,
            domain: &domain,
            app,
            stream: &stream,
            reason,
            end: START + LASTED.cast_signed(),
            lasted: LASTED,
            created: START,
            in_baseline: false,
        });
    }
    let mut posting = Posting::default();
    draft.write_into(&mut posting);
    posting
}
