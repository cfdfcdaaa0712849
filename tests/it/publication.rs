//! What a scraper may see of a series, and when: by hand-driven time, through the keeper and its ledger.

mod idle;
mod labels;
mod limit;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use proptest::prelude::*;
use tencent_live_exporter::clock::{Clock as _, ManualClock};
use tencent_live_exporter::ledger::{Books, Ledger, LedgerError, NewAccount, Posting, SqliteLedger};
use tencent_live_exporter::listing::{Group, Progress};
use tencent_live_exporter::poller::{ClientIp, Keeper, KeeperError, KeeperHandle, KeeperOptions, Observation, Receipt};
use tencent_live_exporter::publication::labels::Choice;
use tencent_live_exporter::publication::{DurationHistogram, Scrape, Scraper, Snapshot, Terms};
use tencent_live_exporter::reason::{Classifier, Reason, TABLE};
use tencent_live_exporter::session::{GroupKey, Name, PushSession};

use crate::support::folder::Folder;
use crate::support::patience::{seen, until};

const START: i64 = 1_700_000_000;
const HOLD_MAX: Duration = Duration::from_secs(75);
const ACCOUNT: &str = "main";
const DOMAIN: &str = "push.example.com";

/// What is to go wrong with the next commit that has work to do.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    /// Nothing is written.
    Refused,
    /// It is written, but nobody hears of it.
    Unheard,
}

/// A ledger in a file with an operator's bad luck.
struct Unlucky {
    ledger: SqliteLedger,
    luck: Arc<Luck>,
}

#[derive(Default)]
struct Luck {
    trouble: Mutex<Option<Trouble>>,
    /// Opening the books fails too.
    shut: AtomicBool,
    /// Commits wait until this is false.
    blocked: Mutex<bool>,
    unblocked: Condvar,
    waiting: AtomicBool,
}

impl Luck {
    fn next(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap() = Some(trouble);
    }

    fn block(&self, blocked: bool) {
        *self.blocked.lock().unwrap() = blocked;
        self.unblocked.notify_all();
    }
}

fn full_disk() -> LedgerError {
    let source = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None);
    LedgerError::Sqlite { doing: "writing", source }
}

impl Ledger for Unlucky {
    fn read(&mut self) -> Result<Books, LedgerError> {
        self.ledger.read()
    }

    fn groups(&mut self, keys: &[GroupKey]) -> Result<BTreeMap<GroupKey, Group>, LedgerError> {
        self.ledger.groups(keys)
    }

    fn commit(&mut self, posting: &Posting) -> Result<(), LedgerError> {
        let mut blocked = self.luck.blocked.lock().unwrap();
        while *blocked {
            self.luck.waiting.store(true, Ordering::SeqCst);
            blocked = self.luck.unblocked.wait(blocked).unwrap();
        }
        self.luck.waiting.store(false, Ordering::SeqCst);
        match self.luck.trouble.lock().unwrap().take() {
            Some(Trouble::Refused) => Err(full_disk()),
            Some(Trouble::Unheard) => self.ledger.commit(posting).and(Err(full_disk())),
            None => self.ledger.commit(posting),
        }
    }

    fn reopen(&mut self) -> Result<(), LedgerError> {
        if self.luck.shut.load(Ordering::SeqCst) { Err(full_disk()) } else { self.ledger.reopen() }
    }
}

/// A keeper on a folder, with the clock in hand.
struct Desk {
    clock: Arc<ManualClock>,
    keeper: KeeperHandle,
    thread: Option<JoinHandle<()>>,
    luck: Arc<Luck>,
    folder: Arc<Folder>,
    terms: Terms,
}

impl Desk {
    /// An account that has been polled for the first time but not been published.
    async fn new() -> Self {
        Self::with_series_limit(1000).await
    }

    async fn with_series_limit(series_limit: u64) -> Self {
        let terms = Terms { series_limit, hold_max: HOLD_MAX, ..Terms::default() };
        let desk = Self::open(Arc::new(Folder::new()), Arc::new(ManualClock::new(START)), terms);
        let new = NewAccount {
            name: ACCOUNT.into(),
            first_start: START,
            counting_since: START - 3600,
            floor: START - 259_200,
        };
        desk.keeper.account(new).await.unwrap();
        desk
    }

