//! Text 0.0.4 and OpenMetrics 1.0.0, written without any haste.

use std::fmt::Write as _;

use prometheus::proto::{Metric, MetricFamily, MetricType};
use tencent_live_exporter::metrics::names::{self, Family};
use tencent_live_exporter::publication::{DURATION_BOUNDS, Snapshot};
use tencent_live_exporter::reason::{Class, TABLE};

use super::{streams, told};

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Style {
    Text,
    OpenMetrics { created: bool },
}

/// The whole page, or of it the families called `only` if there are any.
pub(super) fn page(snapshot: &Snapshot, own: &[MetricFamily], style: Style, only: &[&str]) -> String {
    let mut page = String::new();
    for family in names::DISCONNECT_FAMILIES {
        if only.is_empty() || only.contains(&family.name) {
            page += &head(style, family.name, family.kind.as_str(), family.help);
            page += &disconnects(snapshot, style, family);
        }
    }
    for family in own.iter().filter(|family| only.is_empty() || only.contains(&family.name())) {
        let kind = match family.get_field_type() {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            MetricType::HISTOGRAM => "histogram",
            MetricType::SUMMARY | MetricType::UNTYPED => unreachable!("no collector makes these"),
        };
        page += &head(style, family.name(), kind, family.help());
        for metric in family.get_metric() {
            page += &one(style, family.name(), kind, metric);
        }
    }
    if style != Style::Text {
        page += "# EOF\n";
    }
    page
}

fn head(style: Style, name: &str, kind: &str, help: &str) -> String {
    if style == Style::Text {
        return format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }
    let family = name.strip_suffix("_total").unwrap_or(name);
    let unit = match family.rsplit('_').next() {
        Some(unit @ ("seconds" | "bytes")) => format!("# UNIT {family} {unit}\n"),
        _ => String::new(),
    };
    format!("# HELP {family} {}\n# TYPE {family} {kind}\n{unit}", help.replace('"', "\\\""))
}

/// `{name="value",…}`, and nothing where there is no label.
fn labels(pairs: &[(&str, &str)]) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

fn bound(style: Style, bound: f64) -> String {
    if style == Style::Text || bound.fract() != 0.0 { bound.to_string() } else { format!("{bound:.1}") }
}

fn disconnects(snapshot: &Snapshot, style: Style, family: &Family) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").unwrap();
    let is_created = style == Style::OpenMetrics { created: true };
    if *family == names::STREAM_DISCONNECTS {
        for (of, shown, created) in streams(snapshot) {
            let labels = labels(&[
                ("domain", &of.domain),
                ("app", &of.app),
                ("stream", &of.stream),
                ("reason", of.reason.as_str()),
            ]);
            line(format!("tencent_live_stream_disconnects_total{labels} {shown}"));
            if is_created {
                line(format!("tencent_live_stream_disconnects_created{labels} {created}"));
            }
        }
    } else if *family == names::REASON_INFO {
        for entry in &TABLE {
            let (en, zh) = (entry.en.first().copied().unwrap_or(""), entry.zh.first().copied().unwrap_or(""));
            let pairs =
                [("reason", entry.name), ("class", entry.class.as_str()), ("description", en), ("description_zh", zh)];
            line(format!("tencent_live_disconnect_reason_info{} 1", labels(&pairs)));
        }
    }
    for domain in &snapshot.domains {
        let created = domain.created;
        if *family == names::DISCONNECTS {
            for entry in &TABLE {
                let labels =
                    labels(&[("domain", &domain.domain), ("class", entry.class.as_str()), ("reason", entry.name)]);
                let exemplar = domain.exemplars.get(&entry.reason).filter(|_| style != Style::Text);
                let exemplar = exemplar.map(|latest| {
                    format!(" # {} 1 {}", self::labels(&[("stream", &told(&latest.stream))]), latest.end)
                });
                let count = domain.disconnects[entry.reason as usize];
                line(format!("tencent_live_disconnects_total{labels} {count}{}", exemplar.unwrap_or_default()));
                if is_created {
                    line(format!("tencent_live_disconnects_created{labels} {created}"));
                }
            }
        }
        for class in Class::ALL {
            let pairs = [("domain", &*domain.domain), ("class", class.as_str())];
            let durations = &domain.durations[class as usize];
            if *family == names::SESSION_DURATION {
                for (i, upper) in DURATION_BOUNDS.iter().enumerate() {
                    let labels = labels(&[pairs[0], pairs[1], ("le", &bound(style, *upper as f64))]);
                    let count: u64 = durations.buckets[..=i].iter().sum();
                    line(format!("tencent_live_session_duration_seconds_bucket{labels} {count}"));
                }
                let inf = labels(&[pairs[0], pairs[1], ("le", "+Inf")]);
                line(format!("tencent_live_session_duration_seconds_bucket{inf} {}", durations.count()));
                line(format!("tencent_live_session_duration_seconds_sum{} {}", labels(&pairs), durations.sum));
                line(format!("tencent_live_session_duration_seconds_count{} {}", labels(&pairs), durations.count()));
                if is_created {
                    line(format!("tencent_live_session_duration_seconds_created{} {created}", labels(&pairs)));
                }
            } else if *family == names::LAST_DISCONNECT
                && let Some(at) = domain.last_end[class as usize]
            {
                line(format!("tencent_live_last_disconnect_timestamp_seconds{} {at}", labels(&pairs)));
            }
        }
    }
    out
}

fn one(style: Style, name: &str, kind: &str, metric: &Metric) -> String {
    let pairs: Vec<(&str, &str)> = metric.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
    let all = labels(&pairs);
    match kind {
        "counter" => format!("{name}{all} {}\n", metric.get_counter().get_value()),
        "gauge" => format!("{name}{all} {}\n", metric.get_gauge().get_value()),
        _ => {
            let histogram = metric.get_histogram();
            let mut out = String::new();
            for bucket in histogram.get_bucket() {
                let le = bound(style, bucket.upper_bound());
                let labels = labels(&[&pairs[..], &[("le", &le)]].concat());
                writeln!(out, "{name}_bucket{labels} {}", bucket.cumulative_count()).unwrap();
            }
            let count = histogram.get_sample_count();
            let inf = labels(&[&pairs[..], &[("le", "+Inf")]].concat());
            writeln!(out, "{name}_bucket{inf} {count}").unwrap();
            writeln!(out, "{name}_sum{all} {}\n{name}_count{all} {count}", histogram.get_sample_sum()).unwrap();
            out
        }
    }
}
