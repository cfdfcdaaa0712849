//! Which page a client gets: `Accept` and `Accept-Encoding`, RFC 9110 12.5, as `client_golang` reads them.
//!
//! Nothing is ever refused: a client that accepts none of our formats gets text 0.0.4, as from every exporter. A
//! wildcard means text 0.0.4 too, since browsers and `curl` send it.

use super::{Coding, Format};

/// A format and how it names itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The format.
    pub format: Format,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
}

/// How names outside `[a-zA-Z0-9_:]` are to be written: `escaping`, prometheus.io "UTF-8 escaping schemes". None of ours
/// is, so a page is the same in all schemes, and each is told back to whom asked for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Escaping {
    #[default]
    Unasked,
    AllowUtf8,
    Underscores,
    Dots,
    Values,
}

/// The content type of a format by [`Escaping`].
type ContentTypes = [&'static str; 5];

macro_rules! content_types {
    ($plain:literal) => {
        [
            $plain,
            concat!($plain, "; escaping=allow-utf-8"),
            concat!($plain, "; escaping=underscores"),
            concat!($plain, "; escaping=dots"),
            concat!($plain, "; escaping=values"),
        ]
    };
}

const TEXT: ContentTypes = content_types!("text/plain; version=0.0.4; charset=utf-8");
const OPENMETRICS: ContentTypes = content_types!("application/openmetrics-text; version=1.0.0; charset=utf-8");
/// The draft before 1.0.0; our pages are the same in both.
const OPENMETRICS_DRAFT: ContentTypes = content_types!("application/openmetrics-text; version=0.0.1; charset=utf-8");
const PROTOBUF: ContentTypes =
    content_types!("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited");

/// The format for an `Accept` header; empty where the client sent none.
#[must_use]
pub fn format(accept: &str) -> Offer {
    let mut ranges: Vec<Range<'_>> = accept.split(',').filter_map(Range::parse).collect();
    // Stable: what is asked for equally comes in the client's order, wildcards behind what is named.
    ranges.sort_by(|a, b| b.quality.total_cmp(&a.quality).then(a.wildcards().cmp(&b.wildcards())));
    let refused = |name: &str| ranges.iter().any(|range| range.name.eq_ignore_ascii_case(name) && range.quality <= 0.0);
    let text = (Format::Text, &TEXT);
    let wildcard = if refused("text/plain") && !refused("application/openmetrics-text") {
        (Format::OpenMetrics, &OPENMETRICS)
    } else {
        text
    };
    let mut escaping = Escaping::default();
    let mut wanted = ranges.iter().filter(|range| range.quality > 0.0);
    let found = wanted.find_map(|range| {
        // As in `expfmt`, what a range asks for holds for the less wanted ones too: a Prometheus that wants text 1.0.0,
        // which nobody writes yet, gets 0.0.4 for its wildcard with the scheme it named.
        escaping = range.escaping().unwrap_or(escaping);
        range.offer(wildcard)
    });
    let (format, content_types) = found.unwrap_or(text);
    Offer { format, content_type: content_types[escaping as usize] }
}

/// The coding for an `Accept-Encoding` header; empty where the client sent none.
#[must_use]
pub fn coding(accept_encoding: &str) -> Coding {
    let ranges: Vec<Range<'_>> = accept_encoding.split(',').filter_map(Range::parse).collect();
    let asked = |names: &[&str]| {
        ranges.iter().find(|range| names.iter().any(|name| range.name.eq_ignore_ascii_case(name))).map(|r| r.quality)
    };
    let any = asked(&["*"]);
    let gzip = asked(&["gzip", "x-gzip"]).or(any).unwrap_or(0.0);
    let zstd = asked(&["zstd"]).or(any).unwrap_or(0.0);
    // Plain is always acceptable unless refused, and least wanted unless asked for.
    let plain = asked(&["identity"]).unwrap_or(0.0);
    // Where both are as welcome, zstd: it takes about as long and is a fifth smaller (`cargo bench --bench codings`).
    // Prometheus asks for gzip alone, browsers and curl for both.
    let (packed, coding) = if zstd >= gzip { (zstd, Coding::Zstd) } else { (gzip, Coding::Gzip) };
    if packed > 0.0 && packed >= plain { coding } else { Coding::Identity }
}

/// One element of either header.
struct Range<'a> {
    name: &'a str,
    parameters: &'a str,
    quality: f32,
}

