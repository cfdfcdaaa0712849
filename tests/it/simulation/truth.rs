//! What had to be counted, and what was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tencent_live_exporter::clock::{Clock as _, UnixSeconds};
use tencent_live_exporter::ledger::{AccountBooks, SeriesBooks, StreamLabels};
use tencent_live_exporter::listing::Filter;
use tencent_live_exporter::reason::{Classifier, Reason, TABLE};
use tencent_live_exporter::session::{IdentityKey, Name, PushSession};

use super::cloud::{Cloud, Event, Listed, WindowOf};
use super::disk::Disk;
use super::plan::Plan;
use super::prometheus::{Observer, Samples};
use super::world::World;

/// Seconds by which an event must be clear of a border to be sure on which side of it it is.
const CLEAR: i64 = 200;

/// What must have been counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// Nothing must, but whatever was counted must have been shown.
    Nothing,
    /// What the first poll after it was listed must see.
    OnePoll,
    /// What polls, sweeps and audits must come to at rest.
    AllPasses,
}

/// The least and the most that may be counted of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Range {
    least: u64,
    most: u64,
}

/// The series of every version of every event.
pub(super) struct Labels(Vec<Vec<StreamLabels>>);

impl Labels {
    pub(super) fn new(plan: &Plan, key: &IdentityKey, classifier: &Classifier) -> Self {
        let labels = |session: &PushSession| {
            let label = |name: &Name| Arc::<str>::from(name.label(key));
            let [domain, app, stream] = [&session.domain, &session.app, &session.stream].map(label);
            let reason = classifier.classify(&session.reason_text);
            let Some(stream) = plan.terms.labels.stream(&domain, &app, &stream, key) else {
                return excluded(domain, reason);
            };
            let stream = stream.as_ref().into();
            folded(plan, StreamLabels { domain, app, stream, reason })
        };
        Self(plan.events.iter().map(|event| event.versions().map(labels).collect()).collect())
    }
}

/// What stands for disconnects without a series.
fn excluded(domain: Arc<str>, reason: Reason) -> StreamLabels {
    StreamLabels { domain, app: "excluded".into(), stream: "excluded".into(), reason }
}

/// Where streams fold together, only their sums can be compared.
fn folded(plan: &Plan, labels: StreamLabels) -> StreamLabels {
    if plan.terms.series_limit > 1_000 {
        return labels;
    }
    StreamLabels { app: "any".into(), stream: "any".into(), ..labels }
}

/// The judge at the end of a run.
pub(super) struct Truth<'a> {
    pub(super) plan: &'a Plan,
    pub(super) world: &'a World,
    pub(super) cloud: &'a Cloud,
    pub(super) disk: &'a Disk,
    /// How far back the last passes looked.
    pub(super) lookback: i64,
    /// How far back sessions are remembered.
    pub(super) horizon: i64,
    pub(super) now: UnixSeconds,
    pub(super) account: &'a str,
    /// Whether domains and apps are asked for one by one now; what was asked in other ways before goes no further.
    pub(super) one_by_one: (bool, bool),
    pub(super) labels: &'a Labels,
    /// The exporter has said that it could not see all rows of some listing.
    pub(super) told_incomplete: &'a dyn Fn() -> bool,
}

