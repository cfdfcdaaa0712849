//! The simulated platform: what has happened, what is told of it, and what was asked.
//!
//! One lock around all of it: a request is answered in one piece, so every answer is a view of one moment, as the
//! exporter may assume of one response.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::answer::Answer;
use super::archive::{Archive, Record};
use super::dice::Dice;
use super::signature::{Keys, SignedRequest};
use super::traffic::Generator;
use super::{Domain, Event, EventChange, EventId, Fault, Faults, Quirks, Scenario, ScenarioError, Truth};
use crate::clock::{Clock, UnixSeconds};
use crate::reason::{Classifier, Reason};

/// How many requests are remembered one by one.
const REMEMBERED_REQUESTS: usize = 10_000;

/// The platform behind the API; every method may be called from any thread, also while requests are answered.
pub struct World {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// What is to happen just before requests, by their numbers. Apart from the state, so that it may use the world.
    planned: Mutex<BTreeMap<u64, Vec<Act>>>,
}

/// Something to do once.
type Act = Box<dyn FnOnce(&World) + Send>;

/// One request to the API.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Request {
    /// From 1, in the order of arrival.
    pub number: u64,
    /// The API's clock, Unix seconds.
    pub at: UnixSeconds,
    /// `X-TC-Action`
    pub action: String,
    /// The body; null where it is no JSON that text can hold.
    pub params: serde_json::Value,
    /// `ok` or the error code the API found by itself or by a fault.
    pub outcome: String,
    /// The fault that struck.
    pub fault: Option<&'static str>,
    /// Rows of the answer.
    pub rows: usize,
    /// Rows on all pages, before `TotalNum` is falsified.
    pub total: Option<u64>,
}

/// The request log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Requests {
    /// All requests so far.
    pub count: u64,
    /// How many of them met a fault, by [`Fault::name`].
    pub faults: BTreeMap<&'static str, u64>,
    /// The last 10,000, oldest first.
    pub recent: Vec<Request>,
}

/// Everything behind the lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) seed: u64,
    pub(super) archive: Archive,
    pub(super) generator: Option<Generator>,
    pub(super) domains: Vec<Domain>,
    pub(super) quirks: Quirks,
    pub(super) faults: Faults,
    pub(super) fail_next: VecDeque<Fault>,
    pub(super) keys: Keys,
    pub(super) request_count: u64,
    requests: VecDeque<Request>,
    requests_by_fault: BTreeMap<&'static str, u64>,
    /// Second and number of requests in it, by action.
    pub(super) requests_in: HashMap<String, (UnixSeconds, u32)>,
    /// Changes to come, by the second they come.
    changes: BTreeMap<UnixSeconds, Vec<(EventId, EventChange)>>,
    classifier: Classifier,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("now", &self.now()).finish_non_exhaustive()
    }
}

impl World {
    /// A platform as `scenario` has it, which lets callers with `keys` in.
    #[must_use]
    pub fn new(scenario: Scenario, keys: Keys, clock: Arc<dyn Clock>) -> Self {
        let now = clock.now().saturating_add(scenario.quirks.clock_skew);
        let state = State {
            seed: scenario.seed,
            archive: Archive::default(),
            generator: Some(Generator::new(&scenario, now)),
            domains: scenario.platform.domains,
            quirks: scenario.quirks,
            faults: scenario.faults,
            fail_next: VecDeque::new(),
            keys,
            request_count: 0,
            requests: VecDeque::new(),
            requests_by_fault: BTreeMap::new(),
            requests_in: HashMap::new(),
            changes: BTreeMap::new(),
            classifier: Classifier::new(&[]),
        };
        Self { clock, state: Mutex::new(state), planned: Mutex::default() }
    }

    /// The state at the API's present, and that present.
    pub(super) fn present(&self) -> (MutexGuard<'_, State>, UnixSeconds) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now().saturating_add(state.quirks.clock_skew);
        state.advance(now);
        (state, now)
    }

    /// The API's clock, Unix seconds.
    #[must_use]
    pub fn now(&self) -> UnixSeconds {
        self.present().1
    }

