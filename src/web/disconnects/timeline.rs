//! The timeline: a bar for each piece of the range, stacked by class, drawn as SVG without words or styles of its own, so
//! that it stretches to any width. What it shows stands beside it as text and as a table.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::filters::Range;
use super::view::{View, swatch};
use super::words::{self, number};
use crate::ledger::{RecordSummary, SummaryBucket};
use crate::reason::Class;

/// Height of the drawing in its own units.
const HEIGHT: u64 = 1_000;
/// Width of a piece, and of the gap in it.
const STEP: usize = 10;
const GAP: usize = 1;

/// From the bottom upwards: what needs somebody first, what is everyday business last.
const STACK: [Class; 13] = [
    Class::Arrears,
    Class::Service,
    Class::Auth,
    Class::Access,
    Class::Quota,
    Class::Config,
    Class::Operator,
    Class::Takeover,
    Class::Media,
    Class::Platform,
    Class::Network,
    Class::Unknown,
    Class::Client,
];

/// The section of the timeline.
pub(super) fn timeline(view: &View<'_>, summary: &RecordSummary) -> Markup {
    let sums: Vec<u64> = summary.buckets.iter().map(sum).collect();
    let top = round_up(sums.iter().copied().max().unwrap_or(0));
    html! {
        figure.timeline {
            figcaption id="timeline-text" { (caption(view, summary, &sums)) }
            div.chart {
                div.scale aria-hidden="true" {
                    span { (number(top)) }
                    @if top.is_multiple_of(2) { span { (number(top / 2)) } }
                    span { "0" }
                }
                (drawing(view, summary, top))
            }
            div.ticks aria-hidden="true" { @for tick in ticks(view, summary) { span { (tick) } } }
            (legend(view, summary))
        }
        @if summary.total > 0 { (table(view, summary)) }
    }
}

fn caption(view: &View<'_>, summary: &RecordSummary, sums: &[u64]) -> Markup {
    let total = number(summary.total);
    let width = words::duration(view.language, summary.width.unsigned_abs());
    let most = summary.buckets.iter().zip(sums).max_by_key(|(_, sum)| **sum).filter(|(_, sum)| **sum > 0);
    html! {
        strong { (total) } (view.say(" disconnects; ", " 次断流；"))
        @match view.say(0, 1) {
            0 => { "each bar is " (width) "." },
            _ => { "每柱 " (width) "。" },
        }
        @if let Some((bucket, sum)) = most {
            " " (view.say("Most at ", "最多：")) (label(view, summary, bucket)) (view.say(": ", "，"))
            (number(*sum)) (view.say(".", " 次。"))
        }
    }
}

/// One bar a bucket. A bar is a link to its own range, for those who point; the table has the same links for those who
/// do not.
fn drawing(view: &View<'_>, summary: &RecordSummary, top: u64) -> Markup {
    let width = summary.buckets.len().max(1) * STEP;
    html! {
        svg.bars viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" role="group"
            aria-labelledby="timeline-text" {
            @for part in [0, HEIGHT / 2, HEIGHT] {
                line.grid x1="0" x2=(width) y1=(part) y2=(part) {}
            }
            @for (at, bucket) in summary.buckets.iter().enumerate() {
                @if sum(bucket) > 0 {
                    a href=(narrowed(view, summary, bucket)) tabindex="-1" {
                        title { (label(view, summary, bucket)) ": " (by_class(view, bucket)) }
                        rect.room x=(at * STEP) y="0" width=(STEP) height=(HEIGHT) {}
                        @for (class, y, height) in stacked(&bucket.by_class, top) {
                            rect.{ "c-" (class.as_str()) } x=(at * STEP + GAP) y=(y) width=(STEP - 2 * GAP)
                                height=(height) {}
                        }
                    }
                }
            }
        }
    }
}

/// Where the pieces of a bar are: class, upper edge, height. Edges are those of running sums, so that no rounding adds up.
fn stacked(by_class: &BTreeMap<Class, u64>, top: u64) -> Vec<(Class, u64, u64)> {
    let place = |count: u64| proportion(count, top, HEIGHT);
    let mut below = 0;
    let mut pieces = Vec::new();
    for class in STACK {
        let count = by_class.get(&class).copied().unwrap_or(0);
        if count > 0 {
            let (from, to) = (place(below), place(below + count));
            if to > from {
                pieces.push((class, HEIGHT - to, to - from));
            }
            below += count;
        }
    }
    pieces
}

/// What `count` of `most` comes to on a scale up to `length`.
pub(super) fn proportion(count: u64, most: u64, length: u64) -> u64 {
    let place = u128::from(count.min(most)) * u128::from(length) / u128::from(most.max(1));
    u64::try_from(place).unwrap_or(length)
}

