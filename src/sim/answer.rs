//! From a signed request to the bytes of its answer: the order of the API's checks, then the actions.

use std::time::Duration;

use super::dice::Dice;
use super::params::{ApiError, DomainAsk, Params, unauthorized};
use super::scenario::{DomainKind, Fault, PastCap, Quirks, TotalNum};
use super::signature::SignedRequest;
use super::world::{Request, State};
use super::{Damage, Event, archive, wire};
use crate::clock::UnixSeconds;

const VERSION: &str = "2018-08-01";
const ACTIONS: [&str; 3] = ["DescribeLiveStreamEventList", "DescribeLiveDomains", "DescribeLiveStreamOnlineList"];

/// What goes back to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) location: Option<String>,
    pub(super) body: Vec<u8>,
    /// Time before the first byte.
    pub(super) wait: Duration,
    pub(super) delivery: Delivery,
    /// The API's clock, for the `Date` header.
    pub(super) now: UnixSeconds,
}

/// How the answer travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    /// The connection is reset before the answer.
    Reset,
    /// The connection is reset after half of the body.
    HalfThenReset,
    /// A byte at a time.
    Drip(Duration),
    /// Nothing ever comes.
    Never,
    /// The body is that long and made up on the way.
    Endless(u64),
}

impl Answer {
    pub(super) fn new(status: u16, content_type: &'static str, body: Vec<u8>, now: UnixSeconds) -> Self {
        let (wait, delivery) = (Duration::ZERO, Delivery::Whole);
        Self { status, content_type, location: None, body, wait, delivery, now }
    }

    pub(super) fn json(body: Vec<u8>, now: UnixSeconds) -> Self {
        Self::new(200, "application/json", body, now)
    }
}

/// The members of a successful `Response`.
pub(super) struct Success {
    pub(super) fields: Vec<u8>,
    pub(super) rows: usize,
    pub(super) total: Option<u64>,
}

/// How this one answer is to be falsified.
#[derive(Clone, Copy)]
struct Forgery {
    empty: bool,
    damage: Option<Damage>,
    /// False where the caller will not be able to read the rows.
    arrives: bool,
}

impl State {
    /// Answers one request at the API's time `now`, and logs it.
    pub(super) fn answer(&mut self, request: &SignedRequest<'_>, now: UnixSeconds) -> Answer {
        self.request_count += 1;
        let number = self.request_count;
        let dice = Dice::new(self.seed, 1).fork(number);
        let header = |name: &str| {
            let found = request.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map_or("", |(_, value)| value.as_str()).to_owned()
        };
        let action = header("x-tc-action");
        let admitted = self.admit(request, &action, &header("x-tc-version"), now);
        let fault = admitted.is_ok().then(|| self.next_fault(dice)).flatten();
        let result = admitted.and_then(|()| self.perform(&action, request.body, fault.as_ref(), dice, now));
        let outcome = result.as_ref().map_or_else(|error| error.code.clone(), |_| "ok".to_owned());
        self.log(Request {
            number,
            at: now,
            action,
            params: serde_json::from_slice(request.body).unwrap_or_default(),
            outcome,
            fault: fault.as_ref().map(Fault::name),
            rows: result.as_ref().map_or(0, |success| success.rows),
            total: result.as_ref().ok().and_then(|success| success.total),
        });
        let fields = result.map_or_else(|error| wire::error(&error.code, &error.message), |success| success.fields);
        let mut answer = Answer::json(wire::response(&fields, &request_id(dice)), now);
        answer.wait = latency(&self.quirks, dice);
        if let Some(fault) = fault {
            disturb(&mut answer, &fault, &fields, dice);
        }
        answer
    }

    /// Who asks, and may they?
    fn admit(
        &mut self,
        request: &SignedRequest<'_>,
        action: &str,
        version: &str,
        now: UnixSeconds,
    ) -> Result<(), ApiError> {
        request.check(&self.keys, now).map_err(|refusal| ApiError::new(refusal.code(), refusal.to_string()))?;
        if version != VERSION {
            return Err(ApiError::new("NoSuchVersion", format!("The API version must be {VERSION}.")));
        }
        if !ACTIONS.contains(&action) {
            return Err(ApiError::new("InvalidAction", format!("The simulator does not know the action `{action}`.")));
        }
        if self.quirks.denied_actions.iter().any(|denied| denied == action) {
            return Err(unauthorized(action));
        }
        let limit = self.quirks.requests_per_second;
        let recent = self.requests_in.entry(action.to_owned()).or_insert((now, 0));
        *recent = if recent.0 == now { (now, recent.1 + 1) } else { (now, 1) };
        if limit.is_some_and(|limit| recent.1 > limit) {
            return Err(throttled());
        }
        Ok(())
    }