    /// Lets `event` happen. It is broken, late or changed only as it says itself.
    pub fn publish(&self, event: Event) -> EventId {
        self.present().0.publish_one(event)
    }

    /// Lets many events happen at once, which is much faster than one by one.
    pub fn publish_all(&self, events: impl IntoIterator<Item = Event>) -> Vec<EventId> {
        let events = events.into_iter().collect();
        self.present().0.publish(events)
    }

    /// Changes an event in place; false where there is none of that id.
    pub fn change(&self, id: EventId, change: EventChange) -> bool {
        let mut state = self.present().0;
        let State { archive, classifier, .. } = &mut *state;
        archive.change(id, change, |text| classifier.classify(text))
    }

    /// Leaves the event out of every answer until it is shown again; false where there is none of that id.
    pub fn hide(&self, id: EventId) -> bool {
        self.present().0.archive.get_mut(id).map(|record| record.hidden = true).is_some()
    }

    /// Ends [`World::hide`]; false where there is no event of that id.
    pub fn show(&self, id: EventId) -> bool {
        self.present().0.archive.get_mut(id).map(|record| record.hidden = false).is_some()
    }

    /// The event as it stands.
    #[must_use]
    pub fn event(&self, id: EventId) -> Option<Event> {
        self.present().0.archive.record(id).map(|record| record.event.clone())
    }

    /// Lists another domain in `DescribeLiveDomains`; traffic stays with the domains of the scenario.
    pub fn add_domain(&self, domain: Domain) {
        self.present().0.domains.push(domain);
    }

    /// The API's habits.
    #[must_use]
    pub fn quirks(&self) -> Quirks {
        self.present().0.quirks.clone()
    }

    /// Changes the API's habits from the next request and the next generated session on.
    pub fn set_quirks(&self, change: impl FnOnce(&mut Quirks)) {
        change(&mut self.present().0.quirks);
    }

    /// Changes how often requests fail, from the next one on.
    pub fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.present().0.faults);
    }

    /// Overwrites the named quirks and leaves the others, as `POST /-/quirks` does.
    ///
    /// # Errors
    /// When a key is unknown or a value out of its range; nothing is changed then.
    pub fn merge_quirks(&self, changes: &serde_json::Value) -> Result<Quirks, ScenarioError> {
        let mut state = self.present().0;
        let merged: Quirks = merged(&state.quirks, changes)?;
        merged.validate()?;
        state.quirks = merged.clone();
        Ok(merged)
    }

    /// Overwrites the named shares and leaves the others, as `POST /-/faults` does.
    ///
    /// # Errors
    /// When a key is unknown or a value out of its range; nothing is changed then.
    pub fn merge_faults(&self, changes: &serde_json::Value) -> Result<Faults, ScenarioError> {
        let mut state = self.present().0;
        let merged: Faults = merged(&state.faults, changes)?;
        merged.validate()?;
        state.faults = merged.clone();
        Ok(merged)
    }

    /// The next `times` signed requests meet `fault`, after those already set and before any chance.
    pub fn fail_next(&self, times: usize, fault: Fault) {
        self.present().0.fail_next.extend(std::iter::repeat_n(fault, times));
    }

    /// Runs `act` just before the `nth` request from now (from 1) is answered, signed or not. So a row can change, a
    /// request fail or a key expire between any two requests of a listing.
    pub fn before_request(&self, nth: u64, act: impl FnOnce(&World) + Send + 'static) {
        let number = self.present().0.request_count + nth;
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).entry(number).or_default().push(Box::new(act));
    }

    /// Accepts only `keys` from the next request on.
    pub fn set_keys(&self, keys: Keys) {
        self.present().0.keys = keys;
    }

    /// What was asked so far.
    #[must_use]
    pub fn requests(&self) -> Requests {
        let state = self.present().0;
        Requests {
            count: state.request_count,
            faults: state.requests_by_fault.clone(),
            recent: state.requests.iter().cloned().collect(),
        }
    }

    /// Generates no further sessions and cuts short nothing; what has ended is still published when it is due.
    pub fn stop_traffic(&self) {
        self.present().0.generator = None;
    }

    /// Publishes now what has ended and is not published yet.
    pub fn publish_late(&self) {
        let (mut state, now) = self.present();
        state.archive.publish_late(now);
    }

    /// What has been shown-able so far.
    #[must_use]
    pub fn truth(&self) -> Truth {
        self.truth_since(UnixSeconds::MIN)
    }

    /// The truth about the sessions that ended at `since` or later.
    #[must_use]
    pub fn truth_since(&self, since: UnixSeconds) -> Truth {
        let (state, now) = self.present();
        Truth::of(state.archive.records(), now, since)
    }

    pub(super) fn answer(&self, request: &SignedRequest<'_>) -> Answer {
        let number = self.present().0.request_count + 1;
        let due = self.planned.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        due.into_iter().flatten().for_each(|act| act(self));
        let (mut state, now) = self.present();
        state.answer(request, now)
    }
}

