//! What rows tell: how many there are, which apps and reasons they name; and what the list of domains tells. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{Check, counted};
use crate::listing::{BrokenRow, Page, Row};
use crate::live::{Domain, printable};
use crate::reason::{Classifier, Reason};
use crate::session::{Name, PushSession};

/// Most bytes of a text that a stranger chose.
const TEXT_BYTES: usize = 60;
/// Most texts or names of one line.
const MOST_NAMED: usize = 5;

/// The app that a request without `AppName` means, as the documents can be read.
pub(super) const DEFAULT_APP: &str = "live";

/// Rows that were seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rows {
    /// How many there are, by `TotalNum`, on all pages.
    pub(super) total: u64,
    /// Sessions that have ended.
    pub(super) finished: Vec<PushSession>,
    /// Sessions that have not.
    pub(super) unfinished: u64,
    /// Rows that cannot be read.
    pub(super) broken: Vec<BrokenRow>,
}

impl Rows {
    /// Adds the rows of a page, and its total where it is the first one of its question.
    pub(super) fn take(&mut self, page: Page, is_first: bool) {
        if is_first {
            self.total += page.total.unwrap_or(page.rows.len() as u64);
        }
        for row in page.rows {
            match row {
                Row::Finished(session) => self.finished.push(session),
                Row::Unfinished => self.unfinished += 1,
                Row::Broken(row) => self.broken.push(row),
            }
        }
    }

    fn seen(&self) -> u64 {
        self.finished.len() as u64 + self.unfinished + self.broken.len() as u64
    }
}

/// How many rows there are. `day` are those of the last day, where that was asked for; `asked` of `scopes` were.
pub(super) fn number(hour: &Rows, day: Option<&Rows>, asked: usize, scopes: usize) -> Check {
    const NAME: &str = "rows";
    let part =
        if asked < scopes { format!(" (the first {asked} of {scopes} domains and apps)") } else { String::new() };
    if hour.total == 0 && hour.seen() == 0 {
        return match day {
            Some(day) if day.total > 0 => {
                let words = format!("none in the last hour, {} in the last 24 hours{part}", day.total);
                Check::ok(NAME, words)
            }
            _ => Check::warning(
                NAME,
                format!("none in the last 24 hours{part}"),
                "if pushes have ended, check that the key is of the account they belong to, and `site`, `domains` and `apps`",
            ),
        };
    }
    let seen = hour.seen();
    let of = if seen < hour.total { format!("; of the first {seen}") } else { String::new() };
    let message = format!(
        "{} in the last hour{part}{of}: {} finished, {} unfinished, {} that cannot be read",
        hour.total,
        hour.finished.len(),
        hour.unfinished,
        hour.broken.len()
    );
    match hour.broken.first() {
        None => Check::ok(NAME, message),
        Some(BrokenRow { field, sample }) => {
            let advice = format!("report it: such rows are not counted; the first lacks a usable {field}: {sample}");
            Check::warning(NAME, message, advice)
        }
    }
}

/// Texts of reasons that no spelling matches.
pub(super) fn reasons(sessions: &[PushSession], classifier: &Classifier) -> Check {
    const NAME: &str = "reasons";
    if sessions.is_empty() {
        return Check::unknown(NAME, "no row to tell whether the taxonomy knows its reason", "");
    }
    let mut unmapped: BTreeMap<&str, u64> = BTreeMap::new();
    for session in sessions {
        if classifier.classify(&session.reason_text) == Reason::Unmapped {
            *unmapped.entry(&session.reason_text).or_default() += 1;
        }
    }
    let rows = counted(sessions.len() as u64, "row");
    if unmapped.is_empty() {
        return Check::ok(NAME, format!("the taxonomy knows the reasons of {rows}"));
    }
    let mut texts: Vec<(&str, u64)> = unmapped.into_iter().collect();
    texts.sort_by_key(|(text, number)| (std::cmp::Reverse(*number), *text));
    let named: Vec<String> =
        texts.iter().take(MOST_NAMED).map(|(text, number)| format!("{number} × \"{}\"", cut(text))).collect();
    let more = if texts.len() > MOST_NAMED { ", and others" } else { "" };
    let sum: u64 = texts.iter().map(|(_, number)| number).sum();
    Check::warning(
        NAME,
        format!("{sum} of {rows} have a text that no spelling matches: {}{more}", named.join(", ")),
        "they count as reason=\"unmapped\" until `reasons:` of the config file maps them, as { \"the text\": network_error }; \
         `tencent-live-exporter reasons` prints the names",
    )
}