    fn next_fault(&mut self, dice: Dice) -> Option<Fault> {
        self.fail_next.pop_front().or_else(|| self.faults.roll(dice.fork(1).unit()))
    }

    fn perform(
        &mut self,
        action: &str,
        body: &[u8],
        fault: Option<&Fault>,
        dice: Dice,
        now: UnixSeconds,
    ) -> Result<Success, ApiError> {
        match fault {
            Some(Fault::Throttle) => return Err(throttled()),
            Some(Fault::InternalError) => return Err(ApiError::new("InternalError", "An internal error occurred.")),
            Some(Fault::Api { code, message }) => return Err(ApiError::new(code, message.as_str())),
            _ => {}
        }
        let params = Params::parse(body)?;
        if action == "DescribeLiveDomains" {
            return Ok(self.domain_list(&params.domains()?));
        }
        if action == "DescribeLiveStreamOnlineList" {
            return Ok(self.online_list(&params.online(&self.quirks)?, now));
        }
        let ask = params.event_list(&self.quirks, now)?;
        let forgery = Forgery {
            empty: fault == Some(&Fault::EmptyList),
            damage: if let Some(Fault::BreakRow(damage)) = fault { Some(*damage) } else { None },
            arrives: matches!(fault, None | Some(Fault::Slow(_) | Fault::Drip(_) | Fault::BreakRow(_))),
        };
        Ok(self.event_list(&ask, forgery, dice, now))
    }

    fn event_list(&mut self, ask: &archive::Ask, forgery: Forgery, dice: Dice, now: UnixSeconds) -> Success {
        let quirks = self.quirks.clone();
        let mut matching = if forgery.empty { Vec::new() } else { self.archive.matching(ask, &quirks, now) };
        if ask.page_num > 1 && quirks.insert_between_pages > 0 && !matching.is_empty() {
            self.insert_rows(ask, matching[0].1, quirks.insert_between_pages, now);
            matching = self.archive.matching(ask, &quirks, now);
        }
        let page = archive::page(&matching, ask, &quirks, dice.fork(2));
        let count = matching.len() as u64;
        let total = if quirks.past_cap == PastCap::Saturate { count.min(quirks.cap) } else { count };
        let mut records = Vec::new();
        for id in &page {
            let told = self.archive.get_mut(*id).filter(|record| forgery.arrives && record.is_published(now));
            if let Some(record) = told {
                record.told.get_or_insert(record.reason);
            }
        }
        for id in &page {
            let record = self.archive.record(*id);
            records.extend(record.and_then(|record| record.shown(now).map(|shown| (record, shown))));
        }
        let rows = records.len();
        let list = wire::rows(records.into_iter(), &quirks, now, forgery.damage);
        let pages = total.div_ceil(ask.page_size);
        let mut fields = b"\"EventList\":".to_vec();
        fields.extend_from_slice(&list);
        let total_num = total_num(&quirks, total, rows, dice);
        fields.extend_from_slice(
            format!(",\"PageNum\":{},\"PageSize\":{}{total_num},\"TotalPage\":{pages}", ask.page_num, ask.page_size)
                .as_bytes(),
        );
        Success { fields, rows, total: Some(total) }
    }

    /// New sessions where they push the rows of later pages on: like `like`, at the near edge of the window.
    fn insert_rows(&mut self, ask: &archive::Ask, like: super::EventId, count: u32, now: UnixSeconds) {
        let Some(like) = self.archive.record(like).map(|record| record.event.clone()) else { return };
        let at = if ask.ascending { (ask.start + 1).min(ask.end) } else { ask.end - i64::from(ask.end > ask.start) };
        let number = self.request_count;
        let inserted = (0..count).map(|nth| {
            let stream = format!("{}_{number}_{nth}", like.stream.text());
            let stream = if ask.strict && ask.stream.is_some() { like.stream.clone() } else { stream.as_str().into() };
            Event::ended(like.domain.clone(), like.app.clone(), stream, at, at).visible_at(now)
        });
        self.publish(inserted.collect());
    }