    /// One whose account has been published for long.
    async fn published() -> Self {
        let desk = Self::new().await;
        desk.keeper.publish(ACCOUNT.into()).await.unwrap();
        desk.passes(100).await;
        desk
    }

    fn open(folder: Arc<Folder>, clock: Arc<ManualClock>, terms: Terms) -> Self {
        let luck = Arc::new(Luck::default());
        let ledger = folder.ledger();
        let ledger = Box::new(Unlucky { ledger, luck: Arc::clone(&luck) });
        let options = KeeperOptions {
            classifier: Classifier::new(&[]),
            terms: terms.clone(),
            client_ip: ClientIp::Masked,
            clock: clock.clone(),
            observer: Box::new(|_| {}),
        };
        let (running, keeper) = Keeper::open(ledger, options).unwrap();
        let thread = Some(std::thread::spawn(move || running.run().unwrap()));
        Self { clock, keeper, thread, luck, folder, terms }
    }

    /// The same, started again with other settings.
    fn restarted_with(mut self, labels: Choice) -> Self {
        self.terms.labels = labels;
        self.restarted()
    }

    /// Kills the keeper and starts another on the same books.
    fn restarted(mut self) -> Self {
        self.keeper.stop();
        self.thread.take().unwrap().join().unwrap();
        let (folder, clock, terms) = (Arc::clone(&self.folder), Arc::clone(&self.clock), self.terms.clone());
        Self::open(folder, clock, terms)
    }

    async fn try_observe(&self, sessions: Vec<PushSession>) -> Result<Receipt, KeeperError> {
        let progress = Progress { reached: Some(self.clock.now()), ..Progress::default() };
        let seen = self.clock.now();
        let account = ACCOUNT.into();
        self.keeper.observe(Observation { account, sessions, progress, seen, ..Observation::default() }).await
    }

    async fn observe(&self, sessions: Vec<PushSession>) -> Receipt {
        self.try_observe(sessions).await.unwrap()
    }

    /// A session that ends now.
    fn ends(&self, stream: &str) -> PushSession {
        ended(stream, self.clock.now())
    }

    /// A scraper, known by the first letter of its name, reads what there is to see.
    async fn scrape(&self, name: &str) {
        let scraper = Scraper::new([127, 0, 0, 1].into(), name.as_bytes());
        let connection = u64::from(name.as_bytes()[0]);
        self.keeper.scraped(Scrape { scraper, connection, generation: self.snapshot().generation });
        self.settles().await;
    }

    /// Lets time pass, with a scrape in every fifteen seconds of it, and the keeper look at its holds at the end.
    async fn passes_with(&self, seconds: u64, scrapers: &[&str]) {
        for _ in 0..seconds.div_ceil(15) {
            self.passes(15).await;
            for name in scrapers {
                self.scrape(name).await;
            }
        }
        self.passes(1).await;
    }

    /// In small steps, or the keeper would think that it had stood still.
    async fn passes(&self, seconds: u64) {
        for step in (0..seconds).step_by(4) {
            self.clock.advance(Duration::from_secs(4.min(seconds - step)));
            self.settles().await;
        }
    }

    /// Any message makes the keeper look at its holds first.
    async fn settles(&self) {
        self.keeper.counting(ACCOUNT.into()).await.unwrap();
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.keeper.snapshot().load_full()
    }

    /// What is shown of a stream, all reasons together; nothing while it has no series.
    fn stream(&self, stream: &str) -> Option<u64> {
        let snapshot = self.snapshot();
        snapshot.streams().filter(|series| series.stream == stream).map(|series| series.shown).reduce(|a, b| a + b)
    }

    /// What is shown of a domain, by reason.
    fn class(&self, domain: &str, reason: Reason) -> Option<u64> {
        let snapshot = self.snapshot();
        let found = snapshot.domains.iter().find(|one| &*one.domain == domain);
        found.map(|domain| domain.disconnects[reason as usize])
    }

