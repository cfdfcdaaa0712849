//! One finished push, as the API tells it, and what makes it the same push when it is told again.
//!
//! The API gives no event id and whole-second times. Sessions of one stream that start in the same second form a
//! *group*; rows of a group differ by end, reason and address, their *facts*. Groups are named by their start and
//! keyed hashes over length-prefixed raw bytes, so that nobody who may choose stream names can make two groups meet.

use std::borrow::Cow;
use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher24};

use crate::clock::UnixSeconds;
use crate::planted::{Bug, planted};

/// Longest label value in bytes before it is cut and marked with a hash.
pub const LABEL_BYTES: usize = 128;

/// The label value of what the series limit folds together. No name has it, see [`Name::label`].
pub const OVERFLOW: &str = "__overflow__";

/// A domain, app or stream name: the bytes the API sent, whatever they are.
///
/// JSON can carry lone surrogates and a hostile API invalid UTF-8; both are kept here byte for byte, so that two
/// names that look alike stay two names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Keeps `bytes` as they are.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into().into_boxed_slice())
    }

    /// The bytes as received.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name as text to show, what is not UTF-8 replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The name as a label value: itself where that is safe, otherwise cut or cleaned, then `~` and eight hex digits of
    /// its hash under `key`.
    ///
    /// Marked are names over [`LABEL_BYTES`], names that are not UTF-8, and names with a NUL, which ends a page for
    /// Prometheus' parser. A name that already holds the replacement character is marked too, so that it cannot
    /// pass for a cleaned one; so is [`OVERFLOW`], which is not a stranger's to take.
    #[must_use]
    pub fn label(&self, key: &IdentityKey) -> String {
        let text = self.text();
        if self.0.len() <= LABEL_BYTES && !text.contains(['\0', '\u{fffd}']) && !is_taken(&text) {
            return text.into_owned();
        }
        marked(&text.replace('\0', "\u{fffd}"), &self.0, key)
    }
}

/// A text that was made of label values as a label value itself: cut and marked as [`Name::label`] does where it is over
/// [`LABEL_BYTES`] or taken. What was cleaned has its mark already.
#[must_use]
pub fn relabelled(text: String, key: &IdentityKey) -> String {
    if text.len() <= LABEL_BYTES && !is_taken(&text) { text } else { marked(&text, text.as_bytes(), key) }
}

/// Whether a text is [`OVERFLOW`], or what that looks like once it is marked.
fn is_taken(text: &str) -> bool {
    text.strip_prefix(OVERFLOW).is_some_and(|rest| rest.is_empty() || rest.starts_with('~'))
}

/// The start of `text`, and eight hex digits of the hash of `raw`.
fn marked(text: &str, raw: &[u8], key: &IdentityKey) -> String {
    let mut hasher = key.hasher();
    hasher.write(raw);
    format!("{}~{:08x}", &text[..text.floor_char_boundary(LABEL_BYTES)], hasher.finish128().h1 >> 32)
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// One finished push session: the facts as received.
///
/// Fields are named after the API's (`DescribeLiveStreamEventList`, object `StreamEventInfo`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PushSession {
    /// `DomainName`: the push domain.
    pub domain: Name,
    /// `AppName`: the push path.
    pub app: Name,
    /// `StreamName`.
    pub stream: Name,
    /// `StreamStartTime`, whole seconds.
    pub start: UnixSeconds,
    /// `StreamEndTime`, whole seconds.
    pub end: UnixSeconds,
    /// `StopReason`: Tencent's text, unclassified.
    pub reason_text: String,
    /// `ClientIp`: the publisher's address; `-` for pushes from the intranet.
    pub client_ip: String,
    /// `Duration` in seconds; absent where the API sent none that can be believed.
    pub duration: Option<u64>,
    /// `Resolution`, `W*H`; may be empty.
    pub resolution: String,
}

impl PushSession {
    /// Seconds the push lasted: the API's word, else the difference of its times, never below zero.
    #[must_use]
    pub fn lasted(&self) -> u64 {
        self.duration.unwrap_or_else(|| u64::try_from(self.end.saturating_sub(self.start)).unwrap_or(0))
    }

    /// The group this session belongs to.
    #[must_use]
    pub fn group(&self) -> GroupId {
        GroupId { domain: self.domain.clone(), app: self.app.clone(), stream: self.stream.clone(), start: self.start }
    }

    /// Whether this session belongs to `group`.
    #[must_use]
    pub fn is_of(&self, group: &GroupId) -> bool {
        self.start == group.start && self.stream == group.stream && self.app == group.app && self.domain == group.domain
    }