/// What was asked about `AppName`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AppEvidence<'a> {
    /// `apps` of the account.
    pub(super) configured: &'a BTreeSet<Name>,
    /// Apps that rows of a question without `AppName` are of.
    pub(super) seen: BTreeSet<Name>,
    /// An app that has a session which was asked for by its name, and whether the same question without it shows it.
    pub(super) tried: Option<(Name, bool)>,
}

/// Whether a request without `AppName` means all apps.
pub(super) fn apps(evidence: &AppEvidence<'_>) -> Check {
    const NAME: &str = "apps";
    let AppEvidence { configured, seen, tried } = evidence;
    if !configured.is_empty() {
        let missed: BTreeSet<Name> = seen.difference(configured).cloned().collect();
        if missed.is_empty() {
            return Check::ok(NAME, format!("asked for one by one: {}", names(configured)));
        }
        let message = format!("there are rows of the apps {}, which are not asked for", names(&missed));
        return Check::warning(NAME, message, "list them under `apps` of the account, or list none to ask for all");
    }
    if let Some((app, false)) = tried {
        let app = cut(&app.text());
        let message =
            format!("a request without AppName does not show all apps: a session of {app} is shown by its name only");
        return Check::warning(
            NAME,
            message,
            format!("list {app}, {DEFAULT_APP} and all other apps under `apps` of the account"),
        );
    }
    if let Some((app, true)) = tried {
        let app = cut(&app.text());
        return Check::ok(NAME, format!("a request without AppName shows all apps: it shows a session of {app} too"));
    }
    if seen.iter().any(|app| *app != Name::from(DEFAULT_APP)) {
        return Check::ok(NAME, format!("a request without AppName shows all apps: there are rows of {}", names(seen)));
    }
    let what = if seen.is_empty() { "no row was seen" } else { "rows of the app live alone were seen" };
    let advice = "if pushes go to other apps too, list all of them under `apps` of the account and ask again";
    Check::unknown(NAME, format!("nothing tells whether a request without AppName means all apps: {what}"), advice)
}

/// What the list of push domains tells.
pub(super) fn domains(found: &[Domain], configured: &[Name]) -> Check {
    const NAME: &str = "domains";
    let key = |name: &Name| name.text().to_ascii_lowercase();
    let known: BTreeMap<String, bool> = found.iter().map(|domain| (key(&domain.name), domain.enabled)).collect();
    let off: BTreeSet<Name> = found.iter().filter(|domain| !domain.enabled).map(|domain| domain.name.clone()).collect();
    let mut message = match found.len() {
        1 => "1 push domain".to_owned(),
        number => format!("{number} push domains"),
    };
    if !off.is_empty() {
        message = format!("{message}, switched off: {}", names(&off));
    }
    let not_there: BTreeSet<Name> = configured.iter().filter(|name| !known.contains_key(&key(name))).cloned().collect();
    if !not_there.is_empty() {
        let message = format!("{message}; the account has no push domain {}", names(&not_there));
        return Check::warning(
            NAME,
            message,
            "correct `domains` of the account; sessions of other domains are not counted",
        );
    }
    if found.is_empty() {
        return Check::warning(
            NAME,
            "the account has no push domain",
            "check that the key is of the account that pushes",
        );
    }
    let off: BTreeSet<Name> = configured.iter().filter(|name| known.get(&key(name)) == Some(&false)).cloned().collect();
    if !off.is_empty() {
        return Check::warning(NAME, message, format!("switch on {}, or take it out of `domains`", names(&off)));
    }
    let asked =
        if configured.is_empty() { "all are asked for at once" } else { "those of the configuration are there" };
    Check::ok(NAME, format!("{message}; {asked}"))
}

/// Names in a row, the first of them.
fn names(all: &BTreeSet<Name>) -> String {
    let named: Vec<String> = all.iter().take(MOST_NAMED).map(|name| cut(&name.text())).collect();
    let more = all.len().saturating_sub(MOST_NAMED);
    if more == 0 { named.join(", ") } else { format!("{} and {more} more", named.join(", ")) }
}

