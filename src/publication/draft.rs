//! Counting on paper, before it is durable.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::shares::Shares;
use super::{OVERFLOW, Publication};
use crate::clock::UnixSeconds;
use crate::ledger::{
    DomainAdd, DomainBooks, DomainId, DomainTotals, Exemplar, NewDomain, NewSeries, Posting, SeriesAdd, SeriesId,
    StreamLabels,
};
use crate::reason::{Class, Reason};

/// A disconnect to be counted, with its names as label values.
#[derive(Debug)]
pub struct Happening<'a> {
    /// The account it came from.
    pub account: &'a str,
    /// `domain`
    pub domain: &'a str,
    /// `app`
    pub app: &'a str,
    /// `stream`
    pub stream: &'a str,
    /// Why.
    pub reason: Reason,
    /// When.
    pub end: UnixSeconds,
    /// How long the push had lasted, in seconds.
    pub lasted: u64,
    /// Start timestamp for what appears with it.
    pub created: UnixSeconds,
    /// Whether it belongs to the baseline: it ended before the exporter first started.
    pub in_baseline: bool,
}

/// What a posting is going to add.
#[derive(Debug)]
pub struct Draft<'a> {
    publication: &'a Publication,
    series: BTreeMap<SeriesId, SeriesAdd>,
    new_series: HashMap<StreamLabels, SeriesId>,
    domains: BTreeMap<DomainId, DomainAdd>,
    new_domains: HashMap<Arc<str>, DomainId>,
    exemplars: BTreeMap<(DomainId, Reason), Exemplar>,
    shares: Shares,
    overflowed: u64,
    full_domains: BTreeSet<Arc<str>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(publication: &'a Publication) -> Self {
        Self {
            publication,
            series: BTreeMap::new(),
            new_series: HashMap::new(),
            domains: BTreeMap::new(),
            new_domains: HashMap::new(),
            exemplars: BTreeMap::new(),
            shares: publication.shares.clone(),
            overflowed: 0,
            full_domains: BTreeSet::new(),
        }
    }

    /// Adds one disconnect.
    pub fn count(&mut self, happening: &Happening<'_>) {
        let domain = self.domain(happening.account, happening.domain, happening.created);
        self.count_stream(happening, &domain);
        let id = self.domain_id(&domain);
        let latest = (id, happening.reason);
        if is_latest(happening.end, self.exemplars.get(&latest)) {
            self.exemplars.insert(latest, Exemplar { stream: happening.stream.into(), end: happening.end });
        }
        let add = self.domains.get_mut(&id).expect("`domain` has put it on the sheet");
        let class = happening.reason.class();
        *add.disconnects.entry(happening.reason).or_default() += 1;
        let class_add = add.classes.entry(class).or_default();
        class_add.durations.observe(happening.lasted);
        class_add.last_end = class_add.last_end.max(happening.end);
        if happening.in_baseline {
            *add.baseline_disconnects.entry(happening.reason).or_default() += 1;
            add.baseline_classes.entry(class).or_default().observe(happening.lasted);
        }
    }

    /// Makes sure that the class families of a domain exist, at 0 if nothing has happened in it.
    pub fn introduce(&mut self, account: &str, domain: &str, created: UnixSeconds) {
        self.domain(account, domain, created);
    }

    /// Disconnects that did not find a place of their own.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// The domains of those that did not.
    #[must_use]
    pub fn full_domains(&self) -> &BTreeSet<Arc<str>> {
        &self.full_domains
    }

    /// The domains that something is added to, as labels.
    pub fn domains(&self) -> impl Iterator<Item = &Arc<str>> {
        let publication = self.publication;
        let name = |id: DomainId| publication.domains.get(id as usize).map(|domain| &domain.name);
        self.domains.values().filter_map(move |add| add.new.as_ref().map(|new| &new.name).or_else(|| name(add.id)))
    }

    /// Disconnects that the stream counter leaves out.
    #[must_use]
    pub fn excluded(&self) -> u64 {
        self.domains.values().flat_map(|add| add.excluded.values()).sum()
    }

    /// Writes the sheet into `posting`.
    pub fn write_into(self, posting: &mut Posting) {
        posting.series = self.series.into_values().collect();
        let changes = |add: &DomainAdd| add.new.is_some() || !add.disconnects.is_empty();
        posting.domains = self.domains.into_values().filter(changes).collect();
        posting.exemplars = self.exemplars;
    }

    fn count_stream(&mut self, happening: &Happening<'_>, domain: &Arc<str>) {
        let Publication { terms, key, .. } = self.publication;
        let Some(stream) = terms.labels.stream(domain, happening.app, happening.stream, key) else {
            let add = self.domains.get_mut(&self.domain_id(domain)).expect("`domain` has put it on the sheet");
            *add.excluded.entry(happening.reason).or_default() += 1;
            if happening.in_baseline {
                *add.baseline_excluded.entry(happening.reason).or_default() += 1;
            }
            return;
        };
        let labels = |app: &str, stream: &str| StreamLabels {
            domain: Arc::clone(domain),
            app: app.into(),
            stream: stream.into(),
            reason: happening.reason,
        };
        let mut wanted = labels(happening.app, &stream);
        let mut id = self.series_id(&wanted);
        if id.is_none() && !self.has_place(domain) {
            self.overflowed += 1;
            self.full_domains.insert(Arc::clone(domain));
            wanted = labels(happening.app, OVERFLOW);
            id = self.series_id(&wanted);
            if id.is_none() && self.shares.apps_fold(terms.series_limit) {
                wanted = labels(OVERFLOW, OVERFLOW);
                id = self.series_id(&wanted);
            }
        }
        let id = id.unwrap_or_else(|| self.open_series(wanted, happening));
        let returns = self.publication.streams.is_idle(id);
        let add = self.series.entry(id).or_insert(SeriesAdd { returns, ..SeriesAdd::new(id) });
        add.total += 1;
        add.baseline += u64::from(happening.in_baseline);
    }

    fn series_id(&self, labels: &StreamLabels) -> Option<SeriesId> {
        let StreamLabels { domain, app, stream, reason } = labels;
        let known = self.publication.streams.find(domain, app, stream, *reason);
        known.or_else(|| self.new_series.get(labels).copied())
    }

    fn has_place(&self, domain: &Arc<str>) -> bool {
        let known = self.publication.domains.len() + self.new_domains.len();
        self.shares.has_place(self.domain_id(domain), known, self.publication.terms.series_limit)
    }

    fn series_count(&self) -> u64 {
        (self.publication.streams.len() + self.new_series.len()) as u64
    }

    fn open_series(&mut self, labels: StreamLabels, happening: &Happening<'_>) -> SeriesId {
        let id = SeriesId::try_from(self.series_count()).expect("the series limit is far below 2^32");
        self.shares.add(self.domain_id(&labels.domain), &labels);
        self.new_series.insert(labels.clone(), id);
        let new = Some(NewSeries { labels, created: happening.created });
        self.series.insert(id, SeriesAdd { new, ..SeriesAdd::new(id) });
        id
    }

    fn domain(&mut self, account: &str, name: &str, created: UnixSeconds) -> Arc<str> {
        let known = self.publication.by_domain.get_key_value(name);
        let known = known.or_else(|| self.new_domains.get_key_value(name)).map(|(name, id)| (Arc::clone(name), *id));
        let (name, id, new) = if let Some((name, id)) = known {
            (name, id, None)
        } else {
            let count = self.publication.domains.len() + self.new_domains.len();
            let id = DomainId::try_from(count).expect("domains are far fewer than 2^32");
            let name: Arc<str> = name.into();
            self.new_domains.insert(Arc::clone(&name), id);
            let new = NewDomain { name: Arc::clone(&name), account: account.to_owned(), created };
            (name, id, Some(new))
        };
        self.domains.entry(id).or_insert_with(|| DomainAdd {
            id,
            new,
            disconnects: BTreeMap::new(),
            classes: BTreeMap::new(),
            baseline_disconnects: BTreeMap::new(),
            excluded: BTreeMap::new(),
            baseline_excluded: BTreeMap::new(),
            baseline_classes: BTreeMap::new(),
        });
        name
    }

    fn domain_id(&self, name: &Arc<str>) -> DomainId {
        let known = self.publication.by_domain.get(name).or_else(|| self.new_domains.get(name));
        *known.expect("`domain` has given it an id")
    }
}