impl Truth<'_> {
    /// Everything that had to be counted was, once; whatever was counted had been shown. Returns how many had to be.
    pub(super) fn counted_exactly(&self, when: &str, by: By) -> u64 {
        let Some(account) = self.disk.accounts.get(self.account) else { return 0 };
        let mut by_reason: BTreeMap<StreamLabels, Range> = BTreeMap::new();
        let mut by_stream: BTreeMap<[Arc<str>; 3], Range> = BTreeMap::new();
        // A row whose reason alone was corrected can be taken for another that looks as it did: only their sum is sure.
        let changes = |labels: &&Vec<StreamLabels>| labels.iter().any(|other| *other != labels[0]);
        let relabelled: BTreeSet<_> = self.labels.0.iter().filter(changes).map(|labels| names(&labels[0])).collect();
        let mut due_events = 0;
        for ((event, told), labels) in self.cloud.events.iter().zip(&self.cloud.told).zip(&self.labels.0) {
            let is_due = self.must_be_counted(event, account, by);
            let countable = |session: &PushSession| session.end >= account.counting_since;
            let shown: Vec<&StreamLabels> = event
                .versions()
                .zip(told)
                .zip(labels)
                .filter(|((session, told), _)| **told && countable(session))
                .map(|(_, labels)| labels)
                .collect();
            for (n, labels) in shown.iter().enumerate().filter(|(n, labels)| !shown[..*n].contains(labels)) {
                by_reason.entry((*labels).clone()).or_default().most += 1;
                by_stream.entry(names(labels)).or_default().most += u64::from(n == 0);
            }
            if is_due {
                due_events += 1;
                by_stream.entry(names(&labels[0])).or_default().least += 1;
                let sure = !relabelled.contains(&names(&labels[0]));
                by_reason.entry(labels[0].clone()).or_default().least += u64::from(sure);
            }
        }
        let mut counted_by_reason: BTreeMap<StreamLabels, u64> = BTreeMap::new();
        let mut counted_by_stream: BTreeMap<[Arc<str>; 3], u64> = BTreeMap::new();
        for series in &self.disk.series {
            let labels = folded(self.plan, series.labels.clone());
            *counted_by_stream.entry(names(&labels)).or_default() += series.total;
            *counted_by_reason.entry(labels).or_default() += series.total;
        }
        for domain in &self.disk.domains {
            for entry in &TABLE {
                let labels = excluded(Arc::clone(&domain.name), entry.reason);
                let total = domain.total.excluded[entry.reason as usize];
                *counted_by_stream.entry(names(&labels)).or_default() += total;
                *counted_by_reason.entry(labels).or_default() += total;
            }
        }
        self.compare(when, &by_reason, &counted_by_reason);
        self.compare(when, &by_stream, &counted_by_stream);
        self.sums_agree();
        due_events
    }

    fn compare<K: Ord + std::fmt::Debug>(&self, when: &str, ranges: &BTreeMap<K, Range>, counted: &BTreeMap<K, u64>) {
        for (what, range) in ranges {
            let counted = counted.get(what).copied().unwrap_or(0);
            // What is missing must be told of.
            let enough = counted >= range.least || (self.told_incomplete)();
            self.world.promise(enough && counted <= range.most, || {
                format!("{when}: {counted} counted of {what:?}, not {} to {}", range.least, range.most)
            });
        }
        for (what, counted) in counted {
            let known = *counted == 0 || ranges.contains_key(what);
            self.world.promise(known, || format!("{when}: {counted} counted of {what:?}, which was never shown"));
        }
    }

    fn sums_agree(&self) {
        for domain in &self.disk.domains {
            for (reason, total) in domain.total.disconnects.iter().enumerate() {
                let of_it = |series: &&SeriesBooks| {
                    series.labels.domain == domain.name && series.labels.reason as usize == reason
                };
                let by_stream: u64 = self.disk.series.iter().filter(of_it).map(|series| series.total).sum();
                let excluded = domain.total.excluded[reason];
                self.world.promise(by_stream + excluded == *total, || {
                    format!("{:?} has {total} disconnects by class, {by_stream} by stream, {excluded} not", domain.name)
                });
            }
        }
    }

    fn must_be_counted(&self, event: &Event, account: &AccountBooks, by: By) -> bool {
        match by {
            By::Nothing => false,
            By::OnePoll => self.is_prompt(event, account),
            By::AllPasses => self.is_due(event, account),
        }
    }

    /// Whether a poll must have counted it by now, if nothing goes wrong: it was listed well within the overlap.
    fn is_prompt(&self, event: &Event, account: &AccountBooks) -> bool {
        let overlap = i64::try_from(self.plan.pace.overlap.as_secs()).expect("overlaps are short");
        let interval = i64::try_from(self.plan.pace.interval.as_secs()).expect("intervals are short");
        let steady = event.hidden.is_none() && event.corrected.is_none();
        let ends = self.plan.habits.window_of != WindowOf::Starts;
        let shown_soon = event.shown_from - event.session.end < overlap - 15;
        let polled_since = event.shown_from < self.now - interval - 15;
        let after_start = event.session.end > account.first_start;
        steady && ends && shown_soon && polled_since && after_start
    }

    /// Whether the exporter must have counted it by now.
    fn is_due(&self, event: &Event, account: &AccountBooks) -> bool {
        if event.versions().any(|session| session.end < account.counting_since) {
            return false;
        }
        let listed = matches!(event.listed(self.now), Listed::Finished(_));
        let place = |session: &PushSession| match self.plan.habits.window_of {
            WindowOf::Starts => session.start,
            WindowOf::Ends | WindowOf::Overlaps => session.end,
        };
        let earliest = event.versions().map(place).min().unwrap_or(0);
        let looked_back = earliest > self.now - self.lookback + CLEAR;
        let in_reach_at_first = earliest > account.first_start - self.seconds_back();
        let prompt = event.shown_from - earliest < self.lookback - CLEAR - 4 * self.turn()
            && (in_reach_at_first || event.shown_from > account.first_start);
        let prompt = prompt && self.plan.calm && event.hidden.is_none() && event.corrected.is_none();
        listed && earliest > account.floor + CLEAR && (looked_back || prompt)
    }

    /// Seconds from one sweep to the next, at the most.
    fn turn(&self) -> i64 {
        let pace = &self.plan.pace;
        i64::try_from((pace.interval + pace.sweep_interval).as_secs()).expect("paces are short") + 60
    }

    /// `increase()` over a scraper's life is the truth for each series that came while it was there.
    pub(super) fn increases_are_right(&self, observer: &Observer) {
        if self.plan.terms.hold_max.is_zero() {
            return;
        }
        let store = observer.store.lock().unwrap();
        let was_there = |(since, released): (UnixSeconds, Option<UnixSeconds>)| {
            let regular = store.scraped.iter().filter(|at| **at < since).count() >= 2;
            let hold_max = i64::try_from(self.plan.terms.hold_max.as_secs()).expect("holds are short");
            let until = released.unwrap_or(self.now) + hold_max;
            regular && !store.blind.iter().any(|at| (since - hold_max..=until).contains(at))
        };
        let right = |samples: Option<Samples>, total: u64, baseline: u64| {
            samples.is_some_and(|samples| samples.first == baseline && samples.increase == total - baseline)
        };
        for (series, times) in self.disk.series.iter().zip(&self.disk.series_times) {
            let samples = store.streams.get(&series.labels).copied().flatten();
            self.world.promise(!was_there(*times) || right(samples, series.total, series.baseline), || {
                format!("{:?} saw {samples:?} of {series:?}, {times:?}", observer.plan)
            });
        }
        for (domain, times) in self.disk.domains.iter().zip(&self.disk.domain_times) {
            let seen = store.classes.get(&domain.name);
            for (reason, (total, baseline)) in
                domain.total.disconnects.iter().zip(domain.baseline.disconnects).enumerate()
            {
                let samples = seen.and_then(|seen| seen[reason]);
                self.world.promise(!was_there(*times) || right(samples, *total, baseline), || {
                    format!("{:?} saw {samples:?} of {total} - {baseline} in {:?}", observer.plan, domain.name)
                });
            }
        }
    }

    /// Whatever share of the requests fails, listing comes on.
    pub(super) fn the_watermark_has_moved(&self) {
        let interval = i64::try_from(self.plan.pace.interval.as_secs()).expect("intervals are short");
        let Some(account) = self.disk.accounts.get(self.account) else { return };
        let asked = |scope: &Filter| (scope.domain.is_some(), scope.app.is_some()) == self.one_by_one;
        let scopes = account.scopes.iter().filter(|(scope, _)| asked(scope));
        let watermark = scopes.filter_map(|(_, scope)| scope.watermark).min();
        // Nothing is asked for that this machine takes for the future, and nothing at all where its clock is behind memory.
        let now = self.now.min(self.world.time.now());
        if now < self.now - self.horizon {
            return;
        }
        let slow = i64::try_from(self.plan.slow).expect("answers come some day");
        // In a crowd each row may need questions of its own, and one answer in twenty takes half a minute to fail to come.
        let rows = i64::try_from(self.plan.events.len()).expect("rows are few");
        let enough = 10 * interval + 900 + 100 * slow + 3 * rows;
        let late = watermark.map(|watermark| now - watermark);
        self.world.promise(late.is_some_and(|late| late < enough), || {
            format!("the watermark is {late:?} s behind, {} of the requests fail", self.plan.requests_fail)
        });
    }

    /// Installing the exporter raises no alert: what the first pass finds of the past is baseline.
    pub(super) fn the_past_is_baseline(&self) {
        let Some(account) = self.disk.accounts.get(self.account) else { return };
        let of_the_past = |event: &&Event| {
            let listed_then = matches!(event.listed(super::world::START), Listed::Finished(_));
            let in_reach = match self.plan.habits.window_of {
                WindowOf::Starts => event.session.start,
                WindowOf::Ends | WindowOf::Overlaps => event.session.end,
            } > account.first_start - self.seconds_back();
            let reads_on = event.corrected.is_none() && event.hidden.is_none();
            let counted = event.session.end >= account.counting_since;
            listed_then && in_reach && reads_on && counted && event.session.end < account.first_start
        };
        let past = self.cloud.events.iter().filter(of_the_past).count() as u64;
        let excluded: u64 = self.disk.domains.iter().flat_map(|domain| domain.baseline.excluded).sum();
        let baseline = self.disk.series.iter().map(|series| series.baseline).sum::<u64>() + excluded;
        // Without a hold, the account shows before its first sweep is over.
        let sure = self.plan.calm && !self.plan.terms.hold_max.is_zero();
        let enough = baseline >= past || (self.told_incomplete)() || !sure;
        self.world.promise(enough, || format!("{past} events of the past, {baseline} in the baseline"));
    }

    fn seconds_back(&self) -> i64 {
        i64::try_from(self.plan.pace.sweep_lookback.as_secs()).expect("lookbacks are short") - CLEAR
    }
}

fn names(labels: &StreamLabels) -> [Arc<str>; 3] {
    [Arc::clone(&labels.domain), Arc::clone(&labels.app), Arc::clone(&labels.stream)]
}
