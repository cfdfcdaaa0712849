//! What is asked for, as an address says it: every choice on the page is a parameter, so that a link shows the same to
//! everybody. Names are those of `/api/v1/disconnects`; `range`, `tz` and `lang` come on top.

use std::borrow::Cow;

use super::super::layout::Language;
use super::zone::Zone;
use crate::clock::UnixSeconds;
use crate::ledger::{Cursor, PAGE_RECORDS, RecordFilter, StreamMatch};
use crate::reason::{Class, Reason};

/// The ranges that end now, by name, in seconds.
pub(super) const PRESETS: [(&str, i64); 10] = [
    ("15m", 15 * 60),
    ("1h", 3600),
    ("3h", 3 * 3600),
    ("6h", 6 * 3600),
    ("12h", 12 * 3600),
    ("24h", DAY),
    ("3d", 3 * DAY),
    ("7d", 7 * DAY),
    ("14d", 14 * DAY),
    ("30d", LONGEST),
];

/// The name of the range that has its own start and end.
pub(super) const OWN: &str = "custom";

/// Sizes of a page that are offered; any other up to [`PAGE_RECORDS`] can be written into the address.
pub(super) const SIZES: [usize; 4] = [20, 50, 100, 500];

const DEFAULT_SIZE: usize = 50;
const DAY: i64 = 86_400;
const LONGEST: i64 = 30 * DAY;

/// Longest name in bytes that can be asked for. It is in every link of a page, three bytes for one.
const NAME_BYTES: usize = 256;

/// A range of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// So many seconds up to now; one of [`PRESETS`].
    Last(i64),
    /// With a start, an end or both.
    Own(Option<UnixSeconds>, Option<UnixSeconds>),
}

impl Default for Range {
    fn default() -> Self {
        Self::Last(DAY)
    }
}

/// From when to when, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: UnixSeconds,
    pub(super) end: UnixSeconds,
    /// Whether more was asked for than can be shown at once.
    pub(super) is_cut: bool,
}

/// A parameter that means nothing. What it was is never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    Name,
    Match,
    Reason,
    Class,
    Range,
    Time,
    Order,
    Limit,
    Zone,
    Cursor,
}

/// Everything that an address can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filters {
    pub(super) records: RecordFilter,
    pub(super) range: Range,
    /// How many records a page has, from 1 to [`PAGE_RECORDS`].
    pub(super) limit: usize,
    pub(super) cursor: Option<Cursor>,
    /// UTC where none is named.
    pub(super) zone: Option<Zone>,
    /// The browser's where none is named.
    pub(super) language: Option<Language>,
}

impl Default for Filters {
    fn default() -> Self {
        Self {
            records: RecordFilter::default(),
            range: Range::default(),
            limit: DEFAULT_SIZE,
            cursor: None,
            zone: None,
            language: None,
        }
    }
}

impl Filters {
    /// Reads the query of an address, and what is wrong with it. An empty value is none, as forms send them; of a
    /// parameter that comes twice the last one counts; those of others are left alone.
    pub(super) fn read(query: &str) -> (Self, Vec<Problem>) {
        let (mut filters, mut problems) = (Self::default(), Vec::new());
        let mut read = Reader { problems: &mut problems, query };
        filters.language = read.value("lang").as_deref().and_then(Language::from_code);
        filters.zone = read.parsed("tz", Problem::Zone, Zone::named);
        filters.records.domain = read.name("domain");
        filters.records.app = read.name("app");
        let how = read.parsed("match", Problem::Match, stream_match).unwrap_or_default();
        filters.records.stream = read.name("stream").map(|stream| (stream, how));
        filters.records.reason = read.parsed("reason", Problem::Reason, Reason::from_name);
        filters.records.class = read.parsed("class", Problem::Class, class);
        let zone = filters.zone();
        let (start, end) = ["start", "end"].map(|key| read.parsed(key, Problem::Time, |text| zone.read(text))).into();
        let own = if start.is_none() && end.is_none() { Range::default() } else { Range::Own(start, end) };
        let preset = |name: &str| PRESETS.into_iter().find(|(known, _)| *known == name).map(|(_, s)| Range::Last(s));
        let range = |name: &str| if name == OWN { Some(own) } else { preset(name) };
        filters.range = read.parsed("range", Problem::Range, range).unwrap_or(own);
        if let Range::Own(Some(start), Some(end)) = filters.range
            && start > end
        {
            read.problems.push(Problem::Order);
        }
        filters.limit = read.parsed("limit", Problem::Limit, limit).unwrap_or(DEFAULT_SIZE);
        filters.cursor = read.parsed("cursor", Problem::Cursor, |text| text.parse().ok());
        problems.dedup();
        (filters, problems)
    }

