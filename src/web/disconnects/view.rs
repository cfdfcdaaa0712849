//! What every part of the page needs: language, zone, filters, and how names and moments are shown.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::super::layout::Language;
use super::filters::{Filters, Window};
use super::words::{self, Words};
use super::zone::Zone;
use crate::clock::UnixSeconds;
use crate::reason::{Class, Reason};

/// Longest name in characters that is shown whole.
const SHOWN_CHARACTERS: usize = 200;

/// For whom and for which question the page is made.
pub(super) struct View<'a> {
    pub(super) language: Language,
    pub(super) words: &'static Words,
    pub(super) filters: &'a Filters,
    pub(super) window: Window,
    pub(super) zone: Zone,
    pub(super) now: UnixSeconds,
}

impl View<'_> {
    /// The one of two texts that is in the page's language.
    pub(super) fn say<T: Copy>(&self, english: T, chinese: T) -> T {
        self.language.pick(english, chinese)
    }

    /// A moment in the zone of whoever looks, UTC beside it.
    pub(super) fn moment(&self, at: UnixSeconds) -> Markup {
        const DAY: &str = "%Y-%m-%d";
        let utc = Zone::utc();
        let same_day = self.zone.write(at, DAY) == utc.write(at, DAY);
        html! {
            time datetime=(utc.write(at, "%Y-%m-%dT%H:%M:%SZ")) {
                span.day { (self.zone.write(at, DAY)) }
                " "
                span.clock { (self.zone.write(at, "%H:%M:%S")) }
            }
            @if self.zone.is_utc() {
                " " span.utc { "UTC" }
            } @else {
                " " span.utc { (utc.write(at, if same_day { "%H:%M:%S UTC" } else { "%m-%d %H:%M:%S UTC" })) }
            }
        }
    }

    /// A link to the first page of the same with something changed.
    pub(super) fn link(&self, change: impl FnOnce(&mut Filters)) -> String {
        format!("disconnects?{}", self.filters.with(change))
    }

    /// A class by name and colour, as a link to what is of it.
    pub(super) fn class(&self, class: Class) -> Markup {
        html! {
            a.class href=(self.link(|filters| {
                filters.records.class = Some(class);
                filters.records.reason = None;
            })) {
                (swatch(class)) (words::class_name(self.language, class))
            }
        }
    }

    /// The link to what ended for a reason.
    pub(super) fn of_reason(&self, reason: Reason) -> String {
        self.link(|filters| {
            filters.records.reason = Some(reason);
            filters.records.class = None;
        })
    }

    /// The official text of a reason.
    pub(super) fn reason(&self, reason: Reason) -> Markup {
        let (text, language) = words::reason_text(self.language, reason);
        html! { span lang=[(language != self.language).then(|| language.tag())] { (text) } }
    }

    /// The official text in the language that the page is not in, where there is another.
    pub(super) fn other_reason_text(&self, reason: Reason) -> Option<Markup> {
        let other = self.say(Language::Chinese, Language::English);
        let (text, language) = words::reason_text(other, reason);
        (language == other && text != words::reason_text(self.language, reason).0)
            .then(|| html! { span lang=(language.tag()) { (text) } })
    }

    /// What to do about a reason.
    pub(super) fn advice(&self, reason: Reason) -> &'static str {
        let advice = reason.advice();
        self.say(advice.en, advice.zh)
    }
}

/// The colour of a class; its name always stands beside it.
pub(super) fn swatch(class: Class) -> Markup {
    html! {
        svg.swatch viewBox="0 0 10 10" width="10" height="10" aria-hidden="true" focusable="false" {
            rect.{ "c-" (class.as_str()) } width="10" height="10" rx="2" {}
        }
    }
}

/// A text that a stranger chose: on its own, so that it reorders nothing beside it, without characters that would reorder
/// or hide a part of it, and not longer than a page bears.
pub(super) fn foreign(text: &str) -> Markup {
    let shown = visible(text);
    html! { bdi { (shown) } }
}

/// `text` with what cannot be seen made visible, cut.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(SHOWN_CHARACTERS) {
        match c {
            '\0'..='\x1f' => shown.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\x7f' => shown.push('\u{2421}'),
            // Not the zero-width joiner, which holds emoji together.
            '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' => {
                // Writing to a text cannot fail.
                let _ = write!(shown, "⟨U+{:04X}⟩", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    if text.chars().nth(SHOWN_CHARACTERS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_made_visible() {
        for (text, shown) in [
            ("room_1", "room_1"),
            ("房间一 🎥👩\u{200d}👧", "房间一 🎥👩\u{200d}👧"),
            ("two\nlines\t\0", "two␊lines␉␀"),
            ("\u{202e}gnp.exe\u{2066}", "⟨U+202E⟩gnp.exe⟨U+2066⟩"),
            ("a\u{200b}b\u{7f}", "a⟨U+200B⟩b␡"),
        ] {
            assert_eq!(visible(text), shown);
        }
        let long = "长".repeat(10_000);
        assert_eq!(visible(&long).chars().count(), SHOWN_CHARACTERS + 1);
        assert_eq!(foreign("<b>").into_string(), "<bdi>&lt;b&gt;</bdi>");
    }
}