    /// What is shown of each stream of a domain.
    fn streams(&self, domain: &str) -> BTreeMap<String, u64> {
        let snapshot = self.snapshot();
        let of_domain = snapshot.streams().filter(|series| &*series.kind.domain == domain);
        of_domain.map(|series| (series.stream.to_owned(), series.shown)).collect()
    }

    /// The totals on disk, by stream, as another program reads them.
    fn on_disk(&self) -> BTreeMap<String, u64> {
        let books = rusqlite::Connection::open(self.folder.join("state").join("ledger.sqlite")).unwrap();
        let mut rows = books.prepare("SELECT stream, sum(total) FROM series GROUP BY stream").unwrap();
        let total = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()));
        rows.query_map([], total).unwrap().map(Result::unwrap).collect()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.luck.block(false);
        self.keeper.stop();
    }
}

fn ended(stream: &str, end: i64) -> PushSession {
    PushSession {
        domain: DOMAIN.into(),
        app: "live".into(),
        stream: stream.into(),
        start: end - 60,
        end,
        reason_text: "推流客户端主动断流".into(),
        client_ip: "203.0.113.7".into(),
        duration: Some(60),
        resolution: String::new(),
    }
}

const CLIENT_STOPPED: Reason = Reason::ClientStopped;

#[tokio::test]
async fn g11_a_new_series_waits_at_its_baseline_until_every_scraper_has_read_it() {
    let desk = Desk::published().await;
    desk.passes_with(90, &["prometheus", "backup"]).await;
    desk.observe(vec![desk.ends("room")]).await;
    assert_eq!(desk.stream("room"), Some(0));
    desk.scrape("prometheus").await;
    desk.passes(1).await;
    assert_eq!(desk.stream("room"), Some(0), "one scraper has not read it yet");
    desk.observe(vec![desk.ends("room")]).await;
    assert_eq!(desk.stream("room"), Some(0), "nor does a second session let the first be seen");
    desk.scrape("backup").await;
    desk.passes(1).await;
    assert_eq!(desk.stream("room"), Some(2), "and now all of it is seen, by all alike");
    desk.observe(vec![desk.ends("room")]).await;
    assert_eq!(desk.stream("room"), Some(3), "a released series is never held again");
}

#[tokio::test]
async fn without_any_scraper_a_series_is_released_after_hold_max() {
    let desk = Desk::published().await;
    desk.observe(vec![desk.ends("room")]).await;
    desk.passes(74).await;
    assert_eq!(desk.stream("room"), Some(0));
    assert_eq!(desk.snapshot().held_disconnects, 1);
    desk.passes(1).await;
    assert_eq!(desk.stream("room"), Some(1));
    assert_eq!((desk.snapshot().held_series, desk.snapshot().held_disconnects), (0, 0));
}

#[tokio::test]
async fn g11_the_class_counter_of_a_known_domain_shows_a_disconnect_at_once() {
    let desk = Desk::published().await;
    desk.keeper.introduce(ACCOUNT.into(), vec![DOMAIN.into()]).await.unwrap();
    for entry in &TABLE {
        assert_eq!(desk.class(DOMAIN, entry.reason), Some(0), "{}", entry.name);
    }
    desk.passes(76).await;
    desk.observe(vec![desk.ends("room")]).await;
    assert_eq!(desk.class(DOMAIN, CLIENT_STOPPED), Some(1));
    assert_eq!(desk.stream("room"), Some(0));
}

#[tokio::test]
async fn the_class_counters_of_a_new_domain_wait_as_its_series_do() {
    let desk = Desk::published().await;
    desk.observe(vec![desk.ends("room")]).await;
    assert_eq!(desk.class(DOMAIN, CLIENT_STOPPED), Some(0));
    let snapshot = desk.snapshot();
    let lasted: u64 = snapshot.domains[0].durations.iter().map(DurationHistogram::count).sum();
    assert_eq!(lasted, 0, "the histogram waits with them");
    desk.passes(76).await;
    assert_eq!(desk.class(DOMAIN, CLIENT_STOPPED), Some(1));
    let lasted: u64 = desk.snapshot().domains[0].durations.iter().map(DurationHistogram::count).sum();
    assert_eq!(lasted, 1);
}

