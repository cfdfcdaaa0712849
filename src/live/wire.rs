//! Answers: the envelope every action shares, and what each action puts into it.
//!
//! Fields are named after the API's pages, `DescribeLiveStreamEventList`, `DescribeLiveDomains` and
//! `DescribeLiveStreamOnlineList`. Unknown members are ignored; a member that is there twice spoils the answer.

use std::fmt;

use serde::Deserialize;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::error::{ApiError, CallError};
use super::{Domain, SAMPLE_BYTES, row, text};
use crate::listing::Page;
use crate::session::Name;

/// Most elements of a list that are read: the API's own bound on what a query can reach.
const MOST_ELEMENTS: usize = 10_000;

/// Highest `TotalNum` that is believed: a thousand sessions a second in every second of the longest window, 30 days.
/// What is higher counts as absent, since every row it promises is looked for.
const MOST_SESSIONS: u64 = 30 * 86_400 * 1000;

/// Longest error code, message and request id that are kept, in bytes.
const CODE_BYTES: usize = 96;
const MESSAGE_BYTES: usize = 512;
const REQUEST_ID_BYTES: usize = 64;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "Response")]
    response: Option<&'a RawValue>,
}

/// The members of `Response` that any action may have.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, rename = "Error")]
    error: Option<&'a RawValue>,
    #[serde(borrow, rename = "RequestId")]
    request_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "EventList")]
    event_list: Option<&'a RawValue>,
    #[serde(borrow, rename = "TotalNum")]
    total_num: Option<&'a RawValue>,
    #[serde(borrow, rename = "DomainList")]
    domain_list: Option<&'a RawValue>,
    #[serde(borrow, rename = "OnlineInfo")]
    online_info: Option<&'a RawValue>,
    #[serde(borrow, rename = "AllCount")]
    all_count: Option<&'a RawValue>,
    #[serde(borrow, rename = "Credentials")]
    credentials: Option<&'a RawValue>,
    #[serde(borrow, rename = "ExpiredTime")]
    expired_time: Option<&'a RawValue>,
    #[serde(borrow, rename = "Expiration")]
    expiration: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ErrorMembers<'a> {
    #[serde(borrow, rename = "Code")]
    code: Option<&'a RawValue>,
    #[serde(borrow, rename = "Message")]
    message: Option<&'a RawValue>,
}

/// When keys expire, in two spellings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expiry<'a> {
    /// `ExpiredTime`, Unix seconds.
    pub(super) expired_time: Option<&'a RawValue>,
    /// `Expiration`, the same as text.
    pub(super) expiration: Option<&'a RawValue>,
}

/// `DomainInfo`, as far as it is used.
#[derive(Deserialize)]
struct DomainInfo<'a> {
    #[serde(borrow, rename = "Name")]
    name: Option<&'a RawValue>,
    /// 0 off, 1 on.
    #[serde(borrow, rename = "Status")]
    status: Option<&'a RawValue>,
}

/// One page of domains.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DomainPage {
    /// `AllCount`: domains that match, on all pages.
    pub(super) total: Option<u64>,
    pub(super) domains: Vec<Domain>,
}

/// `StreamOnlineInfo`, as far as it is used.
#[derive(Deserialize)]
struct StreamOnlineInfo<'a> {
    #[serde(borrow, rename = "DomainName")]
    domain: Option<&'a RawValue>,
    #[serde(borrow, rename = "AppName")]
    app: Option<&'a RawValue>,
    #[serde(borrow, rename = "StreamName")]
    stream: Option<&'a RawValue>,
}

/// A stream that is pushed now.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OnlineStream {
    /// `DomainName`.
    pub domain: Name,
    /// `AppName`.
    pub app: Name,
    /// `StreamName`.
    pub stream: Name,
}

/// One page of what is online.
#[derive(Debug, PartialEq, Eq)]
pub struct OnlinePage {
    /// `TotalNum`: streams online, on all pages.
    pub total: Option<u64>,
    /// Those of this page, as they come.
    pub streams: Vec<OnlineStream>,
}

/// A successful answer, not yet looked into.
pub(super) struct Answer<'a> {
    action: &'static str,
    body: &'a str,
    members: Members<'a>,
    pub(super) request_id: Option<String>,
}

