//! A role that an account's keys take on (CAM, `AssumeRole`).

use std::time::Duration;

use super::key::printable;
use crate::secret::Secret;
use crate::settings::problem::{Problem, ProblemKind};
use crate::settings::section::{Section, Span};

/// The session's name unless another is set.
pub(super) const SESSION_NAME: &str = "tencent-live-exporter";
/// How long the role's keys live unless set otherwise, as STS has it.
const DURATION: Duration = Duration::from_secs(7200);
/// How long they may live: half a day at most, says STS; the least is what leaves time to renew them.
const DURATIONS: Span = Span::seconds(600, 43_200).whole();

const ARN_ACCEPTED: &str = "qcs::cam::uin/NUMBER:roleName/NAME";
const NAME_ACCEPTED: &str = "2 to 128 letters, digits, = , . @ _ + -";
const EXTERNAL_ID_ACCEPTED: &str = "2 to 128 characters of visible ASCII";

/// A role that is taken on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// `qcs::cam::uin/…:roleName/…`
    pub arn: String,
    /// What the account's audit log calls the session.
    pub session_name: String,
    /// What the role asks for beside the keys.
    pub external_id: Option<Secret>,
    /// How long its keys live, from 10 minutes to 12 hours.
    pub duration: Duration,
}

/// Reads the role at `section`.
pub(super) fn read(section: &Section<'_>) -> Option<Role> {
    if !section.exists() {
        return None;
    }
    if !section.has("arn") {
        let key = format!("{}.arn", section.key());
        section.report(Problem::new(ProblemKind::Missing, key, "not set", ARN_ACCEPTED));
    }
    let arn = section.entry("arn").and_then(|entry| entry.read(ARN_ACCEPTED, arn));
    let session_name = section.read("session_name", SESSION_NAME.to_owned(), NAME_ACCEPTED, |text| {
        let fit = |c: char| c.is_ascii_alphanumeric() || "=,.@_+-".contains(c);
        let named = (2..=128).contains(&text.len()) && text.chars().all(fit);
        if named { Ok(text.to_owned()) } else { Err("not such a name".to_owned()) }
    });
    let duration = section.duration("duration", DURATION, DURATIONS);
    let external_id = section.entry("external_id").map(|entry| {
        entry.read(EXTERNAL_ID_ACCEPTED, |text| {
            printable(text)?;
            let fits = (2..=128).contains(&text.len());
            if fits { Ok(Secret::new(text)) } else { Err("has another length".to_owned()) }
        })
    });
    let external_id = match external_id {
        Some(read) => Some(read?),
        None => None,
    };
    let sound = session_name.sound && duration.sound && section.is_sound("external_id");
    sound.then_some(())?;
    Some(Role { arn: arn?, session_name: session_name.value, external_id, duration: duration.value })
}

fn arn(text: &str) -> Result<String, String> {
    printable(text)?;
    let role = text.strip_prefix("qcs::cam::uin/").and_then(|rest| rest.split_once(':'));
    let named = role.is_some_and(|(uin, role)| {
        let name = role.strip_prefix("roleName/").or_else(|| role.strip_prefix("role/"));
        !uin.is_empty() && uin.bytes().all(|byte| byte.is_ascii_digit()) && name.is_some_and(|name| !name.is_empty())
    });
    if named { Ok(text.to_owned()) } else { Err("not the name of a role".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_named_in_full() {
        for text in ["qcs::cam::uin/100000000001:roleName/live-reader", "qcs::cam::uin/1:role/4611686018427397919"] {
            assert_eq!(arn(text), Ok(text.to_owned()));
        }
        for text in [
            "",
            "live-reader",
            "qcs::cam::uin/:roleName/a",
            "qcs::cam::uin/1a:roleName/a",
            "qcs::cam::uin/1:roleName/",
            "qcs::cam::uin/1:user/a",
            "qcs::cam::uin/1:roleName/a b",
            "acs:ram::1:role/a",
        ] {
            assert!(arn(text).is_err(), "{text}");
        }
    }
}