#[tokio::test]
async fn the_latest_disconnect_is_told_until_a_restart_and_not_while_its_domain_waits() {
    let latest = |desk: &Desk| -> Vec<(String, i64)> {
        let snapshot = desk.snapshot();
        let exemplars = snapshot.domains.iter().flat_map(|domain| domain.exemplars.values());
        exemplars.map(|latest| (latest.stream.to_string(), latest.end)).collect()
    };
    let desk = Desk::published().await;
    let end = desk.clock.now();
    desk.observe(vec![PushSession { domain: "new.example.com".into(), ..ended("room", end) }]).await;
    assert_eq!(latest(&desk), [], "it waits at its baseline");
    desk.passes(76).await;
    assert_eq!(latest(&desk), [("room".to_owned(), end)]);
    let older = PushSession { domain: "new.example.com".into(), ..ended("older", end - 1) };
    assert_eq!(desk.observe(vec![older]).await.counted_ends.len(), 1);
    assert_eq!(latest(&desk), [("room".to_owned(), end)]);
    let desk = desk.restarted();
    assert_eq!(latest(&desk), [], "it was told from memory");
    let next = PushSession { domain: "new.example.com".into(), ..desk.ends("next") };
    desk.observe(vec![next]).await;
    assert_eq!(latest(&desk), [("next".to_owned(), desk.clock.now())]);
}

#[tokio::test]
async fn an_account_is_hidden_until_its_first_pass_is_over() {
    let desk = Desk::new().await;
    desk.observe(vec![ended("before", START - 100), ended("after", START + 5)]).await;
    desk.settles().await;
    assert_eq!((desk.stream("before"), desk.class(DOMAIN, CLIENT_STOPPED)), (None, None));
    desk.keeper.publish(ACCOUNT.into()).await.unwrap();
    assert_eq!(desk.stream("before"), Some(1), "what ended before the first start is the baseline");
    assert_eq!(desk.stream("after"), Some(0), "what ended later is news");
    assert_eq!(desk.class(DOMAIN, CLIENT_STOPPED), Some(1));
    desk.passes(76).await;
    assert_eq!((desk.stream("before"), desk.stream("after")), (Some(1), Some(1)));
    assert_eq!(desk.class(DOMAIN, CLIENT_STOPPED), Some(2));
}

#[tokio::test]
async fn an_account_whose_first_pass_takes_long_is_shown_after_hold_max() {
    let desk = Desk::new().await;
    desk.observe(vec![ended("before", START - 100)]).await;
    desk.settles().await;
    desk.passes(74).await;
    assert_eq!(desk.stream("before"), None);
    desk.passes(1).await;
    assert_eq!(desk.stream("before"), Some(1));
}

#[tokio::test]
async fn c6_what_ended_before_counting_began_is_never_counted() {
    let desk = Desk::new().await;
    let receipt = desk.observe(vec![ended("old", START - 3601), ended("edge", START - 3600)]).await;
    assert_eq!((receipt.baseline, receipt.late, receipt.counted_ends.len()), (1, 1, 0));
    desk.keeper.publish(ACCOUNT.into()).await.unwrap();
    desk.passes(76).await;
    assert_eq!((desk.stream("old"), desk.stream("edge")), (None, Some(1)));
    let again = desk.observe(vec![ended("old", START - 3601)]).await;
    assert_eq!((again.duplicates, again.late), (1, 0), "it is known all the same");
}

#[tokio::test]
async fn e4_a_release_is_durable_before_anyone_can_see_it() {
    let desk = Desk::published().await;
    desk.observe(vec![desk.ends("room")]).await;
    desk.passes(HOLD_MAX.as_secs() - 4).await;
    desk.luck.block(true);
    desk.clock.advance(Duration::from_secs(4));
    until("the release waits for the disk", async || seen(desk.luck.waiting.load(Ordering::SeqCst), ())).await;
    assert_eq!(desk.stream("room"), Some(0));
    desk.luck.block(false);
    desk.settles().await;
    assert_eq!(desk.stream("room"), Some(1));
    let desk = desk.restarted();
    assert_eq!(desk.stream("room"), Some(1), "and stays seen");
}