    /// The query that asks for this and nothing else.
    pub(super) fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let mut add = |key, value: Option<&str>| {
            if let Some(value) = value {
                query.append_pair(key, value);
            }
        };
        let RecordFilter { domain, app, stream, reason, class } = &self.records;
        add("domain", domain.as_deref());
        add("app", app.as_deref());
        add("stream", stream.as_ref().map(|(stream, _)| stream.as_str()));
        let contains = stream.as_ref().is_some_and(|(_, how)| *how == StreamMatch::Contains);
        add("match", contains.then_some("contains"));
        add("reason", reason.map(Reason::as_str));
        add("class", class.map(Class::as_str));
        match self.range {
            range if range == Range::default() => {}
            Range::Last(seconds) => add("range", PRESETS.iter().find(|(_, s)| *s == seconds).map(|(name, _)| *name)),
            Range::Own(start, end) => {
                let utc = |at: UnixSeconds| Zone::utc().write(at, "%Y-%m-%dT%H:%M:%SZ");
                add("start", start.map(utc).as_deref());
                add("end", end.map(utc).as_deref());
            }
        }
        add("limit", (self.limit != DEFAULT_SIZE).then(|| self.limit.to_string()).as_deref());
        add("tz", self.zone.as_ref().map(Zone::name));
        add("lang", self.language.map(Language::code));
        add("cursor", self.cursor.map(|cursor| cursor.to_string()).as_deref());
        query.finish()
    }

    /// The query of the first page of the same with something changed.
    pub(super) fn with(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut changed = Self { cursor: None, ..self.clone() };
        change(&mut changed);
        changed.query()
    }

    /// What `range` comes to at `now`.
    pub(super) fn window(&self, now: UnixSeconds) -> Window {
        let (start, end) = match self.range {
            Range::Last(seconds) => (now.saturating_sub(seconds), now),
            Range::Own(Some(start), None) => {
                let end = now.max(start).min(start.saturating_add(LONGEST));
                return Window { start, end, is_cut: end < now };
            }
            Range::Own(None, end) => {
                let end = end.unwrap_or(now);
                (end.saturating_sub(DAY), end)
            }
            Range::Own(Some(start), Some(end)) => (start, end.max(start)),
        };
        let first = end.saturating_sub(LONGEST);
        Window { start: start.max(first), end, is_cut: start < first }
    }

    pub(super) fn zone(&self) -> Zone {
        self.zone.clone().unwrap_or_else(Zone::utc)
    }
}

/// Reads parameters and collects what is wrong with them.
struct Reader<'a> {
    problems: &'a mut Vec<Problem>,
    query: &'a str,
}

impl<'a> Reader<'a> {
    fn value(&self, key: &str) -> Option<Cow<'a, str>> {
        let mut values = form_urlencoded::parse(self.query.as_bytes()).filter(|(name, _)| name == key);
        let mut last = values.next()?.1;
        for (_, value) in values {
            last = value;
        }
        (!last.is_empty()).then_some(last)
    }

    fn parsed<T>(&mut self, key: &str, problem: Problem, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let value = self.value(key)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.problems.push(problem);
        }
        parsed
    }

    fn name(&mut self, key: &str) -> Option<String> {
        self.parsed(key, Problem::Name, |name| (name.len() <= NAME_BYTES).then(|| name.to_owned()))
    }
}

/// Whether a link can ask for a name.
pub(super) fn can_be_asked_for(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES
}

fn stream_match(text: &str) -> Option<StreamMatch> {
    match text {
        "exact" => Some(StreamMatch::Exact),
        "contains" => Some(StreamMatch::Contains),
        _ => None,
    }
}

fn class(name: &str) -> Option<Class> {
    Class::ALL.into_iter().find(|class| class.as_str() == name)
}