/// A text of a stranger, which ends no line and is marked where it is cut.
fn cut(text: &str) -> String {
    let shown = printable(text, TEXT_BYTES);
    if shown.len() < text.len() && printable(text, usize::MAX).len() > TEXT_BYTES {
        format!("{shown}…")
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;

    fn session(reason: &str) -> PushSession {
        PushSession {
            domain: "push.example.com".into(),
            app: "live".into(),
            stream: "room".into(),
            start: 0,
            end: 60,
            reason_text: reason.into(),
            client_ip: String::new(),
            duration: None,
            resolution: String::new(),
        }
    }

    fn set(names: &[&str]) -> BTreeSet<Name> {
        names.iter().map(|name| Name::from(*name)).collect()
    }

    fn app_check(configured: &[&str], seen: &[&str], tried: Option<(&str, bool)>) -> Check {
        let configured = set(configured);
        let tried = tried.map(|(app, shown)| (Name::from(app), shown));
        apps(&AppEvidence { configured: &configured, seen: set(seen), tried })
    }

    #[test]
    fn only_a_row_of_another_app_tells_that_all_are_meant() {
        for (configured, seen, tried, status) in [
            (&[][..], &["live", "game"][..], None, Status::Ok),
            (&[], &["game"], None, Status::Ok),
            (&[], &["live"], None, Status::Unknown),
            (&[], &[], None, Status::Unknown),
            (&[], &["live"], Some(("game", true)), Status::Ok),
            (&[], &["live"], Some(("game", false)), Status::Warning),
            (&["live"], &["live"], None, Status::Ok),
            (&["live"], &["live", "game"], None, Status::Warning),
            (&["live", "game"], &[], None, Status::Ok),
        ] {
            let check = app_check(configured, seen, tried);
            assert_eq!(check.status, status, "{configured:?} {seen:?} {tried:?}: {check:?}");
        }
        assert!(app_check(&[], &["live"], Some(("game", false))).advice.contains("list game, live"));
    }

    #[test]
    fn unmapped_texts_are_counted_the_most_frequent_first_and_end_no_line() {
        let mut sessions = vec![session("猫踩了键盘"); 2];
        sessions.push(session("a\u{1b}[2J\nb"));
        sessions.push(session("推流链路网络异常"));
        let check = reasons(&sessions, &Classifier::new(&[]));
        assert_eq!(check.status, Status::Warning);
        let words = "3 of 4 rows have a text that no spelling matches: 2 × \"猫踩了键盘\", 1 × \"a\\u{1b}[2J\\nb\"";
        assert_eq!(check.message, words);
        let known =
            [("猫踩了键盘".to_owned(), Reason::NetworkError), ("a\u{1b}[2J\nb".to_owned(), Reason::NetworkError)];
        assert_eq!(reasons(&sessions, &Classifier::new(&known)).status, Status::Ok);
        assert_eq!(reasons(&[], &Classifier::new(&[])).status, Status::Unknown);
    }

    #[test]
    fn a_long_text_is_cut_and_marked() {
        assert_eq!(cut(&"x".repeat(TEXT_BYTES)), "x".repeat(TEXT_BYTES));
        assert_eq!(cut(&"x".repeat(1_000)), format!("{}…", "x".repeat(TEXT_BYTES)));
    }

    #[test]
    fn rows_are_numbered_by_what_became_of_their_sessions() {
        let broken = BrokenRow { field: "StreamName", sample: "{}".into() };
        let page = Page {
            total: Some(120),
            rows: vec![Row::Finished(session("")), Row::Unfinished, Row::Broken(broken.clone())],
        };
        let mut hour = Rows::default();
        hour.take(page.clone(), true);
        hour.take(page, false);
        let check = number(&hour, None, 1, 1);
        assert_eq!(check.status, Status::Warning);
        assert_eq!(
            check.message,
            "120 in the last hour; of the first 6: 2 finished, 2 unfinished, 2 that cannot be read"
        );
        let day = Rows { total: 9, ..Rows::default() };
        assert_eq!(number(&Rows::default(), Some(&day), 1, 1).status, Status::Ok);
        assert_eq!(number(&Rows::default(), Some(&Rows::default()), 1, 1).status, Status::Warning);
        assert!(number(&Rows::default(), Some(&day), 12, 40).message.contains("the first 12 of 40"));
    }

    #[test]
    fn configured_domains_have_to_be_there_and_switched_on() {
        let found = [("a.example.com", true), ("b.example.com", false)]
            .map(|(name, enabled)| Domain { name: name.into(), enabled });
        let check =
            |configured: &[&str]| domains(&found, &configured.iter().map(|name| Name::from(*name)).collect::<Vec<_>>());
        assert_eq!(
            check(&[]),
            Check::ok("domains", "2 push domains, switched off: b.example.com; all are asked for at once")
        );
        assert_eq!(check(&["A.example.com"]).status, Status::Ok);
        assert_eq!(check(&["b.example.com"]).status, Status::Warning);
        let absent = check(&["a.example.com", "c.example.com"]);
        assert!(
            absent.status == Status::Warning && absent.message.contains("no push domain c.example.com"),
            "{absent:?}"
        );
        assert_eq!(domains(&[], &[]).status, Status::Warning);
    }
}