#[tokio::test]
async fn a_release_that_could_not_be_written_is_made_later() {
    let desk = Desk::published().await;
    desk.observe(vec![desk.ends("room")]).await;
    desk.luck.next(Trouble::Refused);
    desk.passes(75).await;
    assert_eq!(desk.stream("room"), Some(0));
    // The books were read again, and holds begin anew with that.
    desk.passes(75).await;
    assert_eq!(desk.stream("room"), Some(1));
}

#[tokio::test]
async fn d4_what_a_failed_commit_was_to_write_is_counted_when_it_is_listed_again() {
    let desk = Desk::published().await;
    let session = desk.ends("room");
    desk.luck.next(Trouble::Refused);
    let error = desk.try_observe(vec![session.clone()]).await.unwrap_err();
    assert!(error.to_string().contains("writing the ledger"), "{error}");
    assert_eq!((desk.stream("room"), desk.on_disk().get("room")), (None, None));
    assert_eq!(desk.observe(vec![session]).await.counted_ends.len(), 1);
    desk.passes(76).await;
    assert_eq!(desk.stream("room"), Some(1));
}

#[tokio::test]
async fn d4_what_a_commit_has_written_without_a_word_is_not_counted_again() {
    let desk = Desk::published().await;
    let session = desk.ends("room");
    desk.luck.next(Trouble::Unheard);
    desk.try_observe(vec![session.clone()]).await.unwrap_err();
    assert_eq!(desk.on_disk().get("room"), Some(&1));
    assert_eq!(desk.stream("room"), Some(0), "the books were read again at once");
    assert_eq!(desk.observe(vec![session]).await.duplicates, 1);
    desk.passes(76).await;
    assert_eq!((desk.stream("room"), desk.on_disk().get("room")), (Some(1), Some(&1)));
}

#[tokio::test]
async fn d4_while_the_books_cannot_be_opened_the_page_stays_and_nothing_is_counted() {
    let desk = Desk::published().await;
    desk.observe(vec![desk.ends("room")]).await;
    desk.passes(76).await;
    let session = desk.ends("room");
    desk.luck.shut.store(true, Ordering::SeqCst);
    desk.luck.next(Trouble::Refused);
    for _ in 0..3 {
        desk.try_observe(vec![session.clone()]).await.unwrap_err();
        assert_eq!(desk.stream("room"), Some(1));
    }
    desk.luck.shut.store(false, Ordering::SeqCst);
    desk.observe(vec![session]).await;
    assert_eq!(desk.stream("room"), Some(2), "and it recovers by itself");
}

#[tokio::test]
async fn a_series_starts_at_the_end_of_the_last_poll_before_its_first_event() {
    let desk = Desk::published().await;
    desk.observe(vec![]).await;
    let last_poll = desk.clock.now();
    desk.passes(30).await;
    desk.observe(vec![desk.ends("room"), ended("late", last_poll - 50)]).await;
    let created = |desk: &Desk| -> BTreeMap<String, i64> {
        let snapshot = desk.snapshot();
        snapshot.streams().map(|series| (series.stream.to_owned(), series.created)).collect()
    };
    let before = created(&desk);
    assert_eq!(before["room"], last_poll);
    assert_eq!(before["late"], last_poll - 50, "and never after the event itself");
    assert_eq!(created(&desk.restarted()), before, "a restart does not move it");
}

#[tokio::test]
async fn g3_g4_hostile_names_stay_apart_and_are_cut() {
    let desk = Desk::published().await;
    let long = |last: u8| Name::new([vec![b'a'; 60_000], vec![last]].concat());
    let broken = |byte: u8| Name::new(vec![b'r', byte]);
    let names = [long(b'x'), long(b'y'), broken(0xfe), broken(0xff), Name::from("a\0b"), Name::from("two\nlines\"")];
    let end = desk.clock.now();
    let session = |name: &Name| PushSession { stream: name.clone(), ..ended("", end) };
    desk.observe(names.iter().map(session).collect()).await;
    let touching = |app: &str, stream: &str| PushSession { app: app.into(), ..ended(stream, end) };
    desk.observe(vec![touching("live", "1room"), touching("live1", "room")]).await;
    desk.passes(76).await;
    let snapshot = desk.snapshot();
    assert_eq!(snapshot.streams().count(), names.len() + 2);
    assert!(snapshot.streams().all(|series| series.shown == 1 && series.stream.len() <= 128 + 9));
    let before: Vec<_> = snapshot.streams().map(|series| series.labels()).collect();
    let after = desk.restarted().snapshot();
    let after: Vec<_> = after.streams().map(|series| series.labels()).collect();
    assert_eq!(before, after, "and are called the same after a restart");
}

