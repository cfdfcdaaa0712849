//! The messages of `client_model`'s `metrics.proto`, as far as a page may have them, and the pages they should be.

use prometheus::proto::{self, MetricType};
use prost::Message;
use tencent_live_exporter::metrics::names::{self, Family, Type};
use tencent_live_exporter::publication::{DURATION_BOUNDS, Snapshot};
use tencent_live_exporter::reason::{Class, TABLE};

use super::{streams, told};

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricFamily {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(super) help: Option<String>,
    #[prost(int32, optional, tag = "3")]
    pub(super) r#type: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    pub(super) metric: Vec<Metric>,
    #[prost(string, optional, tag = "5")]
    pub(super) unit: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(message, repeated, tag = "1")]
    pub(super) label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    pub(super) gauge: Option<Gauge>,
    #[prost(message, optional, tag = "3")]
    pub(super) counter: Option<Counter>,
    #[prost(message, optional, tag = "7")]
    pub(super) histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LabelPair {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(super) value: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Gauge {
    #[prost(double, optional, tag = "1")]
    pub(super) value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Counter {
    #[prost(double, optional, tag = "1")]
    pub(super) value: Option<f64>,
    #[prost(message, optional, tag = "2")]
    pub(super) exemplar: Option<Exemplar>,
    #[prost(message, optional, tag = "3")]
    pub(super) created_timestamp: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    pub(super) sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(super) sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    pub(super) bucket: Vec<Bucket>,
    #[prost(message, optional, tag = "15")]
    pub(super) created_timestamp: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    pub(super) cumulative_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(super) upper_bound: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub(super) label: Vec<LabelPair>,
    #[prost(double, optional, tag = "2")]
    pub(super) value: Option<f64>,
    #[prost(message, optional, tag = "3")]
    pub(super) timestamp: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Timestamp {
    #[prost(int64, optional, tag = "1")]
    pub(super) seconds: Option<i64>,
}

impl Metric {
    pub(super) fn exemplar(&self) -> Option<&Exemplar> {
        self.counter.as_ref()?.exemplar.as_ref()
    }
}

/// The families of a page, which has nothing else: what is not in the messages above would make one longer.
pub(super) fn read(mut page: &[u8]) -> Vec<MetricFamily> {
    let mut families = Vec::new();
    while !page.is_empty() {
        let before = page.len();
        let family = MetricFamily::decode_length_delimited(&mut page).unwrap();
        let length = family.encoded_len();
        assert_eq!(before - page.len(), length + prost::length_delimiter_len(length), "{family:?}");
        families.push(family);
    }
    families
}

/// The whole page, or of it the families called `only` if there are any. A family without a metric is none.
pub(super) fn page(snapshot: &Snapshot, own: &[proto::MetricFamily], only: &[&str]) -> Vec<MetricFamily> {
    let disconnects = names::DISCONNECT_FAMILIES.map(|family| {
        let kind = match family.kind {
            Type::Counter => 0,
            Type::Gauge => 1,
            Type::Histogram => 4,
        };
        head(family.name, family.help, kind, disconnects(snapshot, family))
    });
    let own = own.iter().map(|family| {
        let kind = match family.get_field_type() {
            MetricType::COUNTER => 0,
            MetricType::GAUGE => 1,
            MetricType::HISTOGRAM => 4,
            MetricType::SUMMARY | MetricType::UNTYPED => unreachable!("no collector makes these"),
        };
        head(family.name(), family.help(), kind, family.get_metric().iter().map(|metric| one(kind, metric)).collect())
    });
    let mut families: Vec<_> = disconnects.into_iter().chain(own).collect();
    families.retain(|family| !family.metric.is_empty() && (only.is_empty() || only.contains(&family.name())));
    families
}

fn head(name: &str, help: &str, kind: i32, metric: Vec<Metric>) -> MetricFamily {
    let unit = name.strip_suffix("_total").unwrap_or(name).rsplit('_').next();
    let unit = unit.filter(|unit| ["seconds", "bytes"].contains(unit)).map(str::to_owned);
    MetricFamily { name: Some(name.to_owned()), help: Some(help.to_owned()), r#type: Some(kind), metric, unit }
}

fn pair(name: &str, value: &str) -> LabelPair {
    LabelPair { name: Some(name.to_owned()), value: Some(value.to_owned()) }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds: Some(seconds) }
}

fn gauge(label: Vec<LabelPair>, value: f64) -> Metric {
    Metric { label, gauge: Some(Gauge { value: Some(value) }), ..Metric::default() }
}

fn counter(
    label: Vec<LabelPair>,
    value: f64,
    exemplar: Option<Exemplar>,
    created_timestamp: Option<Timestamp>,
) -> Metric {
    let counter = Counter { value: Some(value), exemplar, created_timestamp };
    Metric { label, counter: Some(counter), ..Metric::default() }
}

fn bucket(upper: f64, count: u64) -> Bucket {
    Bucket { cumulative_count: Some(count), upper_bound: Some(upper) }
}

fn disconnects(snapshot: &Snapshot, family: &Family) -> Vec<Metric> {
    let mut metrics = Vec::new();
    if *family == names::STREAM_DISCONNECTS {
        metrics.extend(streams(snapshot).map(|(of, shown, created)| {
            let label = vec![
                pair("domain", &of.domain),
                pair("app", &of.app),
                pair("stream", &of.stream),
                pair("reason", of.reason.as_str()),
            ];
            counter(label, shown as f64, None, Some(at(created)))
        }));
    } else if *family == names::REASON_INFO {
        metrics.extend(TABLE.iter().map(|entry| {
            let (en, zh) = (entry.en.first().copied().unwrap_or(""), entry.zh.first().copied().unwrap_or(""));
            let label = vec![
                pair("reason", entry.name),
                pair("class", entry.class.as_str()),
                pair("description", en),
                pair("description_zh", zh),
            ];
            gauge(label, 1.0)
        }));
    }
    for domain in &snapshot.domains {
        if *family == names::DISCONNECTS {
            metrics.extend(TABLE.iter().map(|entry| {
                let label = vec![
                    pair("domain", &domain.domain),
                    pair("class", entry.class.as_str()),
                    pair("reason", entry.name),
                ];
                let exemplar = domain.exemplars.get(&entry.reason).map(|latest| Exemplar {
                    label: vec![pair("stream", &told(&latest.stream))],
                    value: Some(1.0),
                    timestamp: Some(at(latest.end)),
                });
                counter(label, domain.disconnects[entry.reason as usize] as f64, exemplar, Some(at(domain.created)))
            }));
        }
        for class in Class::ALL {
            let label = vec![pair("domain", &domain.domain), pair("class", class.as_str())];
            let durations = &domain.durations[class as usize];
            if *family == names::SESSION_DURATION {
                let up_to = |i: usize| durations.buckets[..=i].iter().sum();
                let buckets = DURATION_BOUNDS.iter().enumerate().map(|(i, upper)| bucket(*upper as f64, up_to(i)));
                let histogram = Histogram {
                    sample_count: Some(durations.count()),
                    sample_sum: Some(durations.sum as f64),
                    bucket: buckets.collect(),
                    created_timestamp: Some(at(domain.created)),
                };
                metrics.push(Metric { label, histogram: Some(histogram), ..Metric::default() });
            } else if *family == names::LAST_DISCONNECT
                && let Some(end) = domain.last_end[class as usize]
            {
                metrics.push(gauge(label, end as f64));
            }
        }
    }
    metrics
}

fn one(kind: i32, metric: &proto::Metric) -> Metric {
    let label = metric.get_label().iter().map(|of| pair(of.name(), of.value())).collect();
    match kind {
        0 => counter(label, metric.get_counter().get_value(), None, None),
        1 => gauge(label, metric.get_gauge().get_value()),
        _ => {
            let of = metric.get_histogram();
            let histogram = Histogram {
                sample_count: Some(of.get_sample_count()),
                sample_sum: Some(of.get_sample_sum()),
                bucket: of.get_bucket().iter().map(|of| bucket(of.upper_bound(), of.cumulative_count())).collect(),
                created_timestamp: None,
            };
            Metric { label, histogram: Some(histogram), ..Metric::default() }
        }
    }
}
