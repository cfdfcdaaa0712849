//! Faults of the catalogue (`FAULTS.md`) that only a simulated day can show, one at a time.

use std::time::Duration;

use super::life::{ACCOUNT, Machine};
use super::plan::{Disaster, Plan};
use super::run::run_plan;
use crate::support::metrics::Metrics;

/// Runs a plan that must come out right, and looks at the exporter's own metrics at its end. Returns how many sessions had
/// to be counted exactly once.
fn comes_out_right(plan: Plan, seed: u64, look: impl FnOnce(&Metrics)) -> u64 {
    let looked = |machine: &Machine| look(&machine.page());
    let outcome = run_plan(plan, seed, None, false, looked);
    assert_eq!(outcome.broken, None, "seed {seed}");
    outcome.tally.due
}

fn failures(metrics: &Metrics, error: &str) -> u64 {
    let labels = [("account", ACCOUNT), ("kind", "poll"), ("error", error)];
    metrics.count("tencent_live_exporter_poll_failures_total", &labels)
}

#[test]
fn c1_a_clock_that_jumps_by_hours_and_years_costs_no_count_and_is_told() {
    let mut due = 0;
    for (seed, offset) in (300..).zip([3600, -3600, 315_360_000, -315_360_000]) {
        let mut plan = Plan::on_a_good_day(seed);
        let third = plan.length / 3;
        plan.disasters = vec![(third, Disaster::ClockSet(offset)), (third * 2, Disaster::ClockSet(0))];
        due += comes_out_right(plan, seed, |metrics| {
            let before_memory = offset < -1_000_000;
            assert_eq!(failures(metrics, "clock") > 0, before_memory, "offset {offset}");
        });
    }
    assert!(due > 100, "{due}");
}

#[test]
fn what_the_first_start_finds_is_baseline_for_every_domain_that_is_asked_one_by_one() {
    let mut due = 0;
    for seed in 340..346 {
        let domains = super::traffic::DOMAINS.map(Into::into).to_vec();
        let plan = Plan { domains, calm: true, ..Plan::on_a_good_day(seed) };
        due += comes_out_right(plan, seed, |metrics| assert_eq!(failures(metrics, "clock"), 0));
    }
    assert!(due > 100, "{due}");
}

#[test]
fn c3_a_machine_that_sleeps_goes_on_from_the_watermark() {
    let mut due = 0;
    for seed in 310..314 {
        let mut plan = Plan::on_a_good_day(seed);
        plan.disasters = vec![(plan.length / 2, Disaster::Pause(plan.length / 10))];
        due += comes_out_right(plan, seed, |metrics| assert_eq!(failures(metrics, "clock"), 0));
    }
    assert!(due > 100, "{due}");
}

#[test]
fn k2_settings_that_change_while_it_runs_cost_no_count_whether_memory_shrinks_or_grows() {
    let mut due = 0;
    let both = [(50, 300), (300, 50), (80, 150), (100, 100)];
    for (seed, (one, other)) in (350..).zip(both.into_iter().cycle().take(12)) {
        let mut plan = Plan::on_a_good_day(seed);
        // Those that come less often are promised nothing.
        plan.scrapers.retain(|scraper| Duration::from_secs(scraper.interval) < plan.terms.hold_max);
        let third = plan.length / 3;
        let reload = |percent| Disaster::Reload { percent, overlap: if seed % 2 == 0 { 30 } else { 120 } };
        plan.disasters = vec![(third, reload(one)), (third + 3, reload(other)), (third * 2, reload(one))];
        due += comes_out_right(plan, seed, |metrics| assert_eq!(failures(metrics, "clock"), 0));
    }
    assert!(due > 100, "{due}");
}

#[test]
fn c7_polls_that_take_longer_than_their_interval_neither_overlap_nor_starve_the_sweeps() {
    let mut due = 0;
    for seed in 320..323 {
        let mut plan = Plan::on_a_good_day(seed);
        plan.slow = plan.pace.interval.as_secs() + 5;
        due += comes_out_right(plan, seed, |metrics| {
            let passes = |kind| {
                let labels = [("account", ACCOUNT), ("kind", kind)];
                metrics.count("tencent_live_exporter_polls_total", &labels)
            };
            assert!(passes("poll") > 10 && passes("sweep") > 5, "{} {}", passes("poll"), passes("sweep"));
        });
    }
    assert!(due > 100, "{due}");
}

#[test]
fn e1_e2_e4_e5_lives_of_a_few_effects_each_count_everything_once() {
    let mut due = 0;
    for seed in 330..340 {
        let plan = Plan { life: Some(12), ..Plan::on_a_good_day(seed) };
        due += comes_out_right(plan, seed, |metrics| assert_eq!(failures(metrics, "clock"), 0));
    }
    assert!(due > 100, "{due}");
}
