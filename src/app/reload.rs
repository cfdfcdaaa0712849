//! New settings for an exporter that runs: all of them are taken up, or none.
//!
//! Whatever can fail is done first: the settings are read, held against what needs a restart, and the clients of new and
//! changed accounts are made. Only then do the loops of those that go or change end, each with the commit in hand
//! and what there is to tell of it, and all the rest follows, none of which can fail. The ledger stays open and has one
//! writer throughout, so an account that changes goes on from its books, as after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{AppError, House, STUCK_INTERVALS, client, client_ip, pace, terms};
use crate::live::Client;
use crate::metrics::exposition::Exposition;
use crate::poller::{AccountLoop, KeeperChange};
use crate::reason::Classifier;
use crate::settings::{Account, Problems, Settings};
use crate::web::{Guard, ReloadWish, Serving};

/// Wishes that may wait for their turn; a signal that finds so many waiting needs no more of them.
const WISHES: usize = 16;

/// Reads the settings anew.
type Load = Arc<dyn Fn() -> Result<Settings, Problems> + Send + Sync>;

/// Where new settings come from, and the way to ask for them.
pub struct Reloads {
    load: Option<Load>,
    ask: mpsc::Sender<ReloadWish>,
    wishes: mpsc::Receiver<ReloadWish>,
}

impl Reloads {
    /// Settings as `load` reads them, which may block.
    #[must_use]
    pub fn new(load: impl Fn() -> Result<Settings, Problems> + Send + Sync + 'static) -> Self {
        Self { load: Some(Arc::new(load)), ..Self::never() }
    }

    /// No new settings.
    pub(super) fn never() -> Self {
        let (ask, wishes) = mpsc::channel(WISHES);
        Self { load: None, ask, wishes }
    }

    /// What asks for new settings each time it is called, and waits for nothing.
    pub fn on_hangup(&self) -> impl Fn() + use<> {
        let ask = self.ask.clone();
        move || {
            // The log tells what came of it. One that finds no room comes before those that wait are heard.
            let _ = ask.try_send(oneshot::channel().0);
        }
    }
}

/// An exporter that runs.
pub(super) struct Running {
    house: House,
    settings: Settings,
    serving: Arc<Serving>,
    /// Stays: the files of the web config are looked at by themselves.
    guard: Arc<Guard>,
    wishes: Option<mpsc::Sender<ReloadWish>>,
    /// Each ends with its account's name.
    loops: JoinSet<String>,
    /// What ends them, by name.
    stops: BTreeMap<String, watch::Sender<bool>>,
}

impl Running {
    /// Starts `loops`.
    pub(super) fn new(
        house: House,
        settings: Settings,
        guard: Arc<Guard>,
        reloads: &Reloads,
        loops: Vec<(String, AccountLoop<Client>)>,
    ) -> Self {
        let wishes = reloads.load.is_some().then(|| reloads.ask.clone());
        let serving = Arc::new(Serving::new(house.site(&settings, &guard, wishes.clone())));
        let (none, stops) = (JoinSet::new(), BTreeMap::new());
        let mut running = Self { house, settings, serving, guard, wishes, loops: none, stops };
        for (name, account) in loops {
            running.start(name, account);
        }
        running
    }

    /// What is served.
    pub(super) fn serving(&self) -> Arc<Serving> {
        Arc::clone(&self.serving)
    }

    fn start(&mut self, name: String, account: AccountLoop<Client>) {
        let (stop, stopped) = watch::channel(false);
        self.stops.insert(name.clone(), stop);
        self.loops.spawn(async move {
            account.run(stopped).await;
            name
        });
    }

    /// Takes up new settings as often as asked for, one after the other, until a loop ends by itself.
    pub(super) async fn turn(&mut self, mut reloads: Reloads) -> AppError {
        let broken = || AppError::Broken("a poll loop has ended by itself".into());
        loop {
            let wish = tokio::select! {
                // None at all means that this waits for wishes alone; there is always at least one account.
                Some(_) = self.loops.join_next() => return broken(),
                Some(wish) = reloads.wishes.recv() => wish,
            };
            let Some(load) = reloads.load.clone() else { continue };
            match self.reload(load).await {
                // Whoever asked may have gone.
                Ok(outcome) => drop(wish.send(outcome)),
                Err(_) => return broken(),
            }
        }
    }

    /// Reads the settings and takes them up, or says why not; the outer error is a loop that has ended by itself.
    async fn reload(&mut self, load: Load) -> Result<Result<(), String>, Broken> {
        let loaded = tokio::task::spawn_blocking(move || load()).await;
        let loaded = loaded.map_err(|error| AppError::Broken(format!("the settings could not be read: {error}")));
        let prepared = loaded.and_then(|loaded| self.prepare(loaded?));
        let now = self.house.clock.now();
        self.house.metrics.config_reload(prepared.is_ok(), now);
        match prepared {
            Ok(new) => {
                let accounts = new.settings.account_names().join(",");
                let changed =
                    new.clients.iter().map(|(account, _)| account.name.as_str()).collect::<Vec<_>>().join(",");
                self.take_up(new).await?;
                info!(accounts, changed, "settings reloaded");
                Ok(Ok(()))
            }
            Err(error) => {
                let words = in_words(&error);
                error!(error = words.replace('\n', "; "), "settings not reloaded, the old ones stay");
                Ok(Err(words))
            }
        }
    }