impl<'a> Answer<'a> {
    /// Opens the envelope.
    ///
    /// # Errors
    /// [`CallError::Protocol`] when there is none, [`CallError::Api`] when it holds an error, whatever else it holds.
    pub(super) fn open(action: &'static str, body: &'a str) -> Result<Self, CallError> {
        let fail = |problem: &str, request_id| protocol(action, problem, body, request_id);
        let envelope: Envelope<'a> =
            object(body).map_err(|error| fail(&format!("the body is no answer: {error}"), None))?;
        let response = envelope.response.ok_or_else(|| fail("the body has no Response", None))?;
        let members: Members<'a> = object(response.get()).map_err(|error| fail(&format!("Response: {error}"), None))?;
        let request_id =
            members.request_id.map(|id| text::printable(&text::lossy(Some(id), REQUEST_ID_BYTES), REQUEST_ID_BYTES));
        if let Some(error) = members.error {
            let unclear = |problem: &str| fail(&format!("Response.Error: {problem}"), request_id.clone());
            let error: ErrorMembers<'_> = object(error.get()).map_err(|error| unclear(&error.to_string()))?;
            let code = text::printable(&text::lossy(error.code, CODE_BYTES), CODE_BYTES);
            if code.is_empty() {
                return Err(unclear("no Code"));
            }
            let message = text::printable(&text::lossy(error.message, MESSAGE_BYTES), MESSAGE_BYTES);
            return Err(ApiError::new(action, &code, &message, request_id).into());
        }
        Ok(Self { action, body, members, request_id })
    }

    /// `Credentials` of STS, and what it says about their end.
    pub(super) fn keys(&self) -> (Option<&'a RawValue>, Expiry<'a>) {
        let Members { credentials, expired_time, expiration, .. } = self.members;
        (credentials, Expiry { expired_time, expiration })
    }

    fn list(
        &self,
        member: &str,
        list: Option<&'a RawValue>,
        total: Option<u64>,
    ) -> Result<Vec<&'a RawValue>, CallError> {
        match list {
            Some(list) => serde_json::from_str::<Elements<'a>>(list.get())
                .map(|elements| elements.0)
                .map_err(|error| self.spoiled(&format!("{member}: {error}"))),
            None if total == Some(0) => Ok(Vec::new()),
            None => Err(self.spoiled(&format!("no {member}"))),
        }
    }

    fn spoiled(&self, problem: &str) -> CallError {
        protocol(self.action, problem, self.body, self.request_id.clone())
    }
}

/// The rows of `DescribeLiveStreamEventList`.
///
/// # Errors
/// [`CallError::Protocol`] without an `EventList`; its absence is taken for an empty one only where `TotalNum`
/// says so.
pub(super) fn page(answer: &Answer<'_>) -> Result<Page, CallError> {
    let total = text::count(answer.members.total_num).filter(|total| *total <= MOST_SESSIONS);
    let rows = answer.list("EventList", answer.members.event_list, total)?;
    Ok(Page { total, rows: rows.into_iter().map(row::row).collect() })
}

/// The domains of `DescribeLiveDomains`.
///
/// # Errors
/// [`CallError::Protocol`] without a `DomainList`, or when one of its elements has no name.
pub(super) fn domains(answer: &Answer<'_>) -> Result<DomainPage, CallError> {
    let total = text::count(answer.members.all_count);
    let elements = answer.list("DomainList", answer.members.domain_list, total)?;
    let domains = elements.into_iter().map(|element| {
        let info: DomainInfo<'_> =
            object(element.get()).map_err(|error| answer.spoiled(&format!("DomainList: {error}")))?;
        let name = info.name.and_then(text::bytes).ok_or_else(|| answer.spoiled("a domain has no Name"))?;
        // A domain that does not say that it is off is on.
        Ok(Domain { name: Name::new(name), enabled: text::count(info.status) != Some(0) })
    });
    Ok(DomainPage { total, domains: domains.collect::<Result<_, CallError>>()? })
}

/// The streams of `DescribeLiveStreamOnlineList`.
///
/// # Errors
/// [`CallError::Protocol`] without an `OnlineInfo`, or when one of its elements lacks a name.
pub(super) fn online(answer: &Answer<'_>) -> Result<OnlinePage, CallError> {
    let total = text::count(answer.members.total_num);
    let elements = answer.list("OnlineInfo", answer.members.online_info, total)?;
    let streams = elements.into_iter().map(|element| {
        let info: StreamOnlineInfo<'_> =
            object(element.get()).map_err(|error| answer.spoiled(&format!("OnlineInfo: {error}")))?;
        let name = |field: &str, raw: Option<&RawValue>| {
            raw.and_then(text::bytes).map(Name::new).ok_or_else(|| answer.spoiled(&format!("a stream has no {field}")))
        };
        Ok(OnlineStream {
            domain: name("DomainName", info.domain)?,
            app: name("AppName", info.app)?,
            stream: name("StreamName", info.stream)?,
        })
    });
    Ok(OnlinePage { total, streams: streams.collect::<Result<_, CallError>>()? })
}

