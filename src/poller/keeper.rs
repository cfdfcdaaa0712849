//! The one writer: owns the ledger and what is published of it.
//!
//! It has a thread to itself, since SQLite blocks. Whoever has something to write sends a message and waits for the
//! receipt; readers take the newest [`Snapshot`] and never wait. A snapshot is swapped in only after its posting is
//! durable.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::handle::{KeeperError, KeeperHandle, Message, Reply};
use super::idle_clock::IdleClock;
use super::observation::{Bench, ClientIp, Observation, Receipt, Sorted};
use crate::clock::{Clock, UnixSeconds};
use crate::ledger::{AccountBooks, Books, Ledger, LedgerError, NewAccount, Posting, Release};
use crate::planted::{Bug, planted};
use crate::publication::{Publication, Snapshot, Terms};
use crate::reason::Classifier;
use crate::session::{IdentityKey, Name};

/// Holds are looked at no more often than this: with many of them, looking costs.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// While nothing waits, holds are looked at so often, to notice when this process stood still.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What is idle is looked for so often: looking costs a little for each series there is.
const BETWEEN_RESTS: Duration = Duration::from_secs(60);

/// Whoever wakes so much later than planned has stood still: it was stopped, or the machine slept.
const STOOD_STILL: Duration = Duration::from_secs(5);

/// Told how long each commit took, or that it failed.
pub type CommitObserver = Box<dyn Fn(Result<Duration, &LedgerError>) + Send>;

/// What the keeper is made of.
pub struct KeeperOptions {
    /// The taxonomy.
    pub classifier: Classifier,
    /// How series are published.
    pub terms: Terms,
    /// What records keep of addresses.
    pub client_ip: ClientIp,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Told of every commit.
    pub observer: CommitObserver,
}

/// What of a [`KeeperOptions`] can change while the keeper works.
#[derive(Debug)]
pub struct KeeperChange {
    /// The taxonomy; what was counted before stays with its reason.
    pub classifier: Classifier,
    /// How series are published from now on.
    pub terms: Terms,
    /// What records keep of addresses from now on.
    pub client_ip: ClientIp,
    /// The accounts that are asked from now on.
    pub accounts: Vec<String>,
}

/// Owns the ledger.
pub struct Keeper {
    ledger: Box<dyn Ledger>,
    key: IdentityKey,
    accounts: BTreeMap<String, AccountBooks>,
    publication: Publication,
    options: KeeperOptions,
    snapshot: Arc<ArcSwap<Snapshot>>,
    messages: UnboundedReceiver<Message>,
    /// The ledger failed and could not be read again yet.
    in_doubt: bool,
    idle_clock: IdleClock,
    /// When to look for what is idle, by elapsed time.
    next_rest: Duration,
}