    /// Does everything that can fail.
    fn prepare(&self, settings: Settings) -> Result<Prepared, AppError> {
        let fixed = fixed(&self.settings, &settings);
        if !fixed.is_empty() {
            return Err(AppError::NeedsRestart(fixed.join(", ")));
        }
        let clients = settings.accounts.iter().filter(|account| self.is_new(account, &settings)).map(|account| {
            let client = client(account, &settings, &self.house.clock, &self.house.metrics)?;
            Ok((account.clone(), client))
        });
        let clients = clients.collect::<Result<_, AppError>>()?;
        Ok(Prepared { settings, clients })
    }

    /// Whether the loop that an account has, if it has one, is not the one it needs.
    fn is_new(&self, account: &Account, settings: &Settings) -> bool {
        let rate = |settings: &Settings| settings.poll.max_requests_per_second.to_bits();
        let same_pace = pace(&self.settings) == pace(settings) && rate(&self.settings) == rate(settings);
        !(same_pace && self.settings.accounts.contains(account))
    }

    async fn take_up(&mut self, new: Prepared) -> Result<(), Broken> {
        let Prepared { settings, clients } = new;
        let names = settings.account_names();
        let goes = |name: &String| !names.contains(name) || clients.iter().any(|(account, _)| account.name == *name);
        let going: Vec<String> = self.stops.keys().filter(|name| goes(name)).cloned().collect();
        self.end(going).await?;
        let change = KeeperChange {
            classifier: Classifier::new(&settings.reasons),
            terms: terms(&settings, settings.series.hold_max),
            client_ip: client_ip(&settings),
            accounts: names.clone(),
        };
        if self.house.keeper.change(change).await.is_err() {
            // A keeper that has stopped ends the exporter, and says why itself.
            std::future::pending::<()>().await;
        }
        let House { metrics, board, clock, records, .. } = &self.house;
        records.classify_by(Classifier::new(&settings.reasons));
        board.change(names.clone(), settings.poll.interval * STUCK_INTERVALS, clock.elapsed());
        metrics.change(&names, settings.poll.interval, settings.series.limit);
        if settings.web.created_lines != self.settings.web.created_lines {
            let (snapshots, metrics) = (self.house.keeper.snapshot(), Arc::clone(metrics));
            self.house.exposition = Arc::new(Exposition::new(snapshots, metrics, settings.web.created_lines));
        }
        for (account, client) in clients {
            let turning = self.house.account_loop(&account, client, &settings);
            self.start(account.name, turning);
        }
        self.serving.change(self.house.site(&settings, &self.guard, self.wishes.clone()));
        self.settings = settings;
        Ok(())
    }

    /// Ends some loops, each once what it has given to the keeper is written and told of.
    async fn end(&mut self, mut going: Vec<String>) -> Result<(), Broken> {
        for name in &going {
            if let Some(stop) = self.stops.remove(name) {
                stop.send_replace(true);
            }
        }
        while !going.is_empty() {
            let Some(Ok(name)) = self.loops.join_next().await else { return Err(Broken) };
            let Some(place) = going.iter().position(|one| *one == name) else { return Err(Broken) };
            going.swap_remove(place);
        }
        Ok(())
    }

    /// Ends all loops, those that have not ended by the deadline without what they still had to tell.
    pub(super) async fn stop(mut self, deadline: Instant) {
        self.stops.values().for_each(|stop| _ = stop.send_replace(true));
        let all_ended = async { while self.loops.join_next().await.is_some() {} };
        if tokio::time::timeout_at(deadline, all_ended).await.is_err() {
            warn!("the disk is slow, what was being written was not waited for");
            self.loops.shutdown().await;
        }
    }
}

/// A loop has ended by itself.
struct Broken;

/// New settings, and all that could have failed about them.
struct Prepared {
    settings: Settings,
    /// The accounts that need another loop than they have, with their clients.
    clients: Vec<(Account, Client)>,
}

/// An error with its causes; that of settings has a line for each problem.
fn in_words(error: &AppError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

/// The keys that differ and need a restart.
fn fixed(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let differs = [
        ("state.path", old.state.path != new.state.path),
        ("web.listen_addresses", old.web.listen_addresses != new.web.listen_addresses),
        // What the file says is taken up by itself; another file may open what was closed.
        ("web.config_file", old.web.config_file != new.web.config_file),
        ("log.level", old.log.level != new.log.level),
        ("log.format", old.log.format != new.log.format),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}
