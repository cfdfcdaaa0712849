//! Headers and the rate limit.

use std::time::Duration;

use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS, X_XSS_PROTECTION,
};

use crate::settings::problem::{Problem, ProblemKind};
use crate::settings::section::{Section, Span};

use super::RateLimit;

const INTERVAL: Span = Span::seconds(0, 86_400);
const BURST: std::ops::RangeInclusive<u64> = 1..=1_000_000;

/// The headers that can be set, and their values where there are but a few.
const HEADERS: [(&str, HeaderName, &[&str]); 5] = [
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY, &[]),
    ("X-Frame-Options", X_FRAME_OPTIONS, &["deny", "sameorigin"]),
    ("X-Content-Type-Options", X_CONTENT_TYPE_OPTIONS, &["nosniff"]),
    ("X-XSS-Protection", X_XSS_PROTECTION, &[]),
    ("Strict-Transport-Security", STRICT_TRANSPORT_SECURITY, &[]),
];

/// The headers that are set to anything; a blank one stays as the program has it.
pub(super) fn headers(section: &Section<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let section = section.section("headers");
    let mut headers = Vec::new();
    for (key, name, values) in HEADERS {
        let Some(entry) = section.entry(key).filter(|entry| !entry.text.is_empty()) else { continue };
        let accepted = if values.is_empty() { "visible ASCII".to_owned() } else { values.join(", ") };
        let read = |text: &str| {
            if !values.is_empty() && !values.contains(&text) {
                return Err("not one of the words".to_owned());
            }
            let visible = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            HeaderValue::from_str(text).ok().filter(|_| visible).ok_or_else(|| "not fit for a header".to_owned())
        };
        headers.extend(entry.read(&accepted, read).map(|value| (name, value)));
    }
    headers
}

/// The rate limit, unless its interval is zero.
pub(super) fn rate_limit(section: &Section<'_>) -> Option<RateLimit> {
    let interval = section.duration("interval", Duration::ZERO, INTERVAL);
    let burst = section.has("burst").then(|| section.number("burst", *BURST.start(), BURST));
    if interval.value.is_zero() {
        return None;
    }
    if burst.is_none() {
        // The toolkit takes 0 here, and then lets nobody in.
        let key = format!("{}.burst", section.key());
        let accepted = "how many requests may come at once, 1 to 1000000";
        section.report(Problem::new(ProblemKind::Missing, key, "not set beside interval", accepted));
    }
    Some(RateLimit { interval: interval.value, burst: u32::try_from(burst?).unwrap_or(u32::MAX) })
}
