//! A page of ours beside those of other crates, and beside `memcpy` of the page: `cargo bench --bench ratios`.
//!
//! Prints two tables: medians, and the ratios between them with their targets. Kinds take turns, so that a busy machine
//! slows all of them; medians are compared. *Warm* follows a commit that changed 0.1 % of the series, with the page
//! before it read in the same coding; it is timed from the swapped snapshot to a page ready to be sent. Compressing
//! *afresh* is flate2 on the text of the page, at the level that pages are compressed at. `cargo bench --bench ratios --
//! 100000` takes other numbers of series.

mod peers;
#[expect(dead_code, reason = "other benches use the rest")]
mod series;
#[expect(dead_code, reason = "other benches use the rest")]
mod table;

use std::io::Write as _;

use flate2::write::GzEncoder;
use tencent_live_exporter::metrics::exposition::Coding::{Gzip, Identity};

use self::peers::Peer;
use self::series::{CHANGED, Changes, GZIP_LEVEL, Ours, Where, length};
use self::table::Target::{AtLeast, AtMost};
use self::table::{Times, over, rounded};

/// What is timed of ours.
#[derive(Default)]
struct Kinds {
    memcpy: Times,
    again: Times,
    anywhere: Times,
    neighbours: Times,
    fresh: Times,
    afresh: Times,
    gzip_anywhere: Times,
    gzip_neighbours: Times,
    gzip_fresh: Times,
    /// Bytes of the page: of ours in gzip, and of gzip afresh.
    sizes: [usize; 2],
}

impl Kinds {
    fn named(&self) -> [(&'static str, &Times); 9] {
        [
            ("`memcpy` of the page", &self.memcpy),
            ("ours, text: again, the same snapshot", &self.again),
            ("ours, text: warm, changed anywhere", &self.anywhere),
            ("ours, text: warm, neighbours changed", &self.neighbours),
            ("ours, text: nothing kept from before", &self.fresh),
            ("gzip of the whole text afresh, `flate2`", &self.afresh),
            ("ours, gzip: warm, changed anywhere", &self.gzip_anywhere),
            ("ours, gzip: warm, neighbours changed", &self.gzip_neighbours),
            ("ours, gzip: nothing kept from before", &self.gzip_fresh),
        ]
    }
}

/// One turn of everything of ours.
fn turn(kinds: &mut Kinds, ours: &mut Ours, changes: &mut Changes, count: u64, scratch: &mut Vec<u8>) {
    let text = ours.page(Identity).concat();
    scratch.resize(text.len(), 0);
    kinds.memcpy.time(|| scratch.copy_from_slice(&text));
    kinds.sizes[1] = kinds.afresh.time(|| {
        let mut gzip = GzEncoder::new(Vec::new(), GZIP_LEVEL);
        gzip.write_all(&text).and_then(|()| gzip.finish()).expect("a Vec takes every write").len()
    });
    drop(text);
    for (place, plain, gzip) in [
        (Where::Neighbours, &mut kinds.neighbours, &mut kinds.gzip_neighbours),
        (Where::Anywhere, &mut kinds.anywhere, &mut kinds.gzip_anywhere),
    ] {
        ours.change(&changes.choose(count / CHANGED, place));
        plain.time(|| length(&ours.page(Identity)));
        gzip.time(|| length(&ours.page(Gzip)));
    }
    kinds.again.time(|| length(&ours.page(Identity)));
    kinds.fresh.time(|| length(&ours.fresh(Identity)));
    kinds.sizes[0] = kinds.gzip_fresh.time(|| length(&ours.fresh(Gzip)));
}

fn measure(count: u64, rounds: usize) -> (Kinds, Vec<(&'static str, Times)>) {
    table::progress(format!("{count} series: filling ours"));
    let mut ours = Ours::new(count);
    table::progress(format!("{count} series: filling the others"));
    let mut peers = peers::all(|| Box::new(series::all(count)));
    let mut peer_times: Vec<_> = peers.iter().map(|peer| (peer.name(), Times::default())).collect();
    let mut kinds = Kinds::default();
    let mut changes = Changes::new(count);
    let mut scratch = Vec::new();
    // What every kind keeps from scrape to scrape is there before the first turn.
    length(&ours.page(Identity));
    length(&ours.page(Gzip));
    for peer in &mut peers {
        assert!(peer.scrape() > 0);
    }
    for round in 1..=rounds {
        table::progress(format!("{count} series: round {round} of {rounds}"));
        turn(&mut kinds, &mut ours, &mut changes, count, &mut scratch);
        for (peer, (_, times)) in peers.iter_mut().zip(&mut peer_times) {
            times.time(|| Peer::scrape(peer.as_mut()));
        }
    }
    (kinds, peer_times)
}

fn main() {
    let counts = table::counts(&[100_000, 1_000_000]);
    let results: Vec<_> =
        counts.iter().map(|count| (*count, measure(*count, if *count > 500_000 { 7 } else { 21 }))).collect();
    table::head(&["series", "what is timed", "median", "per series"]);
    for (count, (kinds, peers)) in &results {
        for (name, times) in kinds.named().into_iter().chain(peers.iter().map(|(name, times)| (*name, times))) {
            let median = times.median();
            let per_series = format!("{} ns", table::three_digits(median.as_secs_f64() * 1e9 / *count as f64));
            table::line(&[count, &name, &rounded(median), &per_series]);
        }
    }
    table::head(&["series", "0.1 % of the series changed since the last scrape", "ratio", "target"]);
    for (count, (kinds, peers)) in &results {
        let warm = kinds.anywhere.median();
        // The targets are set for a million.
        let row =
            |what: &str, value, target| table::ratio(*count, what, value, (*count >= 1_000_000).then_some(target));
        row("text, warm, over `memcpy` of the page", over(warm, kinds.memcpy.median()), AtMost(0.2));
        let [crate_prometheus, others @ ..] = &peers[..] else { unreachable!("peers come from a list") };
        let (best, best_time) =
            peers.iter().map(|(name, times)| (*name, times.median())).min_by_key(|(_, time)| *time).expect("not empty");
        row(&format!("{best}, the best of them, over text, warm"), over(best_time, warm), AtLeast(50.0));
        row(
            &format!("{} over text, warm", crate_prometheus.0),
            over(crate_prometheus.1.median(), warm),
            AtLeast(500.0),
        );
        for (name, times) in others.iter().filter(|(name, _)| *name != best) {
            table::ratio(*count, &format!("{name} over text, warm"), over(times.median(), warm), None);
        }
        let afresh = kinds.afresh.median();
        row("gzip afresh over gzip, warm, changed anywhere", over(afresh, kinds.gzip_anywhere.median()), AtLeast(5.0));
        row(
            "gzip afresh over gzip, warm, neighbours changed",
            over(afresh, kinds.gzip_neighbours.median()),
            AtLeast(40.0),
        );
        row("size in gzip over the size of gzip afresh", kinds.sizes[0] as f64 / kinds.sizes[1] as f64, AtMost(1.1));
    }
}
