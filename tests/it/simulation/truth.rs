//! What had to be counted, and what was.

use std::collections::BTreeMap;
use std::sync::Arc;

use tencent_live_exporter::clock::UnixSeconds;
use tencent_live_exporter::ledger::{SeriesBooks, StreamLabels};
use tencent_live_exporter::reason::Classifier;
use tencent_live_exporter::session::PushSession;

use super::cloud::{Cloud, Event, Listed, WindowOf};
use super::disk::Disk;
use super::plan::Plan;
use super::prometheus::{Observer, Samples};
use super::world::World;

/// Seconds by which an event must be clear of a border to be sure on which side of it it is.
const CLEAR: i64 = 200;

/// The least and the most that may be counted of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Range {
    least: u64,
    most: u64,
}

/// The judge at the end of a run.
pub(super) struct Truth<'a> {
    pub(super) plan: &'a Plan,
    pub(super) world: &'a World,
    pub(super) cloud: &'a Cloud,
    pub(super) disk: &'a Disk,
    /// How far back the last passes looked.
    pub(super) lookback: i64,
    pub(super) now: UnixSeconds,
    pub(super) account: &'a str,
    pub(super) classifier: &'a Classifier,
    /// The exporter has said that it could not see all rows of some listing.
    pub(super) told_incomplete: bool,
}

impl Truth<'_> {
    /// Everything that had to be counted was, once; whatever was counted had been shown.
    pub(super) fn counted_exactly(&self, when: &str) -> u64 {
        let Some(account) = self.disk.accounts.get(self.account) else { return 0 };
        let mut by_reason: BTreeMap<StreamLabels, Range> = BTreeMap::new();
        let mut by_stream: BTreeMap<[Arc<str>; 3], Range> = BTreeMap::new();
        let mut due_events = 0;
        for (event, told) in self.cloud.events.iter().zip(&self.cloud.told) {
            let due = self.is_due(event, account.counting_since, account.floor);
            let versions: Vec<(StreamLabels, bool)> = event
                .versions()
                .zip(told)
                .map(|(session, told)| (self.labels(session), *told && session.end >= account.counting_since))
                .collect();
            let one_label = versions.iter().all(|(labels, _)| *labels == versions[0].0);
            let mut told_before = Vec::new();
            for (labels, told) in &versions {
                if *told && !told_before.contains(&labels) {
                    by_reason.entry(labels.clone()).or_default().most += 1;
                    told_before.push(labels);
                }
            }
            let stream = by_stream.entry(names(&versions[0].0)).or_default();
            stream.most += u64::from(versions.iter().any(|(_, told)| *told));
            if due {
                due_events += 1;
                stream.least += 1;
                by_reason.entry(versions[0].0.clone()).or_default().least += u64::from(one_label);
            }
        }
        let mut counted_by_reason: BTreeMap<StreamLabels, u64> = BTreeMap::new();
        let mut counted_by_stream: BTreeMap<[Arc<str>; 3], u64> = BTreeMap::new();
        for series in &self.disk.series {
            let labels = self.folded(series.labels.clone());
            *counted_by_stream.entry(names(&labels)).or_default() += series.total;
            *counted_by_reason.entry(labels).or_default() += series.total;
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
            let enough = counted >= range.least || self.told_incomplete;
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
                self.world.promise(by_stream == *total, || {
                    format!("{:?} has {total} disconnects by class and {by_stream} by stream", domain.name)
                });
            }
        }
    }

    /// Whether the exporter must have counted it by now.
    fn is_due(&self, event: &Event, counting_since: UnixSeconds, floor: UnixSeconds) -> bool {
        if event.versions().any(|session| session.end < counting_since) {
            return false;
        }
        let listed = matches!(event.listed(self.now), Listed::Finished(_));
        let place = |session: &PushSession| match self.plan.habits.window_of {
            WindowOf::Starts => session.start,
            WindowOf::Ends | WindowOf::Overlaps => session.end,
        };
        let earliest = event.versions().map(place).min().unwrap_or(0);
        let looked_back = event.versions().map(place).min().unwrap_or(0) > self.now - self.lookback + CLEAR;
        let prompt = event.shown_from - earliest < self.lookback - CLEAR - 4 * self.turn();
        let prompt = prompt && self.plan.calm && event.hidden.is_none() && event.corrected.is_none();
        // What the baseline could not reach yet when it was made is not forgotten either.
        listed && earliest > floor + CLEAR && (looked_back || prompt)
    }

    /// Seconds from one sweep to the next, at the most.
    fn turn(&self) -> i64 {
        let pace = &self.plan.pace;
        i64::try_from((pace.interval + pace.sweep_interval).as_secs()).expect("paces are short") + 60
    }

    fn labels(&self, session: &PushSession) -> StreamLabels {
        let label = |name: &tencent_live_exporter::session::Name| Arc::from(name.label(&self.disk.key));
        self.folded(StreamLabels {
            domain: label(&session.domain),
            app: label(&session.app),
            stream: label(&session.stream),
            reason: self.classifier.classify(&session.reason_text),
        })
    }

    /// Where streams fold together, only their sums can be compared.
    fn folded(&self, labels: StreamLabels) -> StreamLabels {
        if self.plan.terms.series_limit > 1_000 {
            return labels;
        }
        StreamLabels { app: "any".into(), stream: "any".into(), ..labels }
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
        let baseline: u64 = self.disk.series.iter().map(|series| series.baseline).sum();
        // Without a hold, the account shows before its first sweep is over.
        let sure = self.plan.calm && !self.plan.terms.hold_max.is_zero();
        let enough = baseline >= past || self.told_incomplete || !sure;
        self.world.promise(enough, || format!("{past} events of the past, {baseline} in the baseline"));
    }

    fn seconds_back(&self) -> i64 {
        i64::try_from(self.plan.pace.sweep_lookback.as_secs()).expect("lookbacks are short") - CLEAR
    }
}

fn names(labels: &StreamLabels) -> [Arc<str>; 3] {
    [Arc::clone(&labels.domain), Arc::clone(&labels.app), Arc::clone(&labels.stream)]
}