    /// What tells this row from others of its group.
    #[must_use]
    pub fn fact(&self, key: &IdentityKey) -> Fact {
        Fact { end: self.end, reason: key.digest(&self.reason_text), address: key.digest(&self.client_ip) }
    }
}

/// The sessions of one stream that start in one second.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupId {
    /// The push domain.
    pub domain: Name,
    /// The push path.
    pub app: Name,
    /// The stream.
    pub stream: Name,
    /// When all of the group's sessions started.
    pub start: UnixSeconds,
}

impl GroupId {
    /// The group's name in the ledger, within `account`.
    #[must_use]
    pub fn key(&self, account: &str, key: &IdentityKey) -> GroupKey {
        let mut hasher = key.hasher();
        write_prefixed(&mut hasher, account.as_bytes());
        for name in [&self.domain, &self.app, &self.stream] {
            write_prefixed(&mut hasher, name.as_bytes());
        }
        hasher.write(&self.start.to_le_bytes());
        let mut bytes = hasher.finish128().as_bytes();
        if self.start >= key.ordered_since {
            bytes[..4].copy_from_slice(&second_in_order(self.start).to_be_bytes());
        }
        GroupKey(bytes)
    }
}

/// A start since 1970 as 32 bits, in the order of starts; from 2106 on all are one.
fn second_in_order(start: UnixSeconds) -> u32 {
    u32::try_from(start).unwrap_or(u32::MAX)
}

/// A [`GroupId`] in 128 bits: its start in 32 and 96 of its hash under the ledger's key. Sessions that are listed together
/// mostly started near each other, so their groups stand on few pages of a ledger that sorts by key. Groups that started
/// before [`IdentityKey::with_order_since`] have 128 bits of the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey(pub [u8; 16]);

/// What tells rows of one group apart: the end, and digests of reason text and publisher address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fact {
    /// When the session ended.
    pub end: UnixSeconds,
    /// Keyed hash of the reason text.
    pub reason: u32,
    /// Keyed hash of the publisher's address.
    pub address: u32,
}

impl Fact {
    /// The bytes a ledger keeps.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.end.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.reason.to_le_bytes());
        bytes[12..].copy_from_slice(&self.address.to_le_bytes());
        bytes
    }

    /// The reverse of [`Fact::to_bytes`].
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "each cast takes its own bits")]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let bits = u128::from_le_bytes(bytes);
        Self { end: bits as i64, reason: (bits >> 64) as u32, address: (bits >> 96) as u32 }
    }

    /// Whether both rows have one reason: one may be the other with its end or its address corrected.
    #[must_use]
    pub fn has_reason_of(&self, other: &Fact) -> bool {
        self.reason == other.reason
    }

    /// Whether at most the reason differs: one may be the other with its reason corrected.
    #[must_use]
    pub fn has_end_and_address_of(&self, other: &Fact) -> bool {
        self.end == other.end && self.address == other.address
    }
}

/// The secret key of all hashes of one ledger; made with it, kept in it.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityKey {
    bytes: [u8; 16],
    ordered_since: UnixSeconds,
}

impl IdentityKey {
    /// A key from 16 random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self { bytes, ordered_since: 0 }
    }

    /// The key of a ledger that was begun when keys of groups did not begin with their start: those of groups that started
    /// before `start` still do not.
    #[must_use]
    pub const fn with_order_since(self, start: UnixSeconds) -> Self {
        Self { ordered_since: start, ..self }
    }

    /// The bytes, for the ledger that keeps them.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    fn digest(&self, text: &str) -> u32 {
        let mut hasher = self.hasher();
        hasher.write(text.as_bytes());
        (hasher.finish128().h1 >> 32) as u32
    }

    fn hasher(&self) -> SipHasher24 {
        SipHasher24::new_with_key(&self.bytes)
    }
}

impl std::fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdentityKey([secret])")
    }
}

