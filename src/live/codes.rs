//! The API's error codes: what each means for the caller.
//!
//! Source: error codes of the action (<https://cloud.tencent.com/document/api/267/33186>) and the common codes
//! (<https://cloud.tencent.com/document/api/267/30851>), with those of neighbouring Live actions that a call may meet.

use super::{ASSUME_ROLE, ASSUME_ROLE_WITH_WEB_IDENTITY, STS_ACTIONS};

/// Every value of the `error` label and of [`super::CallError::kind`], sorted.
pub const ERROR_KINDS: &[&str] = &[
    "auth",
    "clock",
    "http",
    "internal",
    "network",
    "other",
    "parameter",
    "permission",
    "protocol",
    "service",
    "throttled",
    "timeout",
];

/// When a request that failed may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// After a pause; the fault is likely to pass.
    Pause,
    /// At once, and only if reading the credentials or the API's clock anew changes the request.
    Renew,
    /// Not before someone has changed something.
    Never,
}

/// One known error code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Code {
    /// As the API sends it.
    pub(super) name: &'static str,
    /// One of [`ERROR_KINDS`].
    pub(super) kind: &'static str,
    /// Whether to send the request again.
    pub(super) retry: Retry,
    /// What to do about it, `{action}` standing for the action called; may be empty.
    pub(super) advice: &'static str,
}

const fn code(name: &'static str, kind: &'static str, retry: Retry, advice: &'static str) -> Code {
    Code { name, kind, retry, advice }
}

const KEYS: &str = "check secret_id and secret_key, and that they belong to this site: china and international have \
                    separate accounts";
const CAM: &str = "grant the CAM action live:{action}; under a policy limited to domains, list them under domains";
const CLOCK: &str = "the clock of this machine is more than five minutes off and the API's could not be learned";

/// Every known error code, sorted by name.
pub(super) static TABLE: [Code; 52] = {
    use Retry::{Never, Pause, Renew};
    [
        code("ActionOffline", "parameter", Never, "the API has withdrawn this action; look for a newer version"),
        code("AuthFailure.InvalidAuthorization", "auth", Never, "something between here and the API alters headers"),
        code("AuthFailure.InvalidSecretId", "auth", Renew, "give the key of an API caller, not another kind of key"),
        code("AuthFailure.MFAFailure", "auth", Never, "this account's policy asks for MFA; use a sub-account without"),
        code("AuthFailure.SecretIdNotFound", "auth", Renew, KEYS),
        code("AuthFailure.SignatureExpire", "clock", Renew, CLOCK),
        code("AuthFailure.SignatureFailure", "auth", Renew, KEYS),
        code("AuthFailure.TokenFailure", "auth", Renew, "the session token is wrong or has expired"),
        code("AuthFailure.UnauthorizedOperation", "permission", Never, CAM),
        code("DryRunOperation", "parameter", Never, ""),
        code("FailedOperation", "internal", Pause, ""),
        code("FailedOperation.CallOtherSvrFailed", "internal", Pause, ""),
        code("FailedOperation.NetworkError", "internal", Pause, ""),
        code("InternalError", "internal", Pause, ""),
        code("InternalError.CallOtherSvrError", "internal", Pause, ""),
        code("InternalError.ConnectDbError", "internal", Pause, ""),
        code("InternalError.DBError", "internal", Pause, ""),
        code("InternalError.GetBizidError", "internal", Pause, ""),
        code("InternalError.NetworkError", "internal", Pause, ""),
        code("InternalError.SystemError", "internal", Pause, ""),
        code("InvalidAction", "parameter", Never, "check the endpoint: it does not know this action"),
        code("InvalidParameter", "parameter", Never, ""),
        code("InvalidParameterValue", "parameter", Never, "check domains and apps in the configuration"),
        code("InvalidRequest", "parameter", Never, ""),
        code("IpInBlacklist", "permission", Never, "the account's policy refuses this machine's address"),
        code("IpNotInWhitelist", "permission", Never, "the account's policy does not list this machine's address"),
        code("LimitExceeded", "throttled", Never, "a quota of the account is used up"),
        code("LimitExceeded.RateLimitExceeded", "throttled", Pause, ""),
        code("MissingParameter", "parameter", Never, ""),
        code("NoSuchProduct", "parameter", Never, "check the endpoint: it is not that of Tencent Cloud Live"),
        code("NoSuchVersion", "parameter", Never, "check the endpoint: it is not that of Tencent Cloud Live"),
        code("RequestLimitExceeded", "throttled", Pause, "lower poll.max_requests_per_second"),
        code("RequestLimitExceeded.GlobalRegionUinLimitExceeded", "throttled", Pause, "other tools share this quota"),
        code("RequestLimitExceeded.IPLimitExceeded", "throttled", Pause, "other tools share this address"),
        code("RequestLimitExceeded.UinLimitExceeded", "throttled", Pause, "other tools share this account's quota"),
        code("RequestSizeLimitExceeded", "parameter", Never, ""),
        code("ResourceInUse", "internal", Never, ""),
        code("ResourceInsufficient", "internal", Never, ""),
        code("ResourceNotFound", "service", Never, "check that this account uses Tencent Cloud Live"),
        code("ResourceNotFound.ForbidService", "service", Never, "the account's Live service is blocked; ask Tencent"),
        code("ResourceNotFound.FreezeService", "service", Never, "the account's Live service is frozen; ask Tencent"),
        code("ResourceNotFound.StopService", "service", Never, "the account is in arrears or its Live service stopped"),
        code("ResourceNotFound.UserDisableService", "service", Never, "the Live service was turned off by its owner"),
        code("ResourceNotFound.UserNotExist", "service", Never, "the account has not activated Tencent Cloud Live"),
        code("ResourceUnavailable", "internal", Pause, ""),
        code("ResponseSizeLimitExceeded", "parameter", Never, ""),
        code("ServiceUnavailable", "internal", Pause, ""),
        code("UnauthorizedOperation", "permission", Never, CAM),
        code("UnknownParameter", "parameter", Never, ""),
        code("UnsupportedOperation", "parameter", Never, ""),
        code("UnsupportedProtocol", "parameter", Never, "use an https:// endpoint"),
        code("UnsupportedRegion", "parameter", Never, "check the endpoint: Live is not offered in its region"),
    ]
};

