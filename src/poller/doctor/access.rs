//! How far the first question came: name, connection, TLS, key, permission, service. Pure.

use std::time::Duration;

use super::check::Check;
use super::policy::Policy;
use crate::clock::UnixSeconds;
use crate::live::{ApiError, Broken, CallError, CredentialsError, DESCRIBE_EVENTS};
use crate::poller::keeper::chain;

/// The names of the checks here, in their order.
const REACHABILITY: &str = "reachability";
const TLS: &str = "tls";
const KEY: &str = "key";
const EVENTS: &str = "permission_events";
const SERVICE: &str = "service";

/// The API's clock may be so many seconds off without a word, and signatures are refused from so many on.
const CLOCK_WARNING: u64 = 60;
const CLOCK_FAILURE: u64 = 300;

/// The way to an account's API.
#[derive(Debug, Clone)]
pub struct Way {
    /// Scheme and host, with the proxy before it.
    pub endpoint: String,
    /// Who vouches for its certificate; none where there is no TLS, which is so on this machine alone.
    pub roots: Option<&'static str>,
}

/// Where an account's keys were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFound {
    /// What the source is called.
    pub source: String,
    /// `SecretId`, which is sent with each request.
    pub secret_id: String,
    /// Whether there is a session token.
    pub has_token: bool,
    /// When they expire, where an issuer says so; they are renewed before.
    pub expires: Option<UnixSeconds>,
}

/// Whether there is something to sign with.
pub(super) fn credentials(found: Result<&KeyFound, &CredentialsError>, now: UnixSeconds) -> Check {
    const NAME: &str = "credentials";
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            let advice = match error {
                CredentialsError::Nowhere { .. } => {
                    "set `credentials` of the account, TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY, or a profile file, \
                     or give the machine or the pod a role"
                }
                _ => "repair it, or name another source under `credentials` of the account",
            };
            return Check::failure(NAME, format!("no keys: {}", chain(error)), advice);
        }
    };
    // As much as tells one key from another in the console.
    let id: String = found.secret_id.chars().take(8).collect();
    let keys = format!("keys of the {}, secret id {id}…", found.source);
    match found.expires {
        Some(expires) => {
            let left = (expires - now).max(0) / 60;
            Check::ok(NAME, format!("{keys}; they expire in {left} min and are renewed before"))
        }
        None if found.has_token => Check::warning(
            NAME,
            format!("{keys}, with a session token; it expires, and nothing here tells when or renews it"),
            "give a permanent key, or a role that keys are issued for",
        ),
        None => Check::ok(NAME, format!("{keys}; nothing says that they expire")),
    }
}

