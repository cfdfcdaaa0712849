//! The sessions of a scenario, second by second, for ever.
//!
//! Every stream has its own rhythm of slots with at most one session each, so that sessions of a stream follow each
//! other as real ones do. Storms, retries and the turn of all reasons come second by second on top. Each session is a
//! function of seed, stream and slot (or second): nothing depends on when or how often this room is asked.

use std::borrow::Cow;

use super::calendar::{Calendar, Strike};
use super::dice::Dice;
use super::event::refuses_push;
use super::scenario::{Faults, Quirks, Scenario, Traffic};
use super::sources::{Source, address, resolution, sources};
use super::{Damage, Event, EventChange, Span};
use crate::clock::UnixSeconds;
use crate::reason::{Reason, TABLE};

/// A session that has come about.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Generated {
    pub(super) event: Event,
    /// A roll of its own, the same in every run.
    pub(super) dice: Dice,
    /// What will change in it, and when.
    pub(super) change: Option<(UnixSeconds, EventChange)>,
}

/// Where the generation stands.
#[derive(Debug)]
pub(super) struct Generator {
    seed: u64,
    traffic: Traffic,
    reasons: Weights,
    sources: Vec<Source>,
    storms: Vec<(Calendar, f64, Weights)>,
    cutoffs: Vec<(Calendar, f64, Reason)>,
    /// The next second of everything that is not a slot.
    next_second: UnixSeconds,
    /// Sessions that ended before this second do not exist.
    first_end: UnixSeconds,
}

/// Reasons to choose from.
type Weights = Vec<(Reason, f64)>;

/// What one slot, or one try, comes to.
struct Session {
    start: UnixSeconds,
    end: UnixSeconds,
    reason: Reason,
    dice: Dice,
}

/// Questions a roll is forked for.
mod salt {
    pub(super) const EXISTS: u64 = 2;
    pub(super) const START: u64 = 3;
    pub(super) const END: u64 = 4;
    pub(super) const REASON: u64 = 5;
    pub(super) const SPELLING: u64 = 6;
    pub(super) const SHORT: u64 = 7;
    pub(super) const ADDRESS: u64 = 8;
    pub(super) const LATE: u64 = 9;
    pub(super) const LIVE: u64 = 10;
    pub(super) const DAMAGE: u64 = 11;
    pub(super) const CHANGE: u64 = 12;
    pub(super) const CLONES: u64 = 13;
    pub(super) const STORMS: u64 = 1000;
    pub(super) const CUTOFFS: u64 = 2000;
    pub(super) const TURN: u64 = 3000;
}

impl Generator {
    /// Starts `history` before `now`.
    pub(super) fn new(scenario: &Scenario, now: UnixSeconds) -> Self {
        let traffic = scenario.traffic.clone();
        let begin = now.saturating_sub(traffic.history.as_seconds());
        let sources = sources(scenario, begin);
        let struck = |name: Option<&String>| -> Vec<usize> {
            let mut domains: Vec<usize> = sources
                .iter()
                .filter(|source| name.is_none_or(|name| source.domain.text() == name.as_str()))
                .map(|source| source.domain_index)
                .collect();
            domains.dedup();
            domains
        };
        let storms = (salt::STORMS..).zip(&traffic.storms).filter_map(|(salt, storm)| {
            let dice = Dice::new(scenario.seed, salt);
            let calendar = Calendar::new(dice, storm.every, storm.lasts, struck(storm.domain.as_ref()))?;
            Some((calendar, storm.per_minute, weights(&storm.reasons, Reason::AuthFailed)))
        });
        let storms = storms.collect();
        let cutoffs = (salt::CUTOFFS..).zip(&traffic.cutoffs).filter_map(|(salt, cutoff)| {
            let dice = Dice::new(scenario.seed, salt);
            let calendar = Calendar::new(dice, cutoff.every, cutoff.lasts, struck(cutoff.domain.as_ref()))?;
            let reason = Reason::from_name(&cutoff.reason).unwrap_or(Reason::AccountArrears);
            Some((calendar, cutoff.retries_per_minute, reason))
        });
        let cutoffs = cutoffs.collect();
        let reasons = weights(&traffic.reasons, Reason::ClientStopped);
        Self { seed: scenario.seed, traffic, reasons, sources, storms, cutoffs, next_second: begin, first_end: begin }
    }

