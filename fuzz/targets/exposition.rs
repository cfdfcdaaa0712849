//! Any names and counts, to a page and back.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use libfuzzer_sys::fuzz_target;
use tencent_live_exporter::metrics::exposition::{Coding, Exposition, Format};
use tencent_live_exporter::metrics::{OwnMetrics, POLL_ERRORS};
use tencent_live_exporter_fuzz::books::Books;
use tencent_live_exporter_fuzz::page::{self, Sample};

/// Formats, and whether lines of start times are asked for.
const STYLES: [(Format, bool); 3] = [(Format::Text, true), (Format::OpenMetrics, false), (Format::OpenMetrics, true)];

static OWN: LazyLock<Arc<OwnMetrics>> = LazyLock::new(|| {
    let accounts = ["main".to_owned()];
    let own = OwnMetrics::new(&accounts, Duration::from_secs(30), 50_000, &["ok"], &["action"], POLL_ERRORS);
    Arc::new(own.expect("names are written once"))
});

/// The samples on a page on which nothing has happened: the taxonomy.
static NOTHING: LazyLock<Vec<Sample>> = LazyLock::new(|| disconnects(&Books::default(), Format::Text, false));

fuzz_target!(init: {
    page::refuses_what_is_no_page();
    for (format, created) in STYLES {
        let page = exposition(&Books::default(), created).page(format, Coding::Identity).concat();
        page::read(&page, format == Format::OpenMetrics).expect("a whole page of the exporter's own metrics");
    }
}, |script: &[u8]| {
    let books = Books::read(script);
    for (format, created) in STYLES {
        let openmetrics = format == Format::OpenMetrics;
        let le = |bound| format!("{bound}{}", if openmetrics { ".0" } else { "" });
        let mut expected = books.samples(created && openmetrics, le);
        expected.extend_from_slice(&NOTHING);
        expected.sort();
        assert_eq!(disconnects(&books, format, created), expected, "{format:?}");
    }
});

/// The families about disconnects, read strictly.
fn disconnects(books: &Books, format: Format, created: bool) -> Vec<Sample> {
    let mut page = exposition(books, created).disconnects(format).concat();
    let openmetrics = format == Format::OpenMetrics;
    if openmetrics {
        page.extend_from_slice(b"# EOF\n");
    }
    page::read(&page, openmetrics).unwrap_or_else(|wrong| panic!("{format:?}: {wrong}"))
}

fn exposition(books: &Books, created: bool) -> Exposition {
    Exposition::new(Arc::new(ArcSwap::from_pointee(books.snapshot())), Arc::clone(&OWN), created)
}
