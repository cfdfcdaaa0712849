//! Bodies of requests.

use std::fmt::Write as _;

use super::{text, time};
use crate::listing::{Filter, Query};

/// The body of `DescribeLiveStreamEventList` for `query`.
///
/// A name that is not UTF-8 is sent with the escapes it came with (see [`text`]), since a replacement character would
/// ask for another stream. An API that does not take them answers with an error or no rows, never with someone
/// else's.
pub(super) fn events(query: &Query) -> String {
    let (start, end) = (time::format(query.window.start), time::format(query.window.end));
    let mut body = format!(r#"{{"StartTime":"{start}","EndTime":"{end}""#);
    push_names(&mut body, &query.filter);
    if query.filter.stream.is_some() {
        // Without it the stream is looked for anywhere in the names.
        body.push_str(r#","IsStrict":1"#);
    }
    write!(body, r#","IsFilter":0,"IsAsc":1,"PageNum":{},"PageSize":{}}}"#, query.page, query.page_size)
        .expect("writing to a String does not fail");
    body
}

/// The names that `filter` asks for, each after a comma.
fn push_names(body: &mut String, filter: &Filter) {
    for (field, name) in [("DomainName", &filter.domain), ("AppName", &filter.app), ("StreamName", &filter.stream)] {
        if let Some(name) = name {
            write!(body, r#","{field}":"#).expect("writing to a String does not fail");
            text::push_string(body, name.as_bytes());
        }
    }
}

/// The body of `DescribeLiveStreamOnlineList` for one page of what is pushed in `scope`.
pub(super) fn online(scope: &Filter, page: u32, page_size: u32) -> String {
    let mut body = format!(r#"{{"PageNum":{page},"PageSize":{page_size}"#);
    push_names(&mut body, &Filter { stream: None, ..scope.clone() });
    body.push('}');
    body
}

/// The body of `DescribeLiveDomains` for one page of push domains.
pub(super) fn domains(page: u32, page_size: u32) -> String {
    format!(r#"{{"DomainType":0,"PageNum":{page},"PageSize":{page_size}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::{FULL_PAGE, Filter, Window};
    use crate::session::Name;

    fn query(filter: Filter) -> Query {
        Query { window: Window { start: 1_546_110_000, end: 1_546_113_600 }, filter, page: 1, page_size: FULL_PAGE }
    }

    #[test]
    fn a_query_is_sent_compact_with_nothing_it_does_not_say() {
        assert_eq!(
            events(&query(Filter::default())),
            r#"{"StartTime":"2018-12-29T19:00:00Z","EndTime":"2018-12-29T20:00:00Z","IsFilter":0,"IsAsc":1,"PageNum":1,"PageSize":100}"#
        );
    }

    #[test]
    fn what_is_online_is_asked_for_by_domain_and_app() {
        let all = Filter::default();
        assert_eq!(online(&all, 2, 5_000), r#"{"PageNum":2,"PageSize":5000}"#);
        let one = Filter { domain: Some("d.example".into()), app: Some("live".into()), stream: Some("s".into()) };
        assert_eq!(
            online(&one, 1, 5_000),
            r#"{"PageNum":1,"PageSize":5000,"DomainName":"d.example","AppName":"live"}"#
        );
    }

    #[test]
    fn names_are_sent_as_they_came() {
        let filter = Filter {
            domain: Some("d.example".into()),
            app: Some("\"live\"\n".into()),
            stream: Some(Name::new(b"\xe6\x88\xbf\xed\xa0\x80\xff".as_slice())),
        };
        let body = events(&query(filter));
        let names = r#""DomainName":"d.example","AppName":"\"live\"\n","StreamName":"房\ud800\udcff","IsStrict":1,"#;
        assert!(body.contains(names), "{body}");
    }
}