impl<'a> Range<'a> {
    /// An element whose quality is not a number from 0 to 1 is left out.
    fn parse(element: &'a str) -> Option<Self> {
        let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
        let mut range = Self { name: name.trim(), parameters, quality: 1.0 };
        if let Some(quality) = range.parameter("q") {
            range.quality = quality.parse().ok().filter(|quality| (0.0..=1.0).contains(quality))?;
        }
        (!range.name.is_empty()).then_some(range)
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.split(';').find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
        })
    }

    fn wildcards(&self) -> usize {
        self.name.matches('*').count()
    }

    fn escaping(&self) -> Option<Escaping> {
        match self.parameter("escaping")? {
            "allow-utf-8" => Some(Escaping::AllowUtf8),
            "underscores" => Some(Escaping::Underscores),
            "dots" => Some(Escaping::Dots),
            "values" => Some(Escaping::Values),
            _ => None,
        }
    }

    fn offer(&self, wildcard: (Format, &'static ContentTypes)) -> Option<(Format, &'static ContentTypes)> {
        match (self.name.to_ascii_lowercase().as_str(), self.parameter("version")) {
            ("application/vnd.google.protobuf", _) => {
                let is_ours = self.parameter("proto") == Some("io.prometheus.client.MetricFamily")
                    && self.parameter("encoding") == Some("delimited");
                is_ours.then_some((Format::Protobuf, &PROTOBUF))
            }
            ("application/openmetrics-text", None | Some("" | "1.0.0")) => Some((Format::OpenMetrics, &OPENMETRICS)),
            ("application/openmetrics-text", Some("0.0.1")) => Some((Format::OpenMetrics, &OPENMETRICS_DRAFT)),
            ("text/plain", None | Some("" | "0.0.4")) | ("text/*", None) => Some((Format::Text, &TEXT)),
            ("*/*", None) => Some(wildcard),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = super::TEXT[0];
    const TEXT_UTF8: &str = super::TEXT[Escaping::AllowUtf8 as usize];
    const OPENMETRICS: &str = super::OPENMETRICS[0];
    const OPENMETRICS_UTF8: &str = super::OPENMETRICS[Escaping::AllowUtf8 as usize];
    const OPENMETRICS_DRAFT: &str = super::OPENMETRICS_DRAFT[0];
    const PROTOBUF: &str = super::PROTOBUF[0];
    const PROTOBUF_UTF8: &str = super::PROTOBUF[Escaping::AllowUtf8 as usize];

    /// `Accept` as Prometheus 3.5.3 sends it, by its `scrape_protocols`.
    const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
         application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
         text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    const PROTOBUF_FIRST: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
         encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
         application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
         text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    const PROTOBUF_ONLY: &str =
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,*/*;q=0.5";
    const TEXT_1_ONLY: &str = "text/plain;version=1.0.0;escaping=values;q=0.6,*/*;q=0.5";

    #[test]
    fn every_real_client_gets_its_format() {
        let prometheus_2_53 = "application/openmetrics-text;version=1.0.0;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let prometheus_2_42 = "application/openmetrics-text;version=1.0.0,\
             application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let firefox = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (client, accept, expected) in [
            ("Prometheus 3.5.3", PROMETHEUS_3, (Format::OpenMetrics, OPENMETRICS_UTF8)),
            ("Prometheus 3.5.3 that would rather have protobuf", PROTOBUF_FIRST, (Format::Protobuf, PROTOBUF)),
            ("Prometheus 3.5.3 that wants nothing but protobuf", PROTOBUF_ONLY, (Format::Protobuf, PROTOBUF)),
            (
                "Prometheus 3.5.3 that wants nothing but text 1.0.0",
                TEXT_1_ONLY,
                (Format::Text, super::TEXT[Escaping::Values as usize]),
            ),
            ("Prometheus 2.53.3", prometheus_2_53, (Format::OpenMetrics, OPENMETRICS)),
            ("Prometheus 2.42.0", prometheus_2_42, (Format::OpenMetrics, OPENMETRICS)),
            ("VictoriaMetrics", "text/plain;version=0.0.4;q=1,*/*;q=0.1", (Format::Text, TEXT)),
            ("curl", "*/*", (Format::Text, TEXT)),
            ("a browser", firefox, (Format::Text, TEXT)),
            ("a client without the header", "", (Format::Text, TEXT)),
            (
                "an older Prometheus",
                "application/openmetrics-text; version=0.0.1,text/plain;q=0.5",
                (Format::OpenMetrics, OPENMETRICS_DRAFT),
            ),
        ] {
            let Offer { format, content_type } = format(accept);
            assert_eq!((format, content_type), expected, "{client}");
        }
    }

    #[test]
    fn odd_accept_headers_are_read_as_far_as_they_make_sense() {
        let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=";
        for (accept, content_type) in [
            ("application/openmetrics-text;q=0, text/plain", TEXT),
            ("application/openmetrics-text;q=0", TEXT),
            ("text/plain;q=0, */*", OPENMETRICS),
            ("text/plain;q=0.1, application/openmetrics-text;q=0.2", OPENMETRICS),
            ("*/*, application/openmetrics-text", OPENMETRICS),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"", OPENMETRICS),
            ("text/plain; escaping=allow-utf-8", TEXT_UTF8),
            ("text/plain; escaping=allow-utf8", TEXT),
            ("application/openmetrics-text; escaping=values", super::OPENMETRICS[Escaping::Values as usize]),
            ("application/openmetrics-text; escaping=dots", super::OPENMETRICS[Escaping::Dots as usize]),
            ("text/plain; escaping=underscores", super::TEXT[Escaping::Underscores as usize]),
            ("application/openmetrics-text;version=2.0.0", TEXT),
            ("application/openmetrics-text;q=NaN, text/plain;q=0.1", TEXT),
            ("application/openmetrics-text;q=abc", TEXT),
            ("application/openmetrics-text;q=1e9", TEXT),
            (&format!("{protobuf}delimited; escaping=allow-utf-8"), PROTOBUF_UTF8),
            (&format!("{protobuf}delimited;q=0, */*"), TEXT),
            (&format!("{protobuf}delimited;q=0.1, text/plain;q=0.2"), TEXT),
            (&format!("{protobuf}text, application/openmetrics-text;q=0.1"), OPENMETRICS),
            ("application/vnd.google.protobuf", TEXT),
            ("application/vnd.google.protobuf;proto=another;encoding=delimited", TEXT),
            (";;;,,,=;q=;/,text", TEXT),
            ("image/png", TEXT),
        ] {
            assert_eq!(format(accept).content_type, content_type, "{accept}");
        }
    }

    #[test]
    fn a_coding_comes_only_when_asked_for() {
        for (accept_encoding, expected) in [
            ("gzip", Coding::Gzip),
            ("gzip, deflate, br", Coding::Gzip),
            ("deflate, GZIP;q=1.0, *;q=0.5", Coding::Gzip),
            ("x-gzip", Coding::Gzip),
            ("*", Coding::Zstd),
            ("identity;q=0.5, gzip;q=0.5", Coding::Gzip),
            ("", Coding::Identity),
            ("identity", Coding::Identity),
            ("gzip;q=0", Coding::Identity),
            ("gzip;q=0, *", Coding::Zstd),
            ("*;q=0", Coding::Identity),
            ("gzip;q=0, zstd;q=0, *", Coding::Identity),
            ("gzip;q=0.000", Coding::Identity),
            ("identity;q=0.5, gzip;q=0.1", Coding::Identity),
            ("identity, gzip;q=0.5", Coding::Identity),
            ("gzip;q=x", Coding::Identity),
            ("zstd, br", Coding::Zstd),
            ("deflate, gzip, br, zstd", Coding::Zstd),
            ("gzip;q=0.9, zstd;q=0.5", Coding::Gzip),
            ("gzip;q=0.9, ZSTD;q=1.0", Coding::Zstd),
            ("gzip, zstd;q=0", Coding::Gzip),
            ("zstd;q=0.5, identity", Coding::Identity),
            ("deflate, br", Coding::Identity),
        ] {
            assert_eq!(coding(accept_encoding), expected, "{accept_encoding}");
        }
    }
}