fn protocol(action: &'static str, problem: &str, body: &str, request_id: Option<String>) -> CallError {
    CallError::Protocol {
        action,
        problem: text::printable(problem, SAMPLE_BYTES),
        sample: text::printable(body, SAMPLE_BYTES),
        request_id,
    }
}

/// Reads an object, and nothing but an object: serde would take an array for the object's values in order.
pub(super) fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, serde_json::Error> {
    let value: &RawValue = serde_json::from_str(json)?;
    if !value.get().starts_with('{') {
        return Err(serde_json::Error::custom("not an object"));
    }
    serde_json::from_str(value.get())
}

/// The elements of a list, up to [`MOST_ELEMENTS`], since four megabytes hold two million numbers.
struct Elements<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = list.next_element()? {
                    if elements.len() == MOST_ELEMENTS {
                        return Err(A::Error::custom("too long a list"));
                    }
                    elements.push(element);
                }
                Ok(Elements(elements))
            }
        }

        deserializer.deserialize_seq(Collect)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::listing::Row;

    const ROW: &str = r#"{"AppName":"live","DomainName":"d","StreamName":"s","StreamStartTime":"2022-11-04T08:42:06Z","StreamEndTime":"2022-11-04T09:10:58Z"}"#;

    fn read(body: &[u8]) -> Result<Page, CallError> {
        super::super::decode_events(body)
    }

    fn with_rows(rows: &[&str]) -> Vec<u8> {
        format!(r#"{{"Response":{{"EventList":[{}],"TotalNum":{},"RequestId":"r-1"}}}}"#, rows.join(","), rows.len())
            .into_bytes()
    }

    #[test]
    fn bodies_that_are_no_answers_are_errors_with_a_sample() {
        let deep = "[".repeat(100_000);
        let deep_response = format!(r#"{{"Response":{{"a":{deep}}}}}"#);
        let many = format!(r#"{{"Response":{{"EventList":[{}0]}}}}"#, "0,".repeat(MOST_ELEMENTS));
        let bodies = [
            "",
            "<html>502</html>",
            "\u{feff}{\"Response\":{\"EventList\":[],\"TotalNum\":0}}",
            r#"{"Response":{"EventList":[{"AppN"#,
            r#"{"Response":{"EventList":[],"TotalNum":0}}{"Response":{}}"#,
            r#"[{"EventList":[],"TotalNum":0}]"#,
            r#"{"code":4000,"message":"legacy"}"#,
            r#"{"Response":null}"#,
            r#"{"Response":[null,"r",[],0,null,null]}"#,
            r#"{"Response":{"EventList":[],"TotalNum":0},"Response":{"EventList":[],"TotalNum":0}}"#,
            r#"{"Response":{"EventList":[],"EventList":[],"TotalNum":0}}"#,
            r#"{"Response":{}}"#,
            r#"{"Response":{"TotalNum":3,"EventList":null}}"#,
            r#"{"Response":{"TotalNum":3,"EventList":{}}}"#,
            r#"{"Response":{"Error":{},"EventList":[],"TotalNum":0}}"#,
            r#"{"Response":{"Error":"no","EventList":[],"TotalNum":0}}"#,
            &deep,
            &deep_response,
            &many,
        ];
        for body in bodies {
            let error = read(body.as_bytes()).unwrap_err();
            assert_eq!((error.kind(), error.code()), ("protocol", "bad_body"), "{error}");
            assert!(error.to_string().len() < 700, "{error}");
        }
    }

    #[test]
    fn deep_nesting_in_a_row_costs_that_row_alone() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let rows = read(&with_rows(&[ROW, &deep, ROW])).unwrap().rows;
        assert!(matches!(rows[..], [Row::Finished(_), Row::Broken(_), Row::Finished(_)]));
    }

    #[test]
    fn an_error_wins_over_a_list_beside_it() {
        let body = br#"{"Response":{"EventList":[],"TotalNum":0,"Error":{"Code":"InternalError","Message":"m\n"},"RequestId":"r-1"}}"#;
        let error = read(body).unwrap_err();
        assert_eq!((error.kind(), error.code(), error.request_id()), ("internal", "InternalError", Some("r-1")));
        assert!(error.to_string().contains(r"InternalError: m\n, request id r-1"), "{error}");
    }

    #[test]
    fn a_spoiled_answer_is_told_with_its_request_id() {
        let error = read(br#"{"Response":{"RequestId":"r-7","TotalNum":2}}"#).unwrap_err();
        assert_eq!(error.request_id(), Some("r-7"));
        assert!(error.to_string().contains("no EventList"), "{error}");
    }

    #[test]
    fn totals_are_numbers_that_can_be_or_nothing() {
        for (json, expected) in [
            ("\"0\"", Some(0)),
            ("2592000000", Some(MOST_SESSIONS)),
            ("2592000001", None),
            ("9223372036854775808", None),
            ("18446744073709551616", None),
            ("-1", None),
            ("[]", None),
        ] {
            let body =
                format!(r#"{{"Response":{{"EventList":[],"TotalNum":{json},"DeprecatedWarning":"x","New":{{}}}}}}"#);
            assert_eq!(read(body.as_bytes()).unwrap(), Page { total: expected, rows: vec![] }, "{json}");
        }
        assert_eq!(read(br#"{"Response":{"TotalNum":0,"Error":null}}"#).unwrap().total, Some(0));
    }

    #[test]
    fn domains_are_read_with_their_state() {
        let body = r#"{"Response":{"AllCount":3,"DomainList":[{"Name":"a","Status":1,"Type":0,"GroupName":null},{"Name":"b","Status":"0"},{"Name":"c"}]}}"#;
        let page = domains(&Answer::open("DescribeLiveDomains", body).unwrap()).unwrap();
        let domain = |name: &str, enabled| Domain { name: name.into(), enabled };
        assert_eq!(
            page,
            DomainPage { total: Some(3), domains: vec![domain("a", true), domain("b", false), domain("c", true)] }
        );
        let nameless = r#"{"Response":{"AllCount":1,"DomainList":[{"Status":1}]}}"#;
        assert!(domains(&Answer::open("DescribeLiveDomains", nameless).unwrap()).is_err());
    }

    #[test]
    fn streams_online_are_read_by_their_names() {
        let body = r#"{"Response":{"TotalNum":1,"TotalPage":1,"PageNum":1,"PageSize":10,"OnlineInfo":[{"StreamName":"s","AppName":"live","DomainName":"d","PushToDelay":0,"PublishTimeList":[{"PublishTime":"2022-11-04T08:42:06Z"}]}],"RequestId":"r-1"}}"#;
        let read = |body| online(&Answer::open("DescribeLiveStreamOnlineList", body).unwrap());
        let stream = OnlineStream { domain: "d".into(), app: "live".into(), stream: "s".into() };
        assert_eq!(read(body).unwrap(), OnlinePage { total: Some(1), streams: vec![stream] });
        let nothing = OnlinePage { total: Some(0), streams: vec![] };
        assert_eq!(read(r#"{"Response":{"TotalNum":0}}"#).unwrap(), nothing);
        for body in [
            r#"{"Response":{"TotalNum":1}}"#,
            r#"{"Response":{"TotalNum":1,"OnlineInfo":[{"AppName":"live","DomainName":"d"}]}}"#,
            r#"{"Response":{"TotalNum":1,"OnlineInfo":[["s","live","d"]]}}"#,
        ] {
            assert!(read(body).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_an_error(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _: Result<Page, CallError> = read(&body);
        }

        #[test]
        fn an_answer_with_any_bytes_changed_is_an_answer_or_an_error(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut body = with_rows(&[ROW, ROW, ROW]);
            for (at, byte) in changes {
                let at = at.index(body.len());
                body[at] = byte;
            }
            if let Ok(page) = read(&body) {
                prop_assert!(page.rows.len() <= body.len());
            }
        }

        #[test]
        fn a_broken_row_never_touches_the_others(
            at in 0..4_usize,
            name in prop::collection::vec(any::<u8>(), 0..40),
            cut in 0..200_usize,
        ) {
            // A value that is JSON as a whole, with any bytes at all in a string, in place of one of five rows.
            let mut broken = br#"{"StreamStartTime":"#.to_vec();
            broken.push(b'"');
            broken.extend(name.iter().filter(|byte| !matches!(byte, b'"' | b'\\')));
            broken.extend(br#"","x":[[{}]]}"#);
            let mut rows: Vec<Vec<u8>> = vec![ROW.into(); 5];
            rows[at] = if cut % 2 == 0 { broken } else { cut.to_string().into_bytes() };
            let body = [&br#"{"Response":{"TotalNum":5,"EventList":["#[..], &rows.join(&b','), b"]}}"].concat();
            let page = read(&body).unwrap();
            for (index, row) in page.rows.iter().enumerate() {
                prop_assert_eq!(matches!(row, Row::Broken(_)), index == at);
                prop_assert_eq!(matches!(row, Row::Finished(_)), index != at);
            }
        }

        #[test]
        fn a_row_cut_anywhere_is_no_answer(cut in 1..ROW.len()) {
            let body = with_rows(&[ROW, &ROW[..ROW.floor_char_boundary(cut)]]);
            prop_assert!(read(&body).is_err());
        }
    }
}
