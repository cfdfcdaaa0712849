//! The ledger on paper: a few lines that do what SQLite is asked to do, and fail when they are told to.
//!
//! What is on the disk outlives the process. Some runs keep the real ledger beside it and compare both at each start.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use tencent_live_exporter::clock::UnixSeconds;
use tencent_live_exporter::ledger::{
    AccountBooks, Books, DomainAdd, DomainBooks, DomainTotals, Ledger, LedgerError, Posting, SeriesBooks, SqliteLedger,
    StreamLabels,
};
use tencent_live_exporter::listing::{CORRECTION_SECONDS, Group};
use tencent_live_exporter::reason::Class;
use tencent_live_exporter::session::{GroupKey, IdentityKey};

use super::world::World;

/// What goes wrong when a posting is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Trouble {
    /// It is not written.
    Refused,
    /// It is written, and an error comes back.
    Unheard,
}

/// How reliable the disk is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DiskHabits {
    /// Share of commits that fail, half of them after they took effect.
    pub(super) commits_fail: f64,
    /// Share of openings that fail.
    pub(super) openings_fail: f64,
}

/// The state folder.
pub(super) struct Disk {
    pub(super) key: IdentityKey,
    pub(super) accounts: BTreeMap<String, AccountBooks>,
    pub(super) series: Vec<SeriesBooks>,
    pub(super) domains: Vec<DomainBooks>,
    groups: BTreeMap<GroupKey, (String, Group)>,
    places: HashMap<StreamLabels, usize>,
    /// When each series was first written and when it was released, by the platform's time.
    pub(super) series_times: Vec<(UnixSeconds, Option<UnixSeconds>)>,
    /// The same of each domain.
    pub(super) domain_times: Vec<(UnixSeconds, Option<UnixSeconds>)>,
    pub(super) habits: DiskHabits,
    pub(super) full: bool,
    dice: fastrand::Rng,
}

impl Disk {
    pub(super) fn new(key: IdentityKey, habits: DiskHabits, dice: fastrand::Rng) -> Self {
        Self {
            key,
            accounts: BTreeMap::new(),
            series: Vec::new(),
            domains: Vec::new(),
            groups: BTreeMap::new(),
            places: HashMap::new(),
            series_times: Vec::new(),
            domain_times: Vec::new(),
            habits,
            full: false,
            dice,
        }
    }

    /// The durable total of a series.
    pub(super) fn total(&self, labels: &StreamLabels) -> u64 {
        self.places.get(labels).map_or(0, |place| self.series[*place].total)
    }

    fn books(&self) -> Books {
        Books {
            key: self.key.clone(),
            accounts: self.accounts.clone(),
            series: self.series.clone(),
            domains: self.domains.clone(),
        }
    }

    fn apply(&mut self, posting: &Posting, now: UnixSeconds) {
        if let Some(new) = &posting.new_account {
            let books = AccountBooks {
                first_start: new.first_start,
                counting_since: new.counting_since,
                floor: new.floor,
                published: false,
                scopes: BTreeMap::new(),
            };
            self.accounts.insert(new.name.clone(), books);
        }
        for (key, account, group) in &posting.groups {
            self.groups.insert(*key, (account.clone(), group.clone()));
        }
        for add in &posting.series {
            if let Some(new) = &add.new {
                self.places.insert(new.labels.clone(), self.series.len());
                self.series.push(SeriesBooks::new(new, posting.at));
                self.series_times.push((now, None));
            }
            let series = &mut self.series[add.id as usize];
            if add.returns {
                (series.held, series.returned_at) = (true, Some(series.total));
                self.series_times[add.id as usize].1 = None;
            }
            series.total += add.total;
            series.baseline += add.baseline;
            series.active_at = posting.at;
        }
        for add in &posting.domains {
            self.add_to_domain(add, now);
        }
        for id in &posting.release.series {
            let series = &mut self.series[*id as usize];
            (series.held, series.returned_at, series.active_at) = (false, None, posting.at);
            self.series_times[*id as usize].1 = Some(now);
        }
        for id in &posting.release.domains {
            self.domains[*id as usize].held = false;
            self.domain_times[*id as usize].1 = Some(now);
        }
        for name in &posting.release.accounts {
            self.accounts.get_mut(name).expect("it has been opened").published = true;
        }
        if let Some(done) = &posting.progress {
            let account = self.accounts.get_mut(&done.account).expect("it has been opened");
            let scope = account.scopes.entry(done.scope.clone()).or_default();
            scope.watermark = scope.watermark.max(done.progress.reached);
            scope.slices.extend(done.progress.remember.iter().copied());
            for id in &done.progress.forget {
                scope.slices.remove(id);
            }
        }
        if let Some((name, floor)) = &posting.floor {
            let account = self.accounts.get_mut(name).expect("it has been opened");
            account.floor = account.floor.max(*floor);
            for scope in account.scopes.values_mut() {
                scope.slices.retain(|id, _| id.window().end >= *floor);
            }
            let remembered = |group: &Group| group.last_end().is_none_or(|end| end >= *floor - CORRECTION_SECONDS);
            self.groups.retain(|_, (of, group)| of != name || remembered(group));
        }
    }

