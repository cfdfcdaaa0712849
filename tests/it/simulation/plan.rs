//! What a seed decides before a run begins: settings, the API's habits, what goes wrong and when.

use std::time::Duration;

use tencent_live_exporter::poller::Pace;
use tencent_live_exporter::publication::Terms;
use tencent_live_exporter::publication::labels::{Choice, Pattern, Rule, Selector, StreamLabel, Template};
use tencent_live_exporter::session::Name;

use super::cloud::{BeyondCap, Event, Habits, Ties, WindowOf};
use super::disk::DiskHabits;
use super::traffic;
use super::world::START;

const HOUR: u64 = 3600;

/// Something that happens to a running exporter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Disaster {
    /// The machine's clock is set to so many seconds off the platform's.
    ClockSet(i64),
    /// The process stands still.
    Pause(u64),
    /// Nothing can be written for so long.
    FullDisk(u64),
    /// The API cannot be reached for so long.
    Outage(u64),
    /// The API refuses the credentials for so long.
    Refusal(u64),
    /// The API answers that nothing has happened, for so long.
    Hush(u64),
    /// The configuration changes: lookbacks by so many per cent, the overlap to so many seconds.
    Reload { percent: u64, overlap: u64 },
    /// The process is stopped in order and started so much later.
    Restart(u64),
}

/// One scraper's ways.
#[derive(Debug, Clone)]
pub(super) struct ScraperPlan {
    pub(super) user_agent: String,
    pub(super) starts: u64,
    pub(super) interval: u64,
    pub(super) fails: f64,
    pub(super) connection_each: bool,
}

/// Everything that is decided beforehand.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is decided by itself")]
pub(super) struct Plan {
    pub(super) pace: Pace,
    pub(super) terms: Terms,
    pub(super) domains: Vec<Name>,
    pub(super) apps: Vec<Name>,
    pub(super) discover_domains: bool,
    pub(super) requests_per_second: f64,
    pub(super) habits: Habits,
    pub(super) disk: DiskHabits,
    /// Share of requests that fail, each attempt on its own.
    pub(super) requests_fail: f64,
    /// Seconds that every answer takes longer than usual.
    pub(super) slow: u64,
    /// How many effects a life lasts at the most, if lives end.
    pub(super) life: Option<u64>,
    pub(super) clock_offset: i64,
    pub(super) disasters: Vec<(u64, Disaster)>,
    pub(super) scrapers: Vec<ScraperPlan>,
    pub(super) events: Vec<Event>,
    /// Seconds until the trouble is over and what is late comes in.
    pub(super) length: u64,
    /// Seconds after that in which late rows appear.
    pub(super) late_rows_for: u64,
    /// Nothing goes wrong at all.
    pub(super) calm: bool,
    /// Rows come, and stay as they are; so sweeps alone find every one.
    pub(super) steady: bool,
    /// The real ledger is kept beside the one on paper.
    pub(super) with_sqlite: bool,
}

impl Plan {
    /// The same platform on a day on which nothing goes wrong.
    pub(super) fn on_a_good_day(seed: u64) -> Self {
        let terms = Terms { series_limit: 100_000, hold_max: Duration::from_secs(75), ..Terms::default() };
        Self {
            terms,
            disasters: Vec::new(),
            life: None,
            disk: DiskHabits::default(),
            requests_fail: 0.0,
            slow: 0,
            clock_offset: 0,
            // Disasters are still to come.
            calm: false,
            ..Self::new(seed)
        }
    }
}