/// What the first question tells, check by check: `took` so long, and brought `error` or an answer.
pub(super) fn access(error: Option<&CallError>, took: Duration, way: &Way, policy: &Policy) -> Vec<Check> {
    let host = &way.endpoint;
    let reached = || Check::ok(REACHABILITY, format!("{host} answers, the first time in {} ms", took.as_millis()));
    let encrypted = || match way.roots {
        Some(roots) => Check::ok(TLS, format!("its certificate is vouched for by {roots}")),
        None => Check::ok(TLS, "none: it is plain HTTP to this machine"),
    };
    let signed = || Check::ok(KEY, "the API takes the signature");
    let allowed = || Check::ok(EVENTS, format!("live:{DESCRIBE_EVENTS} is allowed"));
    let Some(error) = error else {
        return vec![
            reached(),
            encrypted(),
            signed(),
            allowed(),
            Check::ok(SERVICE, "it answers questions for records"),
        ];
    };
    let said = chain(error);
    let mut checks = match (error, error.broken()) {
        (CallError::Credentials { .. }, _) => vec![],
        (_, Some(Broken::Name)) => {
            vec![Check::failure(REACHABILITY, said, "check the name in `endpoint` and the DNS of this machine")]
        }
        (_, Some(Broken::Connection)) => vec![Check::failure(
            REACHABILITY,
            said,
            "let this machine connect to it: firewall, routes, and `proxy` of the account where there is one",
        )],
        (_, Some(Broken::Tls)) => vec![
            Check::ok(REACHABILITY, format!("{host} takes connections")),
            Check::failure(
                TLS,
                said,
                "something on the way shows another certificate; where that is meant, name who signed it in `ca_file` of the \
                 account. Check this machine's date too",
            ),
        ],
        (_, Some(Broken::Answer)) => vec![Check::failure(
            REACHABILITY,
            said,
            "it was connected and brought no answer; look at what is between this machine and it",
        )],
        (CallError::Api(error), None) => {
            let mut checks = vec![reached(), encrypted()];
            checks.extend(refused(error, policy, signed, allowed));
            checks
        }
        (_, None) => {
            let advice = "what answers there is not the API; check `endpoint`, and what is between this machine and it";
            vec![reached(), encrypted(), Check::failure(SERVICE, said, advice)]
        }
    };
    let failed = checks.last().map_or("credentials", |check| check.name);
    for name in [REACHABILITY, TLS, KEY, EVENTS, SERVICE] {
        if checks.iter().all(|check| check.name != name) {
            checks.push(Check::skipped(name, format!("after {failed}")));
        }
    }
    let place = |check: &Check| [REACHABILITY, TLS, KEY, EVENTS, SERVICE].iter().position(|name| *name == check.name);
    checks.sort_by_key(place);
    checks
}

/// What the API's own refusal tells.
fn refused(error: &ApiError, policy: &Policy, signed: impl Fn() -> Check, allowed: impl Fn() -> Check) -> Vec<Check> {
    let said = error.answer();
    match error.kind() {
        // The clock has a check of its own; here it is one that the API did not tell.
        "auth" | "clock" => vec![Check::failure(KEY, said, error.advice())],
        "permission" => vec![signed(), permission(EVENTS, DESCRIBE_EVENTS, error, policy, Check::failure)],
        "service" => vec![signed(), Check::failure(SERVICE, said, error.advice())],
        _ => vec![signed(), allowed(), Check::failure(SERVICE, said, error.advice())],
    }
}