/// The classes that occur, each with its count.
fn legend(view: &View<'_>, summary: &RecordSummary) -> Markup {
    let mut totals: BTreeMap<Class, u64> = BTreeMap::new();
    for (class, count) in summary.buckets.iter().flat_map(|bucket| &bucket.by_class) {
        *totals.entry(*class).or_default() += count;
    }
    let mut totals: Vec<(Class, u64)> = totals.into_iter().filter(|(_, count)| *count > 0).collect();
    totals.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    html! {
        @if !totals.is_empty() {
            ul.legend aria-label=(view.words.by_class) {
                @for (class, count) in totals { li { (view.class(class)) " " span.count { (number(count)) } } }
            }
        }
    }
}

fn table(view: &View<'_>, summary: &RecordSummary) -> Markup {
    let mut classes: Vec<Class> = summary
        .buckets
        .iter()
        .flat_map(|bucket| bucket.by_class.iter().filter(|(_, n)| **n > 0))
        .map(|(c, _)| *c)
        .collect();
    classes.sort_unstable();
    classes.dedup();
    html! {
        details {
            summary { (view.words.timeline_table) }
            div.wide tabindex="0" role="region" aria-label=(view.words.timeline_table) {
                table.plain {
                    caption.hidden { (view.words.timeline_table) }
                    thead {
                        tr {
                            th scope="col" { (view.words.time) }
                            th.number scope="col" { (view.words.disconnects) }
                            @for class in &classes {
                                th.number scope="col" { (swatch(*class)) (words::class_name(view.language, *class)) }
                            }
                        }
                    }
                    tbody {
                        @for bucket in summary.buckets.iter().filter(|bucket| sum(bucket) > 0) {
                            tr {
                                th scope="row" {
                                    a href=(narrowed(view, summary, bucket)) { (label(view, summary, bucket)) }
                                }
                                td.number { (number(sum(bucket))) }
                                @for class in &classes {
                                    td.number { (number(bucket.by_class.get(class).copied().unwrap_or(0))) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn sum(bucket: &SummaryBucket) -> u64 {
    bucket.by_class.values().sum()
}

/// A bucket in words.
fn by_class(view: &View<'_>, bucket: &SummaryBucket) -> String {
    let counts = bucket.by_class.iter().filter(|(_, count)| **count > 0);
    let words = counts.map(|(class, count)| format!("{} {}", words::class_name(view.language, *class), number(*count)));
    words.collect::<Vec<_>>().join(view.say(", ", "，"))
}

/// The link to what ended in one bucket.
fn narrowed(view: &View<'_>, summary: &RecordSummary, bucket: &SummaryBucket) -> String {
    let start = bucket.start.max(summary.start);
    let end = (bucket.start + summary.width - 1).min(summary.end);
    view.link(|filters| filters.range = Range::Own(Some(start), Some(end)))
}

/// A bucket by the time it begins.
fn label(view: &View<'_>, summary: &RecordSummary, bucket: &SummaryBucket) -> String {
    view.zone.write(bucket.start.max(summary.start), format(summary))
}

/// Days only where there are several, seconds only where they tell something.
fn format(summary: &RecordSummary) -> &'static str {
    match (summary.end - summary.start, summary.width) {
        (_, ..60) => "%H:%M:%S",
        (..=86_400, _) => "%H:%M",
        _ => "%m-%d %H:%M",
    }
}

/// Five moments over the width of the drawing.
fn ticks(view: &View<'_>, summary: &RecordSummary) -> Vec<String> {
    let first = summary.buckets.first().map_or(summary.start, |bucket| bucket.start);
    let length = summary.width * i64::try_from(summary.buckets.len()).unwrap_or(0);
    (0..=4).map(|quarter| view.zone.write(first + length * quarter / 4, format(summary))).collect()
}

/// The next number that people like on an axis: 1, 2, 3, 4, 5, 6 or 8 times a power of ten.
fn round_up(most: u64) -> u64 {
    let mut power: u64 = 1;
    loop {
        for step in [1, 2, 3, 4, 5, 6, 8] {
            if let Some(top) = power.checked_mul(step).filter(|top| *top >= most) {
                return top;
            }
        }
        let Some(next) = power.checked_mul(10) else { return most };
        power = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_a_bar_fill_it_without_a_gap() {
        let by_class = BTreeMap::from([(Class::Client, 1), (Class::Network, 1), (Class::Auth, 1)]);
        let pieces = stacked(&by_class, 3);
        assert_eq!(pieces, [(Class::Auth, 667, 333), (Class::Network, 334, 333), (Class::Client, 0, 334)]);
        assert_eq!(
            stacked(&BTreeMap::from([(Class::Client, u64::MAX / 2)]), u64::MAX / 2),
            [(Class::Client, 0, HEIGHT)]
        );
        assert!(stacked(&BTreeMap::new(), 0).is_empty());
    }

    #[test]
    fn every_class_is_in_the_stack_once() {
        let mut stack = STACK;
        stack.sort_unstable();
        assert_eq!(stack, Class::ALL);
    }

    #[test]
    fn the_axis_ends_at_a_number_people_like() {
        for (most, top) in [(0, 1), (1, 1), (5, 5), (7, 8), (9, 10), (11, 20), (41, 50), (523, 600), (999, 1_000)] {
            assert_eq!(round_up(most), top);
        }
        assert_eq!(round_up(u64::MAX), u64::MAX);
    }
}
