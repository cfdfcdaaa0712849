//! A fixed run of postings: the same for the same seed, whoever asks.

use std::collections::BTreeMap;
use std::time::Duration;

use tencent_live_exporter::ledger::{AccountBooks, Books, NewAccount, Posting, Release};
use tencent_live_exporter::listing::{Filter, Group, Progress, SliceCount, SliceId, Whole, Window};
use tencent_live_exporter::poller::{Bench, ClientIp, Observation, Sorted};
use tencent_live_exporter::publication::{Publication, Terms};
use tencent_live_exporter::reason::{Classifier, TABLE};
use tencent_live_exporter::session::{GroupKey, IdentityKey, PushSession};

pub(super) const START: i64 = 1_700_000_000;

/// Postings of a seed.
pub(super) const POSTINGS: usize = 48;

/// Whether the postings of a seed take the ledger's log past its checkpoint without a stop. It takes as much time again.
pub(super) const fn is_busy(seed: u64) -> bool {
    seed.is_multiple_of(4)
}

/// Not the ledger's own, which is another each time; a ledger takes the keys of groups as they come.
const KEY: IdentityKey = IdentityKey::new([7; 16]);

/// Makes the postings of one seed, as an account's poll, sweep and housekeeping do.
pub(super) struct Script {
    dice: fastrand::Rng,
    /// Whether there is enough to take the ledger's log past its checkpoint without a stop.
    busy: bool,
    publication: Publication,
    accounts: BTreeMap<String, AccountBooks>,
    /// All groups by their account.
    groups: BTreeMap<GroupKey, (String, Group)>,
    /// What was listed last; some of it is listed again.
    listed: Vec<PushSession>,
    /// Sessions whose groups are forgotten.
    forgotten: usize,
    made: usize,
    now: i64,
}

impl Script {
    pub(super) fn new(seed: u64) -> Self {
        let books = Books { key: KEY, accounts: BTreeMap::new(), series: Vec::new(), domains: Vec::new() };
        let terms = Terms { series_limit: 100_000, hold_max: Duration::ZERO, ..Terms::default() };
        Self {
            dice: fastrand::Rng::with_seed(seed),
            busy: is_busy(seed),
            publication: Publication::new(books, terms, Duration::ZERO),
            accounts: BTreeMap::new(),
            groups: BTreeMap::new(),
            listed: Vec::new(),
            forgotten: 0,
            made: 0,
            now: START,
        }
    }

    /// The groups as they are after the postings so far.
    pub(super) fn groups(&self) -> BTreeMap<GroupKey, Group> {
        self.groups.iter().map(|(key, (_, group))| (*key, group.clone())).collect()
    }

    /// Sessions that the postings so far have shown, each once.
    pub(super) fn sessions(&self) -> usize {
        self.forgotten + self.groups.values().map(|(_, group)| group.accounted().len()).sum::<usize>()
    }

    fn account(&mut self, name: &str) -> Posting {
        let new = new_account(name);
        let NewAccount { first_start, counting_since, floor, .. } = new;
        let scopes = BTreeMap::new();
        let books = AccountBooks { first_start, counting_since, floor, published: false, scopes };
        self.accounts.insert(name.into(), books);
        Posting { new_account: Some(new), ..Posting::default() }
    }

    /// One response: new sessions, some that were listed before, now and then one of them corrected.
    fn observation(&mut self, account: &str) -> Posting {
        self.now += 30;
        let many = if self.busy && self.made % 3 == 2 { 250..400 } else { 1..30 };
        let mut sessions: Vec<PushSession> = (0..self.dice.u32(many)).map(|_| self.session()).collect();
        let again = self.dice.usize(..=self.listed.len().min(5));
        sessions.extend(self.dice.choose_multiple(self.listed.iter().cloned(), again));
        // Twice in one response are two.
        sessions.extend(sessions.first().cloned());
        let revised = sessions.last().cloned().filter(|_| self.dice.bool());
        let whole = revised.map(|mut session| {
            session.end += 1;
            let group = session.group();
            sessions.retain(|other| !other.is_of(&group));
            sessions.push(session);
            let ever = Window { start: i64::MIN, end: i64::MAX };
            Whole { group, ends: vec![ever], at_once: true }
        });
        self.listed.clone_from(&sessions);
        let slice = SliceId { level: 6, index: self.now >> 6 };
        let count = SliceCount { total: sessions.len() as u64, restless: self.dice.bool() };
        let mut observation = Observation {
            account: account.into(),
            scope: Filter::default(),
            sessions,
            confirming: true,
            whole,
            progress: Progress { reached: Some(self.now), remember: vec![(slice, count)], forget: Vec::new() },
            seen: self.now,
        };
        let books = &self.accounts[account];
        let sorted = Sorted::new(&mut observation, books.floor, &KEY);
        let known = sorted.keys().into_iter().filter_map(|key| Some((key, self.groups.get(&key)?.1.clone())));
        let bench = Bench {
            key: &KEY,
            classifier: &Classifier::new(&[]),
            account: books,
            watermark: Some(self.now - 30),
            publication: &self.publication,
            client_ip: ClientIp::Masked,
            at: self.now,
        };
        bench.post(&observation, sorted, known.collect()).0
    }

    fn session(&mut self) -> PushSession {
        let end = self.now - self.dice.i64(0..60);
        let reason = self.dice.choice(&TABLE).expect("there are reasons");
        PushSession {
            domain: ["one.example.com", "two.example.com", "three.example.com"][self.dice.usize(..3)].into(),
            app: "live".into(),
            stream: format!("room_{}", self.dice.u32(..400)).as_str().into(),
            start: end - self.dice.i64(0..7200),
            end,
            reason_text: reason.zh.first().copied().unwrap_or("…").into(),
            client_ip: "203.0.113.7".into(),
            duration: None,
            resolution: "1920*1080".into(),
        }
    }

    fn forget(&mut self, account: &str) -> Posting {
        let floor = self.now - 400;
        self.accounts.get_mut(account).expect("it is open").floor = floor;
        let below = |_: &GroupKey, (of, group): &mut (String, Group)| of == account && group.last_end() < Some(floor);
        let gone = self.groups.extract_if(.., below);
        self.forgotten += gone.map(|(_, (_, group))| group.accounted().len()).sum::<usize>();
        Posting { floor: Some((account.into(), floor)), records_until: Some(floor - 100), ..Posting::default() }
    }
}

impl Iterator for Script {
    type Item = Posting;

    fn next(&mut self) -> Option<Posting> {
        let account = if self.made % 5 == 4 { "other" } else { "main" };
        let posting = match self.made {
            POSTINGS.. => return None,
            0 => self.account("main"),
            1 => self.account("other"),
            made if made % 16 == 15 => self.forget(account),
            made if made % 8 == 6 => {
                let release = self.publication.due(Duration::from_secs(self.made as u64));
                Posting { release, ..Posting::default() }
            }
            3 => Posting {
                release: Release { accounts: self.accounts.keys().cloned().collect(), ..Release::default() },
                ..Posting::default()
            },
            _ => self.observation(account),
        };
        for (key, of, group) in &posting.groups {
            self.groups.insert(*key, (of.clone(), group.clone()));
        }
        self.publication.apply(&posting, Duration::from_secs(self.made as u64));
        self.made += 1;
        Some(posting)
    }
}

pub(super) fn new_account(name: &str) -> NewAccount {
    NewAccount { name: name.into(), first_start: START, counting_since: START - 3600, floor: START - 86_400 }
}