impl Keeper {
    /// Reads the books and publishes what they show.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn open(mut ledger: Box<dyn Ledger>, options: KeeperOptions) -> Result<(Self, KeeperHandle), LedgerError> {
        let books = ledger.read()?;
        let (key, accounts) = (books.key.clone(), books.accounts.clone());
        // Where the life before has left its clock: it does not follow any other.
        let last_active = books.series.iter().map(|series| series.active_at).max();
        let mut publication = Publication::new(books, options.terms.clone(), options.clock.elapsed());
        let opened = options.clock.elapsed();
        let idle_clock = IdleClock::new(opened, last_active.unwrap_or(options.clock.now()));
        publication.rest(idle_clock.at(opened));
        let snapshot = Arc::new(ArcSwap::from_pointee(publication.snapshot()));
        let (sender, messages) = unbounded_channel();
        let next_rest = options.clock.elapsed() + BETWEEN_RESTS;
        let handle = KeeperHandle::new(sender, Arc::clone(&snapshot));
        Ok((
            Self {
                ledger,
                key,
                accounts,
                publication,
                options,
                snapshot,
                messages,
                in_doubt: false,
                idle_clock,
                next_rest,
            },
            handle,
        ))
    }

    /// Publishes what accounts that are not `configured` any more have left hidden; no pass of theirs will.
    ///
    /// # Errors
    /// When the ledger fails.
    pub fn publish_left_over(&mut self, configured: &[String]) -> Result<(), LedgerError> {
        let gone = |(name, account): (&String, &AccountBooks)| {
            (!account.published && !configured.contains(name)).then(|| name.clone())
        };
        let release = Release { accounts: self.accounts.iter().filter_map(gone).collect(), ..Release::default() };
        self.commit(&Posting { release, ..Posting::default() })
    }

    /// Goes on in another way. It cannot fail: nothing is written here.
    fn change(&mut self, change: KeeperChange) {
        let elapsed = self.options.clock.elapsed();
        self.options.classifier = change.classifier;
        self.options.client_ip = change.client_ip;
        self.options.terms = change.terms.clone();
        self.publication.change_terms(change.terms, elapsed);
        for name in self.accounts.keys().filter(|name| !change.accounts.contains(name)) {
            // No pass of theirs will publish them any more; now they are, after `hold_max`.
            self.publication.hide(name, elapsed);
        }
        self.next_rest = elapsed;
        self.rest(elapsed);
    }

    /// Works on this thread until told to stop.
    ///
    /// # Errors
    /// When the ledger turned out unusable and was set aside.
    pub fn run(self) -> Result<(), LedgerError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("timers alone ask nothing of the system").block_on(self.work())
    }

    /// Works until told to stop. It blocks while the ledger writes, so it wants a thread of its own.
    ///
    /// # Errors
    /// When the ledger turned out unusable and was set aside.
    pub async fn work(mut self) -> Result<(), LedgerError> {
        let mut rested = Duration::ZERO;
        let mut look_at = rested;
        loop {
            let message = self.message_before(look_at).await;
            let elapsed = self.options.clock.elapsed();
            if elapsed >= rested {
                self.release()?;
                self.rest(elapsed);
                rested = elapsed + BETWEEN_LOOKS.min(self.options.terms.hold_max);
            }
            look_at = match message {
                Some(Message::Stop) => return Ok(()),
                Some(message) => {
                    self.handle(message)?;
                    rested
                }
                None => {
                    let next = self.publication.next_look(elapsed).unwrap_or(elapsed + HEARTBEAT);
                    next.clamp(elapsed + BETWEEN_LOOKS, elapsed + HEARTBEAT)
                }
            };
        }
    }

    /// The next message, unless it is time to look at the holds first.
    async fn message_before(&mut self, look_at: Duration) -> Option<Message> {
        let before = self.options.clock.elapsed();
        let message = timeout(look_at.saturating_sub(before), self.messages.recv()).await;
        let elapsed = self.options.clock.elapsed();
        let late = elapsed.saturating_sub(look_at.max(before));
        if late > STOOD_STILL {
            self.publication.stood_still(elapsed);
            self.idle_clock.stood_still(late);
        }
        // Nobody is left who could send any when there is none.
        message.ok().map(|message| message.unwrap_or(Message::Stop))
    }

    fn handle(&mut self, message: Message) -> Result<(), LedgerError> {
        match message {
            Message::Account { new, reply } => {
                let done = self.account(new);
                Self::answer(reply, done)
            }
            Message::Observe { observation, reply } => {
                let done = self.observe(*observation);
                Self::answer(reply, done)
            }
            Message::Introduce { account, domains, reply } => {
                let done = self.introduce(&account, &domains);
                Self::answer(reply, done)
            }
            Message::Labels { names, reply } => {
                let labels = names.iter().map(|name| name.label(&self.key)).collect();
                Self::answer(reply, Ok(labels))
            }
            Message::Counting { account, reply } => {
                self.publication.hide(&account, self.options.clock.elapsed());
                Self::answer(reply, Ok(()))
            }
            Message::Publish { account, reply } => {
                let done = self.publish(account);
                Self::answer(reply, done)
            }
            Message::Forget { account, floor, records_until, reply } => {
                let done = self.forget(account, floor, records_until);
                Self::answer(reply, done)
            }
            Message::Change { change, reply } => {
                self.change(*change);
                Self::answer(reply, Ok(()))
            }
            Message::Scraped(scrape) => {
                self.publication.scraped(scrape, self.options.clock.elapsed());
                Ok(())
            }
            Message::Disconnected(connection) => {
                self.publication.disconnected(connection);
                Ok(())
            }
            Message::Stop => Ok(()),
        }
    }

    /// Passes the outcome on; only a ledger that has been set aside ends the keeper.
    fn answer<T>(reply: Reply<T>, done: Result<T, LedgerError>) -> Result<(), LedgerError> {
        let (answer, fatal) = match done {
            Ok(done) => (Ok(done), Ok(())),
            Err(error) => {
                let words = KeeperError::Ledger(chain(&error));
                (Err(words), if error.is_fatal() { Err(error) } else { Ok(()) })
            }
        };
        // Whoever asked may have gone, being stopped; the books are right all the same.
        drop(reply.send(answer));
        fatal
    }

    /// The books of an account; opens it as `new` says if there are none.
    ///
    /// # Errors
    /// When the ledger fails.
    pub fn account(&mut self, new: NewAccount) -> Result<AccountBooks, LedgerError> {
        self.settle_doubt()?;
        if let Some(account) = self.accounts.get(&new.name) {
            return Ok(account.clone());
        }
        let account = AccountBooks {
            first_start: new.first_start,
            counting_since: new.counting_since,
            floor: new.floor,
            published: false,
            scopes: BTreeMap::new(),
        };
        let name = new.name.clone();
        self.commit(&Posting { new_account: Some(new), ..Posting::default() })?;
        self.accounts.insert(name, account.clone());
        Ok(account)
    }

    /// Counts what a response showed.
    ///
    /// # Errors
    /// When the ledger fails; then nothing is known of the observation, list it again.
    pub fn observe(&mut self, mut observation: Observation) -> Result<Receipt, LedgerError> {
        self.settle_doubt()?;
        let unknown = || LedgerError::Contradiction(format!("account {:?} was never opened", observation.account));
        let account = self.accounts.get(&observation.account).ok_or_else(unknown)?;
        let sorted = Sorted::new(&mut observation, account.floor, &self.key);
        let keys = sorted.keys();
        let known = match self.ledger.groups(&keys) {
            Ok(known) => known,
            Err(error) => return Err(self.doubt(error)),
        };
        let bench = Bench {
            key: &self.key,
            classifier: &self.options.classifier,
            account,
            watermark: account.scopes.get(&observation.scope).and_then(|scope| scope.watermark),
            publication: &self.publication,
            client_ip: self.options.client_ip,
            at: self.idle_clock.at(self.options.clock.elapsed()),
        };
        let (mut posting, receipt) = bench.post(&observation, sorted, known);
        if planted(Bug::WatermarkOutsideTransaction) {
            let progress = posting.progress.take();
            self.commit(&Posting { progress, ..Posting::default() })?;
        }
        self.commit(&posting)?;
        Ok(receipt)
    }

    /// All series as they are counted, shown or not.
    #[must_use]
    pub fn publication(&self) -> &Publication {
        &self.publication
    }

    fn introduce(&mut self, account: &str, domains: &[Name]) -> Result<Vec<String>, LedgerError> {
        self.settle_doubt()?;
        let labels = domains.iter().map(|domain| domain.label(&self.key)).collect();
        let Some(books) = self.accounts.get(account) else { return Ok(labels) };
        let watermark = books.scopes.values().filter_map(|scope| scope.watermark).min();
        let created = watermark.unwrap_or(books.counting_since);
        let mut draft = self.publication.draft();
        for label in &labels {
            draft.introduce(account, label, created);
        }
        let mut posting = Posting::default();
        draft.write_into(&mut posting);
        self.commit(&posting)?;
        Ok(labels)
    }

    fn publish(&mut self, account: String) -> Result<(), LedgerError> {
        self.settle_doubt()?;
        if self.publication.is_published(&account) {
            return Ok(());
        }
        let release = Release { accounts: vec![account], ..Release::default() };
        self.commit(&Posting { release, ..Posting::default() })
    }

    fn forget(&mut self, account: String, floor: UnixSeconds, records_until: UnixSeconds) -> Result<(), LedgerError> {
        self.settle_doubt()?;
        let records_until = Some(records_until);
        self.commit(&Posting { floor: Some((account, floor)), records_until, ..Posting::default() })
    }

    fn release(&mut self) -> Result<(), LedgerError> {
        let elapsed = self.options.clock.elapsed();
        let release = self.publication.due(elapsed);
        if release.is_empty() {
            return Ok(());
        }
        let posting = Posting { at: self.idle_clock.at(elapsed), release, ..Posting::default() };
        let done = self.settle_doubt().and_then(|()| self.commit(&posting));
        match done {
            Err(error) if error.is_fatal() => Err(error),
            // Held a little longer, the next look tries again. Polls cannot write either then, and tell of it.
            _ => Ok(()),
        }
    }

    /// Takes what is idle off the page.
    fn rest(&mut self, elapsed: Duration) {
        if elapsed >= self.next_rest {
            self.next_rest = elapsed + BETWEEN_RESTS;
            if self.publication.rest(self.idle_clock.at(elapsed)) {
                self.snapshot.store(Arc::new(self.publication.snapshot()));
            }
        }
    }

    fn commit(&mut self, posting: &Posting) -> Result<(), LedgerError> {
        if posting.is_empty() {
            return Ok(());
        }
        let before = self.options.clock.elapsed();
        if planted(Bug::PublishBeforeCommit) {
            self.publication.apply(posting, before);
            self.snapshot.store(Arc::new(self.publication.snapshot()));
        }
        if let Err(error) = self.write(posting) {
            return Err(self.doubt(error));
        }
        let after = self.options.clock.elapsed();
        (self.options.observer)(Ok(after.saturating_sub(before)));
        self.apply_to_accounts(posting);
        if !planted(Bug::PublishBeforeCommit) {
            self.publication.apply(posting, after);
        }
        self.snapshot.store(Arc::new(self.publication.snapshot()));
        Ok(())
    }

    fn write(&mut self, posting: &Posting) -> Result<(), LedgerError> {
        if planted(Bug::ReleaseNotWrittenAhead) && !posting.release.series.is_empty() {
            return Ok(());
        }
        let written = self.ledger.commit(posting);
        if written.is_err() && planted(Bug::AddAgainAfterCommitError) {
            self.ledger.reopen()?;
            return self.ledger.commit(posting);
        }
        written
    }

    fn apply_to_accounts(&mut self, posting: &Posting) {
        if let Some(done) = &posting.progress
            && let Some(account) = self.accounts.get_mut(&done.account)
        {
            let scope = account.scopes.entry(done.scope.clone()).or_default();
            scope.watermark = scope.watermark.max(done.progress.reached);
            scope.slices.extend(done.progress.remember.iter().copied());
            scope.slices.retain(|id, _| !done.progress.forget.contains(id));
        }
        if let Some((name, floor)) = &posting.floor
            && let Some(account) = self.accounts.get_mut(name)
        {
            account.floor = account.floor.max(*floor);
            for scope in account.scopes.values_mut() {
                scope.slices.retain(|id, _| id.window().end >= *floor);
            }
        }
        for name in &posting.release.accounts {
            if let Some(account) = self.accounts.get_mut(name) {
                account.published = true;
            }
        }
    }

    /// Reports a failure and tries to read the books again at once.
    fn doubt(&mut self, error: LedgerError) -> LedgerError {
        (self.options.observer)(Err(&error));
        self.in_doubt = true;
        match self.settle_doubt() {
            Err(fatal) if fatal.is_fatal() => fatal,
            // Still in doubt: every message tries again, and this one is answered with what began it.
            _ => error,
        }
    }

    /// What was written last may or may not be in the books: opens and reads them anew.
    fn settle_doubt(&mut self) -> Result<(), LedgerError> {
        if !self.in_doubt {
            return Ok(());
        }
        self.ledger.reopen()?;
        let books: Books = self.ledger.read()?;
        if books.key != self.key {
            // Under another key no session would be known again: everything would count twice.
            return Err(LedgerError::Replaced);
        }
        self.accounts.clone_from(&books.accounts);
        self.publication.reload(books, self.options.clock.elapsed());
        let elapsed = self.options.clock.elapsed();
        self.publication.rest(self.idle_clock.at(elapsed));
        self.snapshot.store(Arc::new(self.publication.snapshot()));
        self.in_doubt = false;
        Ok(())
    }
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}