    fn add_to_domain(&mut self, add: &DomainAdd, now: UnixSeconds) {
        if let Some(new) = &add.new {
            self.domain_times.push((now, None));
            self.domains.push(DomainBooks {
                name: Arc::clone(&new.name),
                account: new.account.clone(),
                created: new.created,
                held: true,
                total: DomainTotals::default(),
                baseline: DomainTotals::default(),
                last_end: [None; Class::ALL.len()],
            });
        }
        let domain = &mut self.domains[add.id as usize];
        for (totals, disconnects) in
            [(&mut domain.total, &add.disconnects), (&mut domain.baseline, &add.baseline_disconnects)]
        {
            for (reason, count) in disconnects {
                totals.disconnects[*reason as usize] += count;
            }
        }
        for (totals, excluded) in [(&mut domain.total, &add.excluded), (&mut domain.baseline, &add.baseline_excluded)] {
            for (reason, count) in excluded {
                totals.excluded[*reason as usize] += count;
            }
        }
        for (class, class_add) in &add.classes {
            let class = *class as usize;
            domain.total.durations[class].add(&class_add.durations);
            domain.last_end[class] = domain.last_end[class].max(Some(class_add.last_end));
        }
        for (class, durations) in &add.baseline_classes {
            domain.baseline.durations[*class as usize].add(durations);
        }
    }
}

/// One process's hold on the disk.
pub(super) struct PaperLedger {
    pub(super) disk: Arc<Mutex<Disk>>,
    pub(super) world: Arc<World>,
    /// The real thing beside it.
    pub(super) sqlite: Option<SqliteLedger>,
}

fn failure(doing: &'static str) -> LedgerError {
    let source = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR), None);
    LedgerError::Sqlite { doing, source }
}

impl PaperLedger {
    fn trouble(&self) -> Option<Trouble> {
        let mut disk = self.disk.lock().unwrap();
        if disk.full {
            return Some(Trouble::Refused);
        }
        let fails = disk.dice.f64() < disk.habits.commits_fail;
        fails.then(|| if disk.dice.bool() { Trouble::Refused } else { Trouble::Unheard })
    }

    fn opening_fails(&self) -> bool {
        let mut disk = self.disk.lock().unwrap();
        let share = disk.habits.openings_fail;
        self.world.is_dead() || disk.dice.f64() < share
    }

    fn write(&mut self, posting: &Posting) -> Result<(), LedgerError> {
        let mut disk = self.disk.lock().unwrap();
        let added: u64 = posting.series.iter().map(|add| add.total).sum();
        let by_class: u64 = posting.domains.iter().flat_map(|add| add.disconnects.values()).sum();
        let durations: u64 =
            posting.domains.iter().flat_map(|add| add.classes.values()).map(|add| add.durations.count()).sum();
        let records = posting.records.iter().filter(|record| record.counted).count() as u64;
        let excluded: u64 = posting.domains.iter().flat_map(|add| add.excluded.values()).sum();
        self.world.promise(added + excluded == by_class && by_class == durations && durations == records, || {
            format!("a posting adds {added} by stream, {excluded} excluded, {by_class} by class, {durations} durations, {records} records")
        });
        disk.apply(posting, self.world.time.true_now());
        self.world.count(|tally| tally.commits += 1);
        let watermark = posting.progress.as_ref().and_then(|done| done.progress.reached);
        let progress = posting.progress.as_ref();
        let slices = progress.map(|done| (done.progress.remember.len(), done.progress.forget.len()));
        self.world.trace("commit", (added, posting.groups.len(), watermark, slices, &posting.release.series));
        drop(disk);
        self.sqlite.as_mut().map_or(Ok(()), |sqlite| sqlite.commit(posting))
    }
}

impl Ledger for PaperLedger {
    fn read(&mut self) -> Result<Books, LedgerError> {
        if self.opening_fails() {
            return Err(failure("reading"));
        }
        let books = self.disk.lock().unwrap().books();
        if let Some(sqlite) = &mut self.sqlite {
            let real = sqlite.read()?;
            let same =
                (&real.accounts, &real.series, &real.domains) == (&books.accounts, &books.series, &books.domains);
            self.world.promise(same, || format!("SQLite has {real:?}\nand should have {books:?}"));
        }
        Ok(books)
    }

    fn groups(&mut self, keys: &[GroupKey]) -> Result<BTreeMap<GroupKey, Group>, LedgerError> {
        if self.world.is_dead() {
            return Err(failure("reading"));
        }
        let disk = self.disk.lock().unwrap();
        let known = |key: &GroupKey| disk.groups.get(key).map(|(_, group)| (*key, group.clone()));
        let found: BTreeMap<GroupKey, Group> = keys.iter().filter_map(known).collect();
        if let Some(sqlite) = &mut self.sqlite {
            let real = sqlite.groups(keys)?;
            self.world.promise(real == found, || format!("SQLite has groups {real:?}\nand should have {found:?}"));
        }
        Ok(found)
    }

    fn commit(&mut self, posting: &Posting) -> Result<(), LedgerError> {
        if self.world.dies_here() {
            return Err(failure("writing"));
        }
        let trouble = self.trouble();
        if let Some(trouble) = trouble {
            self.world.count(|tally| tally.faults += 1);
            self.world.trace("commit fails", trouble);
        }
        if trouble != Some(Trouble::Refused) {
            self.write(posting)?;
        }
        if self.world.dies_here() || trouble.is_some() {
            return Err(failure("writing"));
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), LedgerError> {
        if self.opening_fails() {
            return Err(failure("opening"));
        }
        self.sqlite.as_mut().map_or(Ok(()), Ledger::reopen)
    }
}