/// Which streams have series, one seed in three otherwise than all of them. It takes no dice, so that a seed lives
/// through what it always has.
fn choice(seed: u64) -> Choice {
    let pattern = |text: &str| Pattern::new(text).expect("an expression");
    let group = |text: &str| {
        let pattern = pattern(text);
        let template = Template::new("$1*", &pattern).expect("a template");
        StreamLabel::Group(vec![Rule { pattern, template }])
    };
    let stream = |text: &str| Selector { stream: Some(pattern(text)), ..Selector::default() };
    match seed % 9 {
        6 => Choice { stream: group("(room_[0-9]).+"), ..Choice::default() },
        7 => Choice { exclude: vec![stream("room_1.*|1room|x.*")], ..Choice::default() },
        8 => Choice {
            stream: StreamLabel::Drop,
            include: vec![Selector { app: Some(pattern("live1")), ..stream("room.*") }],
            exclude: Vec::new(),
        },
        _ => Choice::default(),
    }
}

/// One of `options`.
pub(super) fn one_of<T: Copy>(dice: &mut fastrand::Rng, options: &[T]) -> T {
    options[dice.usize(..options.len())]
}

/// True so often of a hundred times.
pub(super) fn percent(dice: &mut fastrand::Rng, share: u8) -> bool {
    dice.u8(..100) < share
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let dice = &mut dice;
        let calm = percent(dice, 15);
        let steady = calm || percent(dice, 35);
        let interval = one_of(dice, &[10, 30, 30, 60, 300]);
        let length = (interval * dice.u64(25..70)).max(900);
        let short = percent(dice, 15);
        let lookback = if short { length / dice.u64(2..5) } else { (length * dice.u64(15..40) / 10).max(HOUR) };
        let pace = pace(dice, interval, lookback, length);
        let late_rows_for = (lookback * 8 / 10).min(length * 8 / 10);
        let terms = Terms {
            series_limit: if percent(dice, 10) { dice.u64(5..30) } else { 100_000 },
            labels: choice(seed),
            hold_max: Duration::from_secs(one_of(dice, &[0, 30, 75, 75, 75, 200])),
            // Long enough for every scraper to come twice.
            idle_ttl: Duration::from_secs(if seed % 4 == 3 { 300 } else { 0 }),
        };
        let hold_max = terms.hold_max;
        let mut habits = habits(dice, calm, steady);
        let life = (!calm && percent(dice, 60)).then(|| one_of(dice, &[20, 60, 200, 600]));
        let disasters = if calm { Vec::new() } else { disasters(dice, length, lookback, steady) };
        let storm = dice.u16(..1000) == 0;
        let events = traffic::events(dice, length, lookback, late_rows_for, steady, storm);
        if events.len() > 2_000 {
            // Ten rows at a time, that would take hours.
            habits.page_rows = 100;
        }
        let one_by_one = percent(dice, 20);
        Self {
            pace,
            terms,
            domains: if one_by_one { traffic::DOMAINS.map(Name::from).to_vec() } else { Vec::new() },
            apps: if one_by_one && dice.bool() { traffic::APPS.map(Name::from).to_vec() } else { Vec::new() },
            discover_domains: dice.bool(),
            requests_per_second: one_of(dice, &[5.0, 5.0, 20.0]),
            disk: DiskHabits {
                commits_fail: if calm { 0.0 } else { one_of(dice, &[0.0, 0.0, 0.02, 0.1]) },
                openings_fail: if calm { 0.0 } else { one_of(dice, &[0.0, 0.01, 0.2]) },
            },
            slow: if calm || !percent(dice, 10) { 0 } else { dice.u64(1..20) },
            requests_fail: if calm { 0.0 } else { one_of(dice, &[0.0, 0.03, 0.1, 0.3]) },
            life,
            clock_offset: if calm { 0 } else { one_of(dice, &[0, 0, 0, 2, -2, 60, -60, 3600, -3600, 315_360_000]) },
            disasters,
            scrapers: scrapers(dice, hold_max, length),
            events,
            length,
            late_rows_for,
            calm,
            steady,
            with_sqlite: seed.is_multiple_of(200),
            habits,
        }
    }
}

