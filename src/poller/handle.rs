//! The way to the keeper: a message for each thing it does, and a handle that sends them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::keeper::KeeperChange;
use super::observation::{Observation, Receipt};
use crate::clock::UnixSeconds;
use crate::ledger::{AccountBooks, NewAccount};
use crate::publication::{Scrape, Snapshot};
use crate::session::Name;

/// A message to the keeper, each with the way back for its answer.
pub(super) enum Message {
    Account { new: NewAccount, reply: Reply<AccountBooks> },
    Observe { observation: Box<Observation>, reply: Reply<Receipt> },
    Introduce { account: String, domains: Vec<Name>, reply: Reply<Vec<String>> },
    Labels { names: Vec<Name>, reply: Reply<Vec<String>> },
    Counting { account: String, reply: Reply<()> },
    Publish { account: String, reply: Reply<()> },
    Forget { account: String, floor: UnixSeconds, records_until: UnixSeconds, reply: Reply<()> },
    Change { change: Box<KeeperChange>, reply: Reply<()> },
    Scraped(Scrape),
    Disconnected(u64),
    Stop,
}

/// The way back for an answer.
pub(super) type Reply<T> = oneshot::Sender<Result<T, KeeperError>>;

/// Why the keeper could not do as asked. What was asked for may have been written all the same; ask again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeeperError {
    /// The ledger failed; in words, since the same error answers several.
    #[error("{0}")]
    Ledger(String),
    /// The keeper has stopped.
    #[error("the ledger is closed")]
    Stopped,
}

/// The way to the keeper.
#[derive(Debug, Clone)]
pub struct KeeperHandle {
    messages: UnboundedSender<Message>,
    snapshot: Arc<ArcSwap<Snapshot>>,
}

impl KeeperHandle {
    pub(super) fn new(messages: UnboundedSender<Message>, snapshot: Arc<ArcSwap<Snapshot>>) -> Self {
        Self { messages, snapshot }
    }

    /// Where the newest snapshot is.
    #[must_use]
    pub fn snapshot(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.snapshot)
    }

    /// The books of an account; opens it as `new` says if there are none.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn account(&self, new: NewAccount) -> Result<AccountBooks, KeeperError> {
        self.ask(|reply| Message::Account { new, reply }).await
    }

    /// Counts what a response showed.
    ///
    /// # Errors
    /// When the ledger fails; then nothing is known of the observation, list it again.
    pub async fn observe(&self, observation: Observation) -> Result<Receipt, KeeperError> {
        let observation = Box::new(observation);
        self.ask(|reply| Message::Observe { observation, reply }).await
    }

    /// Makes domains known, so that their counters start at 0, and tells their labels.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn introduce(&self, account: String, domains: Vec<Name>) -> Result<Vec<String>, KeeperError> {
        self.ask(|reply| Message::Introduce { account, domains, reply }).await
    }

    /// What names are called on the page.
    ///
    /// # Errors
    /// When the keeper has stopped.
    pub async fn labels(&self, names: Vec<Name>) -> Result<Vec<String>, KeeperError> {
        self.ask(|reply| Message::Labels { names, reply }).await
    }

    /// Says that an account has been listed for the first time: from now on it is hidden for `hold_max` at most.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn counting(&self, account: String) -> Result<(), KeeperError> {
        self.ask(|reply| Message::Counting { account, reply }).await
    }

    /// Lets the series of an account be shown.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn publish(&self, account: String) -> Result<(), KeeperError> {
        self.ask(|reply| Message::Publish { account, reply }).await
    }

    /// Raises an account's floor and drops what is below it, and records that ended before `records_until`.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn forget(
        &self,
        account: String,
        floor: UnixSeconds,
        records_until: UnixSeconds,
    ) -> Result<(), KeeperError> {
        self.ask(|reply| Message::Forget { account, floor, records_until, reply }).await
    }

    /// Has the keeper go on in another way, with what is asked of it later.
    ///
    /// # Errors
    /// When the keeper has stopped.
    pub async fn change(&self, change: KeeperChange) -> Result<(), KeeperError> {
        let change = Box::new(change);
        self.ask(|reply| Message::Change { change, reply }).await
    }

    /// Says that a scraper has read a snapshot to its end.
    pub fn scraped(&self, scrape: Scrape) {
        // A keeper that has stopped releases nothing more.
        let _ = self.messages.send(Message::Scraped(scrape));
    }

    /// Says that a connection has ended.
    pub fn disconnected(&self, connection: u64) {
        // A keeper that has stopped releases nothing more.
        let _ = self.messages.send(Message::Disconnected(connection));
    }

    /// Asks the keeper to finish the commit in hand and stop.
    pub fn stop(&self) {
        // One that has stopped already is just what is wanted.
        let _ = self.messages.send(Message::Stop);
    }

    async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, KeeperError> {
        let (reply, answer) = oneshot::channel();
        self.messages.send(message(reply)).map_err(|_| KeeperError::Stopped)?;
        answer.await.map_err(|_| KeeperError::Stopped)?
    }
}