/// A whole number; more or less than a page can have becomes what it can have.
fn limit(text: &str) -> Option<usize> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = if text.starts_with('-') { 1 } else { digits.parse().unwrap_or(PAGE_RECORDS) };
    Some(number.clamp(1, PAGE_RECORDS))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixSeconds = 1_767_225_600;

    fn any_filters() -> impl Strategy<Value = Filters> {
        let name = || proptest::option::of("[^\u{0}]{1,40}");
        let how = prop_oneof![Just(StreamMatch::Exact), Just(StreamMatch::Contains)];
        let reasons: Vec<Reason> = crate::reason::TABLE.iter().map(|entry| entry.reason).collect();
        let names = (name(), name(), proptest::option::of(("\\PC{1,40}", how)));
        let opinions = (
            proptest::option::of(proptest::sample::select(reasons)),
            proptest::option::of(proptest::sample::select(Class::ALL.to_vec())),
        );
        let own = (proptest::option::of(0..NOW), proptest::option::of(NOW..NOW * 2))
            .prop_filter("a range of its own has an end", |(start, end)| start.is_some() || end.is_some())
            .prop_map(|(start, end)| Range::Own(start, end));
        let range = prop_oneof![proptest::sample::select(PRESETS.to_vec()).prop_map(|(_, s)| Range::Last(s)), own];
        let zone = proptest::option::of(proptest::sample::select(vec!["Asia/Shanghai", "+05:45", "UTC", "-03:00"]));
        let language = proptest::option::of(proptest::sample::select(Language::ALL.to_vec()));
        let cursor = proptest::option::of((0..NOW, 0..1_i64 << 59));
        (names, opinions, range, 1..=PAGE_RECORDS, zone, language, cursor).prop_map(
            |((domain, app, stream), (reason, class), range, limit, zone, language, cursor)| Filters {
                records: RecordFilter { domain, app, stream, reason, class },
                range,
                limit,
                cursor: cursor.map(|(end, id)| Cursor { end, id }),
                zone: zone.map(|name| Zone::named(name).unwrap()),
                language,
            },
        )
    }

    proptest! {
        #[test]
        fn every_choice_comes_back_from_its_address(filters in any_filters()) {
            let query = filters.query();
            prop_assert!(query.is_ascii());
            prop_assert_eq!(Filters::read(&query), (filters, vec![]), "{}", query);
        }

        #[test]
        fn any_query_is_read_and_bounded(query in ".{0,200}", now in 0..NOW * 2) {
            let (filters, _) = Filters::read(&query);
            let window = filters.window(now);
            prop_assert!((1..=PAGE_RECORDS).contains(&filters.limit));
            prop_assert!(window.start <= window.end && window.end - window.start <= LONGEST);
        }
    }

    #[test]
    fn what_a_form_sends_empty_is_not_asked_for() {
        let query = "domain=&app=&stream=&match=contains&reason=&class=&range=24h&start=&end=&limit=50&tz=&lang=";
        assert_eq!(Filters::read(query), (Filters::default(), vec![]));
        assert_eq!(Filters::default().query(), "");
    }

    #[test]
    fn what_means_nothing_is_told_by_kind() {
        let long = format!("stream={}", "x".repeat(NAME_BYTES + 1));
        for (query, problem) in [
            (long.as_str(), Problem::Name),
            ("stream=a&match=fuzzy", Problem::Match),
            ("reason=rain", Problem::Reason),
            ("class=Network", Problem::Class),
            ("range=1y", Problem::Range),
            ("start=tomorrow", Problem::Time),
            ("start=20&end=10", Problem::Order),
            ("limit=ten", Problem::Limit),
            ("limit=１０", Problem::Limit),
            ("tz=Mars/Olympus", Problem::Zone),
            ("cursor=1", Problem::Cursor),
        ] {
            assert_eq!(Filters::read(query).1, [problem], "{query}");
        }
    }

    #[test]
    fn a_preset_wins_over_a_range_of_its_own() {
        let own = Range::Own(Some(10), Some(20));
        for (query, range) in [
            ("range=1h&start=10&end=20", Range::Last(3600)),
            ("range=custom&start=10&end=20", own),
            ("start=10&end=20", own),
            ("range=custom", Range::default()),
        ] {
            assert_eq!(Filters::read(query), (Filters { range, ..Filters::default() }, vec![]), "{query}");
        }
    }

    #[test]
    fn a_range_is_thirty_days_at_most() {
        let window = |range| {
            let Window { start, end, is_cut } = Filters { range, ..Filters::default() }.window(NOW);
            (NOW - start, NOW - end, is_cut)
        };
        assert_eq!(window(Range::Last(900)), (900, 0, false));
        assert_eq!(window(Range::Own(Some(0), Some(NOW))), (LONGEST, 0, true));
        assert_eq!(window(Range::Own(Some(NOW - LONGEST), Some(NOW))), (LONGEST, 0, false));
        assert_eq!(window(Range::Own(None, Some(NOW - 5))), (DAY + 5, 5, false));
        assert_eq!(window(Range::Own(Some(NOW - 2 * LONGEST), None)), (2 * LONGEST, LONGEST, true));
        assert_eq!(window(Range::Own(Some(NOW - 60), None)), (60, 0, false));
        assert_eq!(window(Range::Own(Some(NOW + 60), None)), (-60, -60, false));
    }
}