/// Whether a disconnect that ended at `end` takes the place of `known`: of one second, the one counted last is the latest.
pub(super) fn is_latest(end: UnixSeconds, known: Option<&Exemplar>) -> bool {
    known.is_none_or(|known| end >= known.end)
}

pub(super) fn new_domain(new: &NewDomain) -> DomainBooks {
    DomainBooks {
        name: Arc::clone(&new.name),
        account: new.account.clone(),
        created: new.created,
        held: true,
        total: DomainTotals::default(),
        baseline: DomainTotals::default(),
        last_end: [None; Class::ALL.len()],
    }
}

pub(super) fn add_to_domain(domain: &mut DomainBooks, add: &DomainAdd) {
    for (reason, count) in &add.disconnects {
        domain.total.disconnects[*reason as usize] += count;
    }
    for (reason, count) in &add.baseline_disconnects {
        domain.baseline.disconnects[*reason as usize] += count;
    }
    for (reason, count) in &add.excluded {
        domain.total.excluded[*reason as usize] += count;
    }
    for (reason, count) in &add.baseline_excluded {
        domain.baseline.excluded[*reason as usize] += count;
    }
    for (class, class_add) in &add.classes {
        domain.total.durations[*class as usize].add(&class_add.durations);
        let last_end = &mut domain.last_end[*class as usize];
        *last_end = (*last_end).max(Some(class_add.last_end));
    }
    for (class, durations) in &add.baseline_classes {
        domain.baseline.durations[*class as usize].add(durations);
    }
}