fn write_prefixed(hasher: &mut SipHasher24, bytes: &[u8]) {
    if !planted(Bug::NamesRunTogether) {
        hasher.write(&(bytes.len() as u64).to_le_bytes());
    }
    hasher.write(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> IdentityKey {
        IdentityKey::new(*b"0123456789abcdef")
    }

    fn group(domain: &str, app: &str, stream: &str) -> GroupKey {
        GroupId { domain: domain.into(), app: app.into(), stream: stream.into(), start: 7 }.key("main", &key())
    }

    #[test]
    fn names_that_touch_do_not_merge() {
        assert_ne!(group("d", "live", "1room"), group("d", "live1", "room"));
        assert_ne!(group("d", "", "x"), group("d", "x", ""));
    }

    #[test]
    fn another_key_gives_other_groups() {
        let id = GroupId { domain: "d".into(), app: "a".into(), stream: "s".into(), start: 7 };
        assert_ne!(id.key("main", &key()), id.key("main", &IdentityKey::new([9; 16])));
        assert_ne!(id.key("main", &key()), id.key("other", &key()));
    }

    #[test]
    fn keys_of_groups_are_in_the_order_of_their_starts() {
        let key_of =
            |start| GroupId { domain: "d".into(), app: "a".into(), stream: "s".into(), start }.key("main", &key());
        let starts = [0, 1, 255, 256, 1_700_000_000, 1_700_000_001, i64::from(u32::MAX)];
        for pair in starts.windows(2) {
            assert!(key_of(pair[0]) < key_of(pair[1]), "{pair:?}");
        }
        assert_ne!(key_of(i64::from(u32::MAX)), key_of(i64::MAX), "one second of order, two groups");
    }

    #[test]
    fn groups_that_started_before_keys_had_an_order_keep_theirs() {
        let id = |start| GroupId { domain: "d".into(), app: "a".into(), stream: "s".into(), start };
        let (since_100, never) = (key().with_order_since(100), key().with_order_since(UnixSeconds::MAX));
        assert_eq!(id(99).key("main", &since_100), id(99).key("main", &never));
        assert_eq!(id(100).key("main", &since_100), id(100).key("main", &key()));
        assert_eq!(id(100).key("main", &key()).0[4..], id(100).key("main", &never).0[4..], "the rest is one hash");
    }

    #[test]
    fn a_fact_reads_back_from_its_bytes() {
        for end in [0, -5, i64::MAX, i64::MIN, 1_700_000_000] {
            let fact = Fact { end, reason: 7, address: u32::MAX };
            assert_eq!(Fact::from_bytes(fact.to_bytes()), fact);
        }
    }

    #[test]
    fn an_ordinary_name_is_its_own_label() {
        assert_eq!(Name::from("房间 \"1\"\n\\").label(&key()), "房间 \"1\"\n\\");
        assert_eq!(Name::new(vec![b'a'; LABEL_BYTES]).label(&key()).len(), LABEL_BYTES);
    }

    #[test]
    fn long_broken_and_nul_names_stay_different_after_cleaning() {
        let long = |last: u8| Name::new([vec![b'a'; 70_000], vec![last]].concat()).label(&key());
        assert_ne!(long(b'x'), long(b'y'));
        assert!(long(b'x').len() <= LABEL_BYTES + 9);
        let cleaned =
            [Name::new(vec![b'a', 0xff]), Name::new(vec![b'a', 0xfe]), Name::from("a\u{fffd}"), Name::from("a\0")];
        for (i, one) in cleaned.iter().enumerate() {
            assert!(one.label(&key()).starts_with("a\u{fffd}~"), "{one:?}");
            for other in &cleaned[i + 1..] {
                assert_ne!(one.label(&key()), other.label(&key()));
            }
        }
    }

    #[test]
    fn no_name_is_that_of_what_the_limit_folds_together() {
        let taken = Name::from(OVERFLOW).label(&key());
        assert!(taken.starts_with("__overflow__~") && taken.len() == 12 + 9, "{taken}");
        // Whoever has read that on a page cannot make a second stream of it.
        let copied = Name::from(taken.as_str()).label(&key());
        assert!(copied != taken && copied.starts_with(&format!("{taken}~")), "{copied}");
        for name in ["__overflow__x", "x__overflow__", "__OVERFLOW__", "__overflow"] {
            assert_eq!(Name::from(name).label(&key()), name);
        }
        assert_eq!(relabelled(OVERFLOW.into(), &key()), taken);
    }

    #[test]
    fn texts_made_of_labels_are_cut_and_stay_apart() {
        let made = |last: char| relabelled(format!("{}{last}", "a".repeat(200)), &key());
        assert_ne!(made('x'), made('y'));
        assert_eq!(made('x').len(), LABEL_BYTES + 9);
        assert_eq!(relabelled("a".repeat(LABEL_BYTES), &key()), "a".repeat(LABEL_BYTES));
        let cleaned = Name::from("a\0").label(&key());
        assert_eq!(relabelled(cleaned.clone(), &key()), cleaned, "one mark is enough");
    }

    #[test]
    fn a_cut_falls_between_characters() {
        let label = Name::new("房".repeat(100)).label(&key());
        assert!(label.starts_with(&"房".repeat(42)) && label.len() == 126 + 9);
    }
}