fn pace(dice: &mut fastrand::Rng, interval: u64, lookback: u64, length: u64) -> Pace {
    let seconds = Duration::from_secs;
    let horizon = lookback * dice.u64(12..30) / 10 + 600;
    Pace {
        interval: seconds(interval),
        overlap: seconds(one_of(dice, &[5, 30, 120, 120, 120, 600]).min(lookback)),
        sweep_interval: seconds(interval * one_of(dice, &[1, 2, 2, 5])),
        sweep_lookback: seconds(lookback),
        audit_interval: seconds(if dice.bool() { length / 3 } else { 30 * 24 * HOUR }),
        horizon: seconds(horizon),
        initial_lookback: seconds(one_of(dice, &[0, 600, HOUR]).min(horizon - 1)),
        retention: seconds(30 * 24 * HOUR),
    }
}

fn habits(dice: &mut fastrand::Rng, calm: bool, steady: bool) -> Habits {
    let share = |dice: &mut fastrand::Rng, never, share| if never || percent(dice, 60) { 0.0 } else { share };
    let empty = one_of(dice, &[0.03, 0.15]);
    Habits {
        window_of: one_of(dice, &[WindowOf::Ends, WindowOf::Ends, WindowOf::Starts, WindowOf::Overlaps]),
        ends_included: dice.bool(),
        ties: one_of(dice, &[Ties::Steady, Ties::Reversed, Ties::Shuffled]),
        beyond_cap: one_of(dice, &[BeyondCap::Truncated, BeyondCap::Saturated, BeyondCap::Refused]),
        page_rows: if percent(dice, 5) { 10 } else { 100 },
        empty: share(dice, calm, empty),
        lies: share(dice, steady, 0.03),
        garbled: share(dice, steady, 0.01),
    }
}

fn disasters(dice: &mut fastrand::Rng, length: u64, lookback: u64, steady: bool) -> Vec<(u64, Disaster)> {
    let mut disasters = Vec::new();
    for _ in 0..dice.u64(0..6) {
        let at = dice.u64(length / 20..length * 8 / 10);
        let lasts = one_of(dice, &[5, 60, 200, 600]).min(length / 10).min(lookback / 20);
        let disaster = match dice.u8(..8) {
            0 => {
                // Clocks are set right again.
                disasters.push((at + dice.u64(30..=length / 10), Disaster::ClockSet(0)));
                Disaster::ClockSet(one_of(dice, &[3600, -3600, 315_360_000, -315_360_000]))
            }
            1 => Disaster::Pause(lasts),
            2 => Disaster::FullDisk(lasts),
            3 => Disaster::Outage(lasts),
            4 => Disaster::Refusal(lasts),
            5 if !steady => Disaster::Hush(lasts),
            6 => {
                let overlap = one_of(dice, &[5, 30, 120, 600]);
                Disaster::Reload { percent: one_of(dice, &[50, 80, 100, 150, 300]), overlap }
            }
            _ => Disaster::Restart(lasts),
        };
        disasters.push((at, disaster));
    }
    disasters.sort_by_key(|(at, _)| *at);
    disasters
}

fn scrapers(dice: &mut fastrand::Rng, hold_max: Duration, length: u64) -> Vec<ScraperPlan> {
    let twins = dice.bool();
    (0..dice.u8(0..4))
        .map(|n| {
            let connection_each = !twins && percent(dice, 20);
            ScraperPlan {
                user_agent: if twins { "Prometheus/3.5.3".into() } else { format!("scraper {n}") },
                starts: if dice.bool() { 0 } else { dice.u64(..length / 2) },
                interval: dice.u64(5..=hold_max.as_secs().max(30) * 4 / 10),
                fails: if dice.bool() { 0.0 } else { 0.05 },
                connection_each,
            }
        })
        .collect()
}

/// The second at which late rows have all come in.
pub(super) fn over(plan: &Plan) -> i64 {
    let end = START + i64::try_from(plan.length + plan.late_rows_for).expect("runs are short");
    plan.events.iter().map(|event| event.shown_from + 1).fold(end, i64::max)
}