/// Something that happens to a desk.
#[derive(Debug, Clone)]
enum Step {
    /// A response shows some of the sessions there are.
    Shown { from: usize, many: usize, trouble: Option<Trouble> },
    /// A scraper comes.
    Scraped(u8),
    /// Time passes, and a release may meet with trouble.
    Passes { seconds: u64, trouble: Option<Trouble> },
    /// The first pass is over.
    Published,
    /// The process is killed and started again.
    Restarted,
}

fn step() -> impl Strategy<Value = Step> {
    let trouble = || prop_oneof![4 => Just(None), 1 => Just(Some(Trouble::Refused)), 1 => Just(Some(Trouble::Unheard))];
    prop_oneof![
        6 => (0_usize..24, 1_usize..6, trouble()).prop_map(|(from, many, trouble)| Step::Shown { from, many, trouble }),
        3 => (0_u8..3).prop_map(Step::Scraped),
        4 => (1_u64..60, trouble()).prop_map(|(seconds, trouble)| Step::Passes { seconds, trouble }),
        1 => Just(Step::Published),
        2 => Just(Step::Restarted),
    ]
}

/// Twenty-four sessions on five streams, some from before the first start.
fn sessions() -> Vec<PushSession> {
    (0_i64..24).map(|n| ended(&format!("room{}", n % 5), START - 600 + n * 50)).collect()
}

async fn lives_through(steps: Vec<Step>) {
    let mut desk = Desk::new().await;
    let sessions = sessions();
    let mut listed = std::collections::BTreeSet::new();
    let mut shown: BTreeMap<String, u64> = BTreeMap::new();
    let mut class = 0;
    for step in steps {
        match step {
            Step::Shown { from, many, trouble } => {
                *desk.luck.trouble.lock().unwrap() = trouble;
                let range = from..(from + many).min(sessions.len());
                listed.extend(range.clone());
                // One that failed is listed again.
                if desk.try_observe(sessions[range.clone()].to_vec()).await.is_err() {
                    desk.observe(sessions[range].to_vec()).await;
                }
            }
            Step::Scraped(name) => desk.scrape(&name.to_string()).await,
            Step::Passes { seconds, trouble } => {
                *desk.luck.trouble.lock().unwrap() = trouble;
                desk.passes(seconds).await;
            }
            Step::Published => desk.keeper.publish(ACCOUNT.into()).await.unwrap_or_default(),
            Step::Restarted => desk = desk.restarted(),
        }
        let on_disk = desk.on_disk();
        for n in 0..5 {
            let name = format!("room{n}");
            let Some(now) = desk.stream(&name) else {
                assert!(!shown.contains_key(&name), "{name} is gone");
                continue;
            };
            assert!(now <= on_disk.get(&name).copied().unwrap_or(0), "{name} shows more than is durable");
            assert!(now >= shown.get(&name).copied().unwrap_or(0), "{name} went down");
            shown.insert(name, now);
        }
        let now = desk.class(DOMAIN, CLIENT_STOPPED);
        assert!(now.is_some() || class == 0);
        assert!(now.unwrap_or(0) >= class, "the class counter went down");
        class = now.unwrap_or(0);
    }
    *desk.luck.trouble.lock().unwrap() = None;
    desk.keeper.publish(ACCOUNT.into()).await.unwrap();
    desk.passes(76).await;
    let total: u64 = (0..5).filter_map(|n| desk.stream(&format!("room{n}"))).sum();
    assert_eq!(total, listed.len() as u64, "each session once");
    assert_eq!(desk.class(DOMAIN, CLIENT_STOPPED).unwrap_or(0), total);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn e4_whatever_happens_nothing_shown_goes_down_or_runs_ahead_of_the_disk(steps in prop::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(lives_through(steps));
    }
}