    /// Everything that has come about up to `now` and was not handed out before.
    pub(super) fn up_to(&mut self, now: UnixSeconds, quirks: &Quirks, faults: &Faults) -> Vec<Generated> {
        let mut out = Vec::new();
        for at in 0..self.sources.len() {
            while self.sources[at].period > 0 && self.sources[at].due <= now {
                self.next_slot(at, now, quirks, faults, &mut out);
            }
        }
        let idle = self.storms.is_empty() && self.cutoffs.is_empty() && self.traffic.every_reason == Span::default();
        // A clock that jumps by years must not be walked through for nothing.
        let first = if idle { now.saturating_add(1) } else { self.next_second };
        for second in first..=now {
            self.second(second, quirks, faults, &mut out);
        }
        self.next_second = self.next_second.max(now.saturating_add(1));
        out
    }

    /// The streams that are pushed at `now`, and since when; to be asked after [`Generator::up_to`].
    pub(super) fn online(&self, now: UnixSeconds) -> Vec<(&Source, UnixSeconds)> {
        let mut online = Vec::new();
        for source in self.sources.iter().filter(|source| source.period > 0) {
            // A session that is listed while it goes on has been handed out: its slot is the one before.
            let on_air = [source.slot - 1, source.slot]
                .into_iter()
                .filter_map(|slot| self.session(source, slot))
                .find(|session| session.start <= now && now < session.end && !refuses_push(session.reason));
            online.extend(on_air.map(|session| (source, session.start)));
        }
        online
    }

    /// Hands out the session of the source's next slot if it is due, and goes to the slot after it.
    fn next_slot(&mut self, at: usize, now: UnixSeconds, quirks: &Quirks, faults: &Faults, out: &mut Vec<Generated>) {
        let source = &self.sources[at];
        if let Some(session) = self.session(source, source.slot) {
            let live_from = live_from(&session, quirks);
            let due = live_from.map_or(session.end, |from| from.min(session.end));
            if due > now {
                self.sources[at].due = due;
                return;
            }
            if session.end >= self.first_end {
                self.hand_out(source, &session, live_from, quirks, faults, out);
            }
        }
        let source = &mut self.sources[at];
        source.slot += 1;
        source.due = source.slot_begins(source.slot).div_euclid(1000);
    }

    /// The session of the source's slot; none where the hour is quiet or the domain cut off.
    fn session(&self, source: &Source, slot: i64) -> Option<Session> {
        let dice = source.dice.fork(slot.cast_unsigned());
        let begins = source.slot_begins(slot);
        if !dice.fork(salt::EXISTS).hits(self.traffic.level(begins.div_euclid(1000))) {
            return None;
        }
        let part = |share: f64| {
            #[expect(clippy::cast_possible_truncation, reason = "part of an i64 that is far below 2^53")]
            let millis = (source.period as f64 * share) as i64;
            millis
        };
        let start_millis = begins + part(0.05 + 0.2 * dice.fork(salt::START).unit());
        let lasted = if dice.fork(salt::SHORT).hits(0.15) { 0.06 } else { 0.7 };
        let end_millis = start_millis + part(lasted * dice.fork(salt::END).unit());
        let (start, mut end) = (start_millis.div_euclid(1000), end_millis.div_euclid(1000));
        let mut reason = choose(&self.reasons, dice.fork(salt::REASON));
        for (calendar, _, cut_reason) in &self.cutoffs {
            if let Some(strike) = calendar.first_within(source.domain_index, start, end) {
                if strike.begin <= start {
                    return None;
                }
                end = end.min(strike.begin + i64::try_from(dice.fork(salt::END).below(4)).unwrap_or(0));
                reason = *cut_reason;
                return Some(Session { start, end, reason, dice });
            }
        }
        if refuses_push(reason) {
            return Some(refused(end, reason, dice));
        }
        Some(Session { start, end, reason, dice })
    }

