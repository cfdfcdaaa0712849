//! How the API tells what happened: everything its documents leave open, and some of what they promise.

use serde::{Deserialize, Serialize};

use super::{ScenarioError, share};
use crate::sim::Span;

/// The API's habits; the default is the tidiest API its documents allow, with rows published at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "habits are independent of each other, each on or off")]
pub struct Quirks {
    /// Which time of a session the window is held against.
    pub filter: WindowFilter,
    /// Whether the ends of the window belong to it.
    pub bounds: Bounds,
    /// Rows up to that long before `StartTime` are listed too, as in the official sample.
    pub window_slack: Span,
    /// The order of rows that end in the same second.
    pub tie_order: TieOrder,
    /// How many rows of one question can be paged through.
    pub cap: u64,
    /// What happens beyond them.
    pub past_cap: PastCap,
    /// How long after their end sessions are published, by share; the rest at once.
    pub lateness: Vec<Lateness>,
    /// Rows that change after they were published.
    pub row_changes: RowChanges,
    /// Rows that are hidden for a while and shown again.
    pub flicker: Flicker,
    /// Sessions that are listed before they have ended.
    pub unfinished: Unfinished,
    /// What `TotalNum` says.
    pub total_num: TotalNum,
    /// In which share of answers it says so; otherwise it is exact.
    pub total_num_share: f64,
    /// New sessions inside the window before each request for a page after the first.
    pub insert_between_pages: u32,
    /// True: every page is the first one.
    pub ignore_page_num: bool,
    /// Rows on a page whatever `PageSize` asks; none: as asked.
    pub page_size_served: Option<u64>,
    /// The most streams online that a page may be asked for: 300,000 on the China site, 100 on the international one.
    pub most_online_on_a_page: u64,
    /// True: a request without `AppName` sees the app `live` only.
    pub app_defaults_to_live: bool,
    /// True: `DomainName`, `AppName` and `StreamName` narrow nothing, as if the answer were to another question.
    pub ignore_names: bool,
    /// How text that is not ASCII is written.
    pub text: TextForm,
    /// The API's clock minus the given clock, in seconds; its `Date`, its checks and its traffic follow it.
    pub clock_skew: i64,
    /// How long an answer takes.
    pub latency: Latency,
    /// Requests per second and action before `RequestLimitExceeded`; none: no limit.
    pub requests_per_second: Option<u32>,
    /// Actions that the access policy refuses with `UnauthorizedOperation`.
    pub denied_actions: Vec<String>,
    /// True: the policy names its domains, so requests without `DomainName` are refused.
    pub domain_required: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            filter: WindowFilter::End,
            bounds: Bounds::Closed,
            window_slack: Span::default(),
            tie_order: TieOrder::Published,
            cap: 10_000,
            past_cap: PastCap::Error,
            lateness: Vec::new(),
            row_changes: RowChanges::default(),
            flicker: Flicker::default(),
            unfinished: Unfinished::default(),
            total_num: TotalNum::Exact,
            total_num_share: 1.0,
            insert_between_pages: 0,
            ignore_page_num: false,
            page_size_served: None,
            most_online_on_a_page: 300_000,
            app_defaults_to_live: false,
            ignore_names: false,
            text: TextForm::Utf8,
            clock_skew: 0,
            latency: Latency::default(),
            requests_per_second: None,
            denied_actions: Vec::new(),
            domain_required: false,
        }
    }
}

/// Which time of a session `StartTime` and `EndTime` are held against; the documents do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowFilter {
    /// Its start.
    Start,
    /// Its end.
    End,
    /// Any second of it.
    Overlap,
}

/// Which ends of the window belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bounds {
    /// Both.
    Closed,
    /// `StartTime` only.
    EndExcluded,
    /// `EndTime` only.
    StartExcluded,
}

/// The order of rows that end in the same second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TieOrder {
    /// As published, the same in every answer.
    Published,
    /// Newest first.
    Reversed,
    /// Another one in every answer, so that pages overlap and miss rows.
    Shuffled,
}

/// What happens to rows beyond the cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PastCap {
    /// Asking for them is `InvalidParameterValue`.
    Error,
    /// Their pages are empty, `TotalNum` counts them.
    Truncate,
    /// Their pages are empty and `TotalNum` stops at the cap.
    Saturate,
}

/// A share of sessions and the longest time after their end at which they are published.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lateness {
    /// Part of all sessions, 0 to 1.
    pub share: f64,
    /// Between the previous entry's and this, evenly.
    pub up_to: Span,
}

/// Rows that change after they were published: the end by a second, the address, the resolution, or the reason.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RowChanges {
    /// Part of all sessions, 0 to 1.
    pub share: f64,
    /// How long after publication.
    pub after: Span,
}

impl Default for RowChanges {
    fn default() -> Self {
        Self { share: 0.0, after: Span::seconds(45) }
    }
}

/// Rows that a lagging copy of the data does not show.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Flicker {
    /// Part of the rows hidden at any time, 0 to 1.
    pub share: f64,
    /// How long one choice of them lasts.
    pub period: Span,
}

impl Default for Flicker {
    fn default() -> Self {
        Self { share: 0.0, period: Span::seconds(30) }
    }
}

/// Sessions that are listed before they have ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Unfinished {
    /// Part of the generated sessions, 0 to 1.
    pub share: f64,
    /// What stands for their end; of generated and published events alike.
    pub end: EndText,
}

/// What `StreamEndTime` says of a session that goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndText {
    /// Nothing: `""`.
    #[default]
    Empty,
    /// `"-"`.
    Dash,
    /// `"0000-00-00 00:00:00"`, the null date of the platform's databases.
    Zero,
    /// `null`.
    Null,
    /// A time a day ahead.
    Future,
}

/// What `TotalNum` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TotalNum {
    /// The number of rows on all pages.
    Exact,
    /// One more.
    OneMore,
    /// One less, from 0.
    OneLess,
    /// The number of rows on this page.
    Page,
    /// 0.
    Zero,
    /// -1.
    Negative,
    /// 2^63.
    Huge,
    /// The right number as a text.
    Text,
    /// Nothing, the field is left out.
    Missing,
}

/// How text that is not ASCII is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextForm {
    /// As UTF-8.
    Utf8,
    /// As `\uXXXX`.
    Escaped,
}

/// How long an answer takes: evenly between the two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Latency {
    /// The shortest.
    pub from: Span,
    /// The longest; as `from` where it is less.
    pub to: Span,
}

impl Quirks {
    /// Looks for values that cannot be meant.
    ///
    /// # Errors
    /// Names the first share out of its range, or a cap or page size of 0.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        for late in &self.lateness {
            share("quirks.lateness.share", late.share)?;
        }
        share("quirks.lateness", self.lateness.iter().map(|late| late.share).sum::<f64>().abs())?;
        share("quirks.row_changes.share", self.row_changes.share)?;
        share("quirks.flicker.share", self.flicker.share)?;
        share("quirks.unfinished.share", self.unfinished.share)?;
        share("quirks.total_num_share", self.total_num_share)?;
        if self.cap == 0 || self.page_size_served == Some(0) {
            let value = "0".to_owned();
            return Err(ScenarioError::Value { key: "quirks.cap and page_size_served", value, accepted: "1 or more" });
        }
        if self.most_online_on_a_page < 10 {
            let (key, value) = ("quirks.most_online_on_a_page", self.most_online_on_a_page.to_string());
            return Err(ScenarioError::Value { key, value, accepted: "10 or more" });
        }
        Ok(())
    }
}