impl State {
    /// Lets happen what was due up to `now`.
    fn advance(&mut self, now: UnixSeconds) {
        if let Some(generator) = &mut self.generator {
            let generated = generator.up_to(now, &self.quirks, &self.faults);
            let changes: Vec<_> = generated.iter().map(|one| one.change.clone()).collect();
            let classifier = &self.classifier;
            let ids = self.archive.extend(generated.into_iter().map(|one| record(one.event, one.dice, classifier)));
            for (id, (at, change)) in ids.into_iter().zip(changes).filter_map(|(id, change)| Some((id, change?))) {
                self.changes.entry(at).or_default().push((id, change));
            }
        }
        while let Some(due) = self.changes.first_entry().filter(|due| *due.key() <= now) {
            for (id, change) in due.remove() {
                self.archive.change(id, change, |text| self.classifier.classify(text));
            }
        }
    }

    fn publish_one(&mut self, event: Event) -> EventId {
        let dice = Dice::new(self.seed, 2).fork(self.archive.records().len() as u64);
        self.archive.push(record(event, dice, &self.classifier))
    }

    pub(super) fn publish(&mut self, events: Vec<Event>) -> Vec<EventId> {
        let first = self.archive.records().len() as u64;
        let (seed, classifier) = (self.seed, &self.classifier);
        // Bursts share few texts, and matching one costs more than all the rest of publishing it.
        let mut means = HashMap::new();
        let records = (first..).zip(events).map(|(at, event)| {
            let reason = *means.entry(event.reason.clone()).or_insert_with(|| classifier.classify(&event.reason));
            let event = Event { meant: event.meant.or(Some(reason)), ..event };
            record(event, Dice::new(seed, 2).fork(at), classifier)
        });
        self.archive.extend(records)
    }

    pub(super) fn log(&mut self, request: Request) {
        if let Some(fault) = request.fault {
            *self.requests_by_fault.entry(fault).or_default() += 1;
        }
        if self.requests.len() == REMEMBERED_REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
    }
}

fn record(event: Event, dice: Dice, classifier: &Classifier) -> Record {
    let reason: Reason = event.meant.unwrap_or_else(|| classifier.classify(&event.reason));
    Record { event, reason, told: None, hidden: false, dice }
}

/// `old` with the members of `changes` in place of its own, down to the innermost objects.
fn merged<T>(old: &T, changes: &serde_json::Value) -> Result<T, ScenarioError>
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    let mut tree = serde_json::to_value(old).map_err(ScenarioError::Shape)?;
    merge(&mut tree, changes);
    serde_json::from_value(tree).map_err(ScenarioError::Shape)
}

fn merge(tree: &mut serde_json::Value, changes: &serde_json::Value) {
    match (tree, changes) {
        (serde_json::Value::Object(tree), serde_json::Value::Object(changes)) => {
            for (name, change) in changes {
                merge(tree.entry(name.clone()).or_insert(serde_json::Value::Null), change);
            }
        }
        (tree, changes) => *tree = changes.clone(),
    }
}