    /// Storms, retries while a domain is cut off, and the turn of all reasons.
    fn second(&self, now: UnixSeconds, quirks: &Quirks, faults: &Faults, out: &mut Vec<Generated>) {
        let dice = Dice::new(self.seed, 0).fork(now.cast_unsigned());
        for (salt, (calendar, per_minute, reasons)) in (salt::STORMS..).zip(&self.storms) {
            if let Some(strike) = calendar.at(now) {
                let dice = dice.fork(salt);
                self.tries(now, strike, *per_minute, dice, |dice| choose(reasons, dice), (quirks, faults), out);
            }
        }
        for (salt, (calendar, per_minute, reason)) in (salt::CUTOFFS..).zip(&self.cutoffs) {
            if let Some(strike) = calendar.at(now) {
                self.tries(now, strike, *per_minute, dice.fork(salt), |_| *reason, (quirks, faults), out);
            }
        }
        let dice = dice.fork(salt::TURN);
        if let Some((reason, source)) = self.in_turn(now).zip(dice.pick(&self.sources)) {
            let lasted = i64::try_from(dice.fork(salt::START).below(900)).unwrap_or(0);
            let session = if refuses_push(reason) {
                refused(now, reason, dice)
            } else {
                Session { start: now - lasted, end: now, reason, dice }
            };
            self.hand_out(source, &session, None, quirks, faults, out);
        }
    }

    /// The reason whose turn this second is: within `every_reason` each one has one.
    fn in_turn(&self, now: UnixSeconds) -> Option<Reason> {
        let turn = self.traffic.every_reason.as_seconds();
        let count = i64::try_from(Reason::COUNT).unwrap_or(i64::MAX);
        let step = turn / count;
        let second = now.rem_euclid(turn.max(1));
        if step == 0 || second % step != 0 || second / step >= count {
            return None;
        }
        usize::try_from(second / step).ok().and_then(|at| TABLE.get(at)).map(|entry| entry.reason)
    }

    /// Refused pushes of one second of a strike, from a handful of streams.
    #[expect(clippy::too_many_arguments, reason = "what a second is made of; a struct would only rename the list")]
    fn tries(
        &self,
        now: UnixSeconds,
        strike: Strike,
        per_minute: f64,
        dice: Dice,
        reason: impl Fn(Dice) -> Reason,
        (quirks, faults): (&Quirks, &Faults),
        out: &mut Vec<Generated>,
    ) {
        let streams: Vec<&Source> = self.sources.iter().filter(|source| source.domain_index == strike.domain).collect();
        for nth in 0..dice.around(per_minute / 60.0) {
            let dice = dice.fork(u64::from(nth) + 100);
            let handful = strike.dice.fork(dice.below(12));
            if let Some(source) = handful.pick(&streams) {
                let session = refused(now, reason(dice.fork(salt::REASON)), dice);
                self.hand_out(source, &session, None, quirks, faults, out);
            }
        }
    }

    fn hand_out(
        &self,
        source: &Source,
        session: &Session,
        live_from: Option<UnixSeconds>,
        quirks: &Quirks,
        faults: &Faults,
        out: &mut Vec<Generated>,
    ) {
        let dice = session.dice;
        let refuses = refuses_push(session.reason) && session.end - session.start <= 1;
        let mut event =
            Event::ended(source.domain.clone(), source.app.clone(), source.stream.clone(), session.start, session.end)
                .because(self.traffic.text(session.reason, dice.fork(salt::SPELLING)))
                .from_ip(address(source.dice, dice.fork(salt::ADDRESS)));
        event.meant = Some(session.reason);
        event.resolution = if refuses { "".into() } else { resolution(source.dice).into() };
        event.live_from = live_from;
        if dice.fork(salt::DAMAGE).hits(faults.broken_rows) {
            let kinds: &[Damage] = if faults.broken_kinds.is_empty() { &Damage::ALL } else { &faults.broken_kinds };
            event = dice.fork(salt::DAMAGE).fork(1).pick(kinds).map_or(event.clone(), |damage| damage.apply(event));
        }
        let clones = self.traffic.clones;
        let again = refuses && dice.fork(salt::CLONES).hits(clones.share);
        let copies =
            if again { 2 + dice.fork(salt::CLONES).fork(1).below(u64::from(clones.most.max(2)) - 1) } else { 1 };
        for copy in 0..copies {
            let dice = dice.fork(5000 + copy);
            let visible_at = session.end + lateness(quirks, dice.fork(salt::LATE));
            let event = event.clone().visible_at(visible_at);
            let change = dice.fork(salt::CHANGE).hits(quirks.row_changes.share).then(|| {
                let kind = dice.fork(salt::CHANGE).fork(1);
                (visible_at + quirks.row_changes.after.as_seconds(), self.change(&event, kind))
            });
            out.push(Generated { event, dice, change });
        }
    }