/// A permission that is missing, with the statement that gives it.
pub(super) fn permission(
    name: &'static str,
    action: &'static str,
    error: &ApiError,
    policy: &Policy,
    verdict: impl Fn(&'static str, String, String) -> Check,
) -> Check {
    if !error.is_unauthorized() {
        return verdict(name, error.answer(), error.advice().to_owned());
    }
    let advice = format!("add to the key's CAM policy: {}", policy.statement(action));
    let more = if policy.domains.is_empty() && action == DESCRIBE_EVENTS {
        "; where the policy is limited to domains, list them under `domains` of the account"
    } else {
        ""
    };
    verdict(name, error.answer(), advice + more)
}

/// Whether the two clocks agree. `skew` is the API's minus ours, in seconds.
pub(super) fn clock(skew: Option<i64>) -> Check {
    const NAME: &str = "clock";
    let Some(skew) = skew else { return Check::skipped(NAME, "no answer has told the API's time") };
    let side = if skew < 0 { "behind this machine's" } else { "ahead of this machine's" };
    let message = format!("the API's clock is {} s {side}", skew.unsigned_abs());
    let advice = "set the clock of this machine, with NTP";
    // No window reaches beyond the now of either clock.
    let late = if skew > 0 { format!(", and counts what ends {skew} s late") } else { String::new() };
    let off = format!("{message}; the exporter signs by the API's clock all the same{late}");
    match skew.unsigned_abs() {
        0 => Check::ok(NAME, "the API's clock and this machine's agree"),
        seconds if seconds < CLOCK_WARNING => Check::ok(NAME, message),
        seconds if seconds < CLOCK_FAILURE => Check::warning(NAME, off, advice),
        _ => Check::failure(NAME, off, advice),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Status::{self, Failure, Ok as Fine, Skipped, Warning};
    use super::*;

    fn way() -> Way {
        Way { endpoint: "https://live.example.com".into(), roots: Some("the bundled roots") }
    }

    fn policy() -> Policy {
        Policy { actions: vec![DESCRIBE_EVENTS], domains: Vec::new() }
    }

    fn statuses(error: Option<&CallError>) -> Vec<(&'static str, Status)> {
        let checks = access(error, Duration::from_millis(35), &way(), &policy());
        checks.iter().map(|check| (check.name, check.status)).collect()
    }

    fn api(code: &str) -> CallError {
        ApiError::new(DESCRIBE_EVENTS, code, "says the API", None).into()
    }

    #[test]
    fn each_refusal_is_told_where_it_belongs_and_what_comes_after_is_skipped() {
        let names = [REACHABILITY, TLS, KEY, EVENTS, SERVICE];
        let broken = || CallError::Network {
            action: DESCRIBE_EVENTS,
            host: "live.example.com".into(),
            source: Box::new(std::io::Error::other(rustls::Error::EncryptError)),
        };
        for (error, wanted) in [
            (None, [Fine; 5]),
            (Some(broken()), [Fine, Failure, Skipped, Skipped, Skipped]),
            (Some(api("AuthFailure.SignatureFailure")), [Fine, Fine, Failure, Skipped, Skipped]),
            (Some(api("AuthFailure.SignatureExpire")), [Fine, Fine, Failure, Skipped, Skipped]),
            (Some(api("UnauthorizedOperation")), [Fine, Fine, Fine, Failure, Skipped]),
            (Some(api("IpNotInWhitelist")), [Fine, Fine, Fine, Failure, Skipped]),
            (Some(api("ResourceNotFound.UserNotExist")), [Fine, Fine, Fine, Skipped, Failure]),
            (Some(api("RequestLimitExceeded")), [Fine; 5].map(|_| Fine)),
        ] {
            let mut wanted: Vec<_> = names.into_iter().zip(wanted).collect();
            if error.as_ref().is_some_and(|error: &CallError| error.kind() == "throttled") {
                wanted[4].1 = Failure;
            }
            assert_eq!(statuses(error.as_ref()), wanted, "{error:?}");
        }
    }

    #[test]
    fn a_missing_permission_names_the_statement_and_a_refused_address_does_not() {
        let advice = |code| access(Some(&api(code)), Duration::ZERO, &way(), &policy())[3].advice.clone();
        let denied = advice("UnauthorizedOperation");
        assert!(denied.contains(r#""action":["live:DescribeLiveStreamEventList"],"resource":["*"]"#), "{denied}");
        assert!(!advice("IpNotInWhitelist").contains("effect"));
    }

    #[test]
    fn a_clock_may_be_a_minute_off_and_never_five() {
        for (skew, status) in
            [(0, Fine), (59, Fine), (-59, Fine), (60, Warning), (-299, Warning), (300, Failure), (-4_000, Failure)]
        {
            assert_eq!(clock(Some(skew)).status, status, "{skew}");
        }
        assert!(clock(Some(-61)).message.contains("61 s behind"));
        assert!(clock(Some(61)).message.contains("counts what ends 61 s late"));
        assert!(!clock(Some(-61)).message.contains("late"));
        assert_eq!(clock(None).status, Skipped);
    }

    #[test]
    fn keys_are_told_by_the_start_of_their_id_and_their_end() {
        let key = |has_token, expires| KeyFound {
            source: "configuration".into(),
            secret_id: "AKID0123456789".into(),
            has_token,
            expires,
        };
        let check = |key: KeyFound| credentials(Ok(&key), 1_000);
        assert_eq!(
            check(key(false, None)),
            Check::ok("credentials", "keys of the configuration, secret id AKID0123…; nothing says that they expire")
        );
        assert!(check(key(true, Some(1_000 + 7_200))).message.contains("expire in 120 min"));
        assert_eq!(check(key(true, None)).status, Warning);
        assert_eq!(credentials(Err(&CredentialsError::Unprintable("secret_key")), 0).status, Failure);
    }
}