    fn domain_list(&self, ask: &DomainAsk) -> Success {
        let number = |domain: &super::Domain| u64::from(domain.kind == DomainKind::Play);
        let matching: Vec<_> = self
            .domains
            .iter()
            .filter(|domain| ask.kind.is_none_or(|kind| kind == number(domain)))
            .filter(|domain| ask.status.is_none_or(|status| status == u64::from(domain.enabled)))
            .filter(|domain| domain.name.starts_with(&ask.prefix))
            .collect();
        let skipped = usize::try_from((ask.page_num - 1).saturating_mul(ask.page_size)).unwrap_or(usize::MAX);
        let size = usize::try_from(ask.page_size).unwrap_or(usize::MAX);
        let page: Vec<_> = matching
            .iter()
            .skip(skipped)
            .take(size)
            .map(|domain| {
                // The field nobody has documented is in the official example all the same.
                serde_json::json!({
                    "Name": domain.name, "Type": number(domain), "Status": u64::from(domain.enabled),
                    "CreateTime": "2018-08-29 10:00:00", "BCName": 0, "TargetDomain": domain.name, "PlayType": 1,
                    "IsDelayLive": 0, "CurrentCName": format!("{}.livepush.example.com", domain.name), "RentTag": 0,
                    "RentExpireTime": "0000-00-00 00:00:00", "IsMiniProgramLive": 0, "GroupName": null,
                })
            })
            .collect();
        let fields = format!(
            "\"AllCount\":{},\"DomainList\":{},\"CreateLimitCount\":100,\"PlayTypeCount\":[0,0,0]",
            matching.len(),
            serde_json::Value::from(page.clone())
        );
        Success { fields: fields.into_bytes(), rows: page.len(), total: Some(matching.len() as u64) }
    }
}

fn throttled() -> ApiError {
    ApiError::new("RequestLimitExceeded", "Your current request times exceed the limit per second.")
}

fn latency(quirks: &Quirks, dice: Dice) -> Duration {
    let (from, to) = (quirks.latency.from.as_millis(), quirks.latency.to.as_millis());
    let spread = if to > from { dice.fork(3).below(to - from + 1) } else { 0 };
    Duration::from_millis(from + spread)
}

/// The member `TotalNum` as the quirk has it, with its comma.
fn total_num(quirks: &Quirks, total: u64, rows: usize, dice: Dice) -> String {
    let wrong = dice.fork(4).hits(quirks.total_num_share);
    let value = match quirks.total_num {
        TotalNum::OneMore if wrong => (total + 1).to_string(),
        TotalNum::OneLess if wrong => total.saturating_sub(1).to_string(),
        TotalNum::Page if wrong => rows.to_string(),
        TotalNum::Zero if wrong => "0".into(),
        TotalNum::Negative if wrong => "-1".into(),
        TotalNum::Huge if wrong => (1_u64 << 63).to_string(),
        TotalNum::Text if wrong => format!("\"{total}\""),
        TotalNum::Missing if wrong => return String::new(),
        _ => total.to_string(),
    };
    format!(",\"TotalNum\":{value}")
}

fn request_id(dice: Dice) -> String {
    let (high, low) = (dice.fork(5).bits(), dice.fork(6).bits());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | (low >> 48) & 0x3fff,
        low & 0xffff_ffff_ffff
    )
}

/// Applies what concerns the transport, or the body as a whole.
fn disturb(answer: &mut Answer, fault: &Fault, fields: &[u8], dice: Dice) {
    match fault {
        Fault::Throttle | Fault::InternalError | Fault::Api { .. } | Fault::EmptyList | Fault::BreakRow(_) => {}
        Fault::Http(status) => {
            *answer = Answer::new(*status, "text/html", b"<html><h1>nginx</h1></html>".to_vec(), answer.now);
        }
        Fault::HtmlBody => {
            let page = "<!DOCTYPE html><html><body>请先登录 / please log in</body></html>";
            *answer = Answer::new(200, "text/html", page.as_bytes().to_vec(), answer.now);
        }
        Fault::EmptyBody => answer.body.clear(),
        Fault::TruncatedBody => answer.body.truncate(answer.body.len() / 2),
        Fault::ConnectionReset => answer.delivery = Delivery::Reset,
        Fault::ResetMidBody => answer.delivery = Delivery::HalfThenReset,
        Fault::Slow(by) => answer.wait += Duration::from_millis(by.as_millis()),
        Fault::Drip(pause) => answer.delivery = Delivery::Drip(Duration::from_millis(pause.as_millis())),
        Fault::Hang => answer.delivery = Delivery::Never,
        Fault::ErrorWithRows => {
            let both = [wire::error("InternalError", "An internal error occurred.").as_slice(), b",", fields].concat();
            answer.body = wire::response(&both, &request_id(dice));
        }
        Fault::Redirect(to) => {
            *answer = Answer::new(302, "text/html", Vec::new(), answer.now);
            answer.location = Some(to.clone());
        }
        Fault::Endless(bytes) => answer.delivery = Delivery::Endless(*bytes),
        Fault::Body(body) => answer.body = body.clone().into_bytes(),
    }
}