    /// A correction of one fact of `event`.
    fn change(&self, event: &Event, dice: Dice) -> EventChange {
        match dice.below(4) {
            0 => EventChange { end: event.end.map(|end| end + 1), ..EventChange::default() },
            1 => EventChange { client_ip: Some(address(dice, dice.fork(1))), ..EventChange::default() },
            2 => EventChange { resolution: Some("960*540".into()), ..EventChange::default() },
            _ => {
                let reason = choose(&self.reasons, dice.fork(2));
                EventChange { reason: Some(self.traffic.text(reason, dice.fork(3))), ..EventChange::default() }
            }
        }
    }
}

impl Traffic {
    /// The part of the full rate at `at`, 0 to 1.
    fn level(&self, at: UnixSeconds) -> f64 {
        let day = self.rhythm.day.as_seconds().max(1);
        let hour = at.rem_euclid(day) as f64 / day as f64;
        let wave = 0.5 - 0.5 * (hour * std::f64::consts::TAU).cos();
        self.rhythm.low + (1.0 - self.rhythm.low) * wave
    }

    /// How the platform spells `reason` this time.
    fn text(&self, reason: Reason, dice: Dice) -> Cow<'static, str> {
        let entry = reason.entry();
        if let Some(text) = dice.pick(&self.unknown_texts).filter(|_| reason == Reason::Unmapped) {
            return text.clone().into();
        }
        let Some(first) = entry.zh.first() else {
            return entry.en.first().copied().unwrap_or_default().into();
        };
        let plain = first.trim_end_matches('。');
        let roll = dice.unit();
        let spelling = self.spelling;
        if roll < spelling.full_stop {
            return (*first).into();
        }
        if roll < spelling.full_stop + spelling.other {
            return dice.fork(1).pick(entry.zh).copied().unwrap_or(plain).into();
        }
        if roll < spelling.full_stop + spelling.other + spelling.english {
            return dice.fork(1).pick(entry.en).copied().unwrap_or(plain).into();
        }
        plain.into()
    }
}

fn weights(by_name: &std::collections::BTreeMap<String, f64>, otherwise: Reason) -> Weights {
    let named = by_name.iter().filter_map(|(name, weight)| Some((Reason::from_name(name)?, *weight)));
    let weights: Weights = named.filter(|(_, weight)| *weight > 0.0).collect();
    if weights.is_empty() { vec![(otherwise, 1.0)] } else { weights }
}

fn choose(weights: &Weights, dice: Dice) -> Reason {
    let mut roll = dice.unit() * weights.iter().map(|(_, weight)| weight).sum::<f64>();
    for (reason, weight) in weights {
        roll -= weight;
        if roll < 0.0 {
            return *reason;
        }
    }
    weights.last().map_or(Reason::ClientStopped, |(reason, _)| *reason)
}

/// A push that was refused at `end`, at once or after a second.
fn refused(end: UnixSeconds, reason: Reason, dice: Dice) -> Session {
    let start = end - i64::from(dice.fork(salt::START).hits(0.25));
    Session { start, end, reason, dice }
}

fn live_from(session: &Session, quirks: &Quirks) -> Option<UnixSeconds> {
    let long = session.end - session.start > 5;
    (long && session.dice.fork(salt::LIVE).hits(quirks.unfinished.share)).then_some(session.start + 3)
}

/// Seconds from the end to the publication.
fn lateness(quirks: &Quirks, dice: Dice) -> i64 {
    let mut roll = dice.unit();
    let mut least = 0;
    for late in &quirks.lateness {
        let most = late.up_to.as_seconds().max(least);
        if roll < late.share {
            let spread = u64::try_from(most - least).unwrap_or(0);
            return least + i64::try_from(dice.fork(1).below(spread + 1)).unwrap_or(0);
        }
        roll -= late.share;
        least = most;
    }
    0
}