/// Outcomes of a call that are not the API's own codes, sorted.
const OWN: [&str; 6] = ["bad_body", "http_status", "network", "ok", "other", "timeout"];

static ALL: [&str; TABLE.len() + OWN.len()] = {
    let mut all = [""; TABLE.len() + OWN.len()];
    let mut index = 0;
    while index < all.len() {
        all[index] = if index < TABLE.len() { TABLE[index].name } else { OWN[index - TABLE.len()] };
        index += 1;
    }
    all
};

/// Every value of the `code` label, sorted: `ok`, the API's error codes, and what can go wrong before one is read. A
/// code that is not among them is `other`.
pub static CODES: &[&str] = &ALL;

/// What to do about `code` as the answer to `action`, in words; may be empty.
pub(super) fn advice(action: &str, code: Code) -> String {
    if !STS_ACTIONS.contains(&action) {
        return code.advice.replace("{action}", action);
    }
    match code.kind {
        "clock" => CLOCK.to_owned(),
        "auth" if action == ASSUME_ROLE => KEYS.to_owned(),
        "auth" | "permission" if action == ASSUME_ROLE_WITH_WEB_IDENTITY => {
            "check that the role trusts this OIDC provider and this service account".to_owned()
        }
        "permission" => format!("grant the CAM action sts:{action} to the key, and let the role trust its account"),
        "parameter" | "service" => "check the role's arn, external_id and longest session".to_owned(),
        _ => String::new(),
    }
}

/// What is to be done about an error code, known or not.
pub(super) fn look_up(name: &str) -> Code {
    let find = |name: &str| TABLE.binary_search_by(|code| code.name.cmp(name)).ok().map(|index| TABLE[index]);
    let family = name.split_once('.').map_or(name, |(family, _)| family);
    find(name).unwrap_or_else(|| match (find(family), family) {
        (Some(parent), _) => Code { name: "other", ..parent },
        (None, "AuthFailure") => code("other", "auth", Retry::Never, KEYS),
        (None, _) => code("other", "other", Retry::Never, ""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted_and_unique(list: &[&str]) -> bool {
        list.windows(2).all(|pair| pair[0] < pair[1])
    }

    #[test]
    fn the_lists_are_sorted_and_unique_and_the_kinds_are_listed() {
        assert!(sorted_and_unique(CODES) && sorted_and_unique(ERROR_KINDS));
        for code in &TABLE {
            assert!(ERROR_KINDS.contains(&code.kind), "{}", code.name);
        }
    }

    #[test]
    fn what_sts_refuses_is_not_to_be_granted_as_an_action_of_live() {
        for action in STS_ACTIONS {
            for code in &TABLE {
                let advice = advice(action, *code);
                assert!(!advice.contains("live:") && !advice.contains("domains"), "{action} {}: {advice}", code.name);
            }
        }
        let refused = advice(ASSUME_ROLE, look_up("UnauthorizedOperation"));
        assert!(refused.contains("sts:AssumeRole "), "{refused}");
        assert!(advice("DescribeLiveDomains", look_up("UnauthorizedOperation")).contains("live:DescribeLiveDomains"));
    }

    #[test]
    fn an_unknown_code_takes_after_its_family() {
        let unknown = look_up("InternalError.Brandnew");
        assert_eq!((unknown.name, unknown.kind, unknown.retry), ("other", "internal", Retry::Pause));
        assert_eq!(look_up("AuthFailure.Brandnew").kind, "auth");
        assert_eq!(look_up("UnauthorizedOperation.CamNoAuth").kind, "permission");
        for name in ["Brandnew", "", ".", "ok", "other"] {
            let unknown = look_up(name);
            assert_eq!((unknown.name, unknown.kind, unknown.retry), ("other", "other", Retry::Never), "{name}");
        }
    }
}
