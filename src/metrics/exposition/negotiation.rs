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

const TEXT: Offer = Offer { format: Format::Text, content_type: "text/plain; version=0.0.4; charset=utf-8" };
const TEXT_UTF8: Offer =
    Offer { content_type: "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8", ..TEXT };
const OPENMETRICS: Offer =
    Offer { format: Format::OpenMetrics, content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8" };
const OPENMETRICS_UTF8: Offer = Offer {
    content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
    ..OPENMETRICS
};
/// The draft before 1.0.0; our pages are the same in both.
const OPENMETRICS_DRAFT: Offer =
    Offer { content_type: "application/openmetrics-text; version=0.0.1; charset=utf-8", ..OPENMETRICS };

/// The format for an `Accept` header; empty where the client sent none.
#[must_use]
pub fn format(accept: &str) -> Offer {
    let mut ranges: Vec<Range<'_>> = accept.split(',').filter_map(Range::parse).collect();
    // Stable: what is asked for equally comes in the client's order, wildcards behind what is named.
    ranges.sort_by(|a, b| b.quality.total_cmp(&a.quality).then(a.wildcards().cmp(&b.wildcards())));
    let refused = |name: &str| ranges.iter().any(|range| range.name.eq_ignore_ascii_case(name) && range.quality <= 0.0);
    let wildcard = if refused("text/plain") && !refused("application/openmetrics-text") { OPENMETRICS } else { TEXT };
    ranges.iter().filter(|range| range.quality > 0.0).find_map(|range| range.offer(wildcard)).unwrap_or(TEXT)
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
    // Plain is always acceptable unless refused, and least wanted unless asked for.
    let plain = asked(&["identity"]).unwrap_or(0.0);
    if gzip > 0.0 && gzip >= plain { Coding::Gzip } else { Coding::Identity }
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

    fn offer(&self, wildcard: Offer) -> Option<Offer> {
        let utf8 = self.parameter("escaping") == Some("allow-utf-8");
        match (self.name.to_ascii_lowercase().as_str(), self.parameter("version")) {
            ("application/openmetrics-text", None | Some("" | "1.0.0")) => {
                Some(if utf8 { OPENMETRICS_UTF8 } else { OPENMETRICS })
            }
            ("application/openmetrics-text", Some("0.0.1")) => Some(OPENMETRICS_DRAFT),
            ("text/plain", None | Some("" | "0.0.4")) => Some(if utf8 { TEXT_UTF8 } else { TEXT }),
            ("text/*", None) => Some(TEXT),
            ("*/*", None) => Some(wildcard),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_real_client_gets_its_format() {
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let protobuf_first = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
             encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
             text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        let prometheus_2_53 = "application/openmetrics-text;version=1.0.0;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let prometheus_2_42 = "application/openmetrics-text;version=1.0.0,\
             application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let firefox = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (client, accept, offer) in [
            ("Prometheus 3.5.3", prometheus_3, OPENMETRICS_UTF8),
            ("Prometheus 3.5.3 that would rather have protobuf", protobuf_first, OPENMETRICS_UTF8),
            ("Prometheus 2.53.3", prometheus_2_53, OPENMETRICS),
            ("Prometheus 2.42.0", prometheus_2_42, OPENMETRICS),
            ("VictoriaMetrics", "text/plain;version=0.0.4;q=1,*/*;q=0.1", TEXT),
            ("curl", "*/*", TEXT),
            ("a browser", firefox, TEXT),
            ("a client without the header", "", TEXT),
            ("an older Prometheus", "application/openmetrics-text; version=0.0.1,text/plain;q=0.5", OPENMETRICS_DRAFT),
        ] {
            assert_eq!(format(accept), offer, "{client}");
        }
    }

    #[test]
    fn odd_accept_headers_are_read_as_far_as_they_make_sense() {
        for (accept, offer) in [
            ("application/openmetrics-text;q=0, text/plain", TEXT),
            ("application/openmetrics-text;q=0", TEXT),
            ("text/plain;q=0, */*", OPENMETRICS),
            ("text/plain;q=0.1, application/openmetrics-text;q=0.2", OPENMETRICS),
            ("*/*, application/openmetrics-text", OPENMETRICS),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"", OPENMETRICS),
            ("text/plain; escaping=allow-utf-8", TEXT_UTF8),
            ("application/openmetrics-text; escaping=values", OPENMETRICS),
            ("application/openmetrics-text;version=2.0.0", TEXT),
            ("application/openmetrics-text;q=NaN, text/plain;q=0.1", TEXT),
            ("application/openmetrics-text;q=abc", TEXT),
            ("application/openmetrics-text;q=1e9", TEXT),
            (";;;,,,=;q=;/,text", TEXT),
            ("image/png", TEXT),
        ] {
            assert_eq!(format(accept), offer, "{accept}");
        }
    }

    #[test]
    fn gzip_comes_only_when_asked_for() {
        for (accept_encoding, expected) in [
            ("gzip", Coding::Gzip),
            ("gzip, deflate, br", Coding::Gzip),
            ("deflate, GZIP;q=1.0, *;q=0.5", Coding::Gzip),
            ("x-gzip", Coding::Gzip),
            ("*", Coding::Gzip),
            ("identity;q=0.5, gzip;q=0.5", Coding::Gzip),
            ("", Coding::Identity),
            ("identity", Coding::Identity),
            ("gzip;q=0", Coding::Identity),
            ("gzip;q=0, *", Coding::Identity),
            ("gzip;q=0.000", Coding::Identity),
            ("identity;q=0.5, gzip;q=0.1", Coding::Identity),
            ("identity, gzip;q=0.5", Coding::Identity),
            ("gzip;q=x", Coding::Identity),
            ("zstd, br", Coding::Identity),
        ] {
            assert_eq!(coding(accept_encoding), expected, "{accept_encoding}");
        }
    }
}
