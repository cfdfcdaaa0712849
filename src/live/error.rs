//! What can go wrong with a call, and what the caller may do about it.

use super::codes::{self, Code, Retry};
use super::credentials::CredentialsError;

/// What stands for the sample of a body that may hold keys.
pub(super) const NOT_SHOWN: &str = "[not shown]";

/// A call that brought no answer to work with.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There was nothing to sign with; no request was sent.
    #[error("{action}: no credentials")]
    Credentials {
        /// The action called.
        action: &'static str,
        /// Why.
        source: CredentialsError,
    },
    /// The connection could not be made, or broke.
    #[error("{action}: the connection to {host} failed")]
    Network {
        /// The action called.
        action: &'static str,
        /// The API's host.
        host: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No connection, or no whole answer, before the deadline.
    #[error("{action}: no answer from {host} in time")]
    Timeout {
        /// The action called.
        action: &'static str,
        /// The API's host.
        host: String,
        /// Which deadline passed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A status other than 200. The API's own errors come with 200, so this is a gateway, a proxy or another server.
    #[error("{action}: {host} answered with HTTP status {status}: {sample}")]
    Status {
        /// The action called.
        action: &'static str,
        /// The API's host.
        host: String,
        /// The HTTP status.
        status: u16,
        /// The start of the body, made printable.
        sample: String,
    },
    /// A redirect; never followed, since a signed request is meant for one host.
    #[error("{action}: {host} redirects to {target}, which is not followed; if that is right, set it as the endpoint")]
    Redirect {
        /// The action called.
        action: &'static str,
        /// The API's host.
        host: String,
        /// The host it names.
        target: String,
    },
    /// A body past its bound: [`super::BODY_BYTES`], less where the answer is keys.
    #[error("{action}: the answer is longer than {most} bytes")]
    TooLarge {
        /// The action called.
        action: &'static str,
        /// The bound.
        most: usize,
    },
    /// A body that is not what the API's page describes.
    #[error("{action}: unreadable answer, {problem}, request id {}: {sample}", request_id.as_deref().unwrap_or("unknown"))]
    Protocol {
        /// The action called.
        action: &'static str,
        /// What is wrong with it.
        problem: String,
        /// The start of the body, made printable, at most [`super::SAMPLE_BYTES`].
        sample: String,
        /// `RequestId`, where it could be read.
        request_id: Option<String>,
    },
    /// The API refused, in its own words.
    #[error(transparent)]
    Api(Box<ApiError>),
}

/// How far a request came before its connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The host's name has no address.
    Name,
    /// There was no connection to it, or to the proxy before it.
    Connection,
    /// They did not agree on TLS; most often the certificate is not believed.
    Tls,
    /// It was connected, and brought no whole answer.
    Answer,
}

/// `Response.Error` of an answer.
#[derive(Debug, thiserror::Error)]
#[error("{action}: the API answered {code_text}: {message}, request id {}{}{}", request_id.as_deref().unwrap_or("unknown"), if advice.is_empty() { "" } else { "; " }, advice)]
pub struct ApiError {
    action: &'static str,
    code_text: String,
    code: Code,
    message: String,
    advice: String,
    request_id: Option<String>,
}

impl ApiError {
    /// The error `code` of a call of `action`, with the API's own message.
    #[must_use]
    pub fn new(action: &'static str, code: &str, message: &str, request_id: Option<String>) -> Self {
        let known = codes::look_up(code);
        Self {
            action,
            code_text: code.to_owned(),
            code: known,
            message: message.to_owned(),
            advice: codes::advice(action, known),
            request_id,
        }
    }

    /// `Code` as the API sent it, made printable.
    #[must_use]
    pub fn code_text(&self) -> &str {
        &self.code_text
    }

    /// What kind of error it is, one of [`super::ERROR_KINDS`].
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.code.kind
    }

    /// What to do about it; may be empty.
    #[must_use]
    pub fn advice(&self) -> &str {
        &self.advice
    }

    /// What the API said, without advice.
    #[must_use]
    pub fn answer(&self) -> String {
        let Self { action, code_text, message, request_id, .. } = self;
        format!("{action}: {code_text}: {message}, request id {}", request_id.as_deref().unwrap_or("unknown"))
    }

    /// Whether the key's policy does not allow the action, rather than this machine's address.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.code.kind == "permission" && !self.code_text.starts_with("Ip")
    }
}

impl From<ApiError> for CallError {
    fn from(error: ApiError) -> Self {
        Self::Api(Box::new(error))
    }
}

impl CallError {
    /// The value of the `error` label, one of [`super::ERROR_KINDS`].
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Credentials { source, .. } => source.kind(),
            Self::Network { .. } => "network",
            Self::Timeout { .. } => "timeout",
            Self::Status { .. } | Self::Redirect { .. } => "http",
            Self::TooLarge { .. } | Self::Protocol { .. } => "protocol",
            Self::Api(error) => error.code.kind,
        }
    }

    /// The value of the `code` label, one of [`super::CODES`].
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Credentials { .. } => "other",
            Self::Network { .. } => "network",
            Self::Timeout { .. } => "timeout",
            Self::Status { .. } | Self::Redirect { .. } => "http_status",
            Self::TooLarge { .. } | Self::Protocol { .. } => "bad_body",
            Self::Api(error) => error.code.name,
        }
    }

    /// How far the request came, where its connection failed.
    #[must_use]
    pub fn broken(&self) -> Option<Broken> {
        let (Self::Network { source, .. } | Self::Timeout { source, .. }) = self else { return None };
        let first: &(dyn std::error::Error + 'static) = &**source;
        let causes: Vec<_> = std::iter::successors(Some(first), |cause| cause.source()).collect();
        let is_connect = source.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect);
        Some(if causes.iter().any(|cause| is_of_tls(*cause)) {
            Broken::Tls
        } else if causes.iter().any(|cause| cause.to_string() == "dns error") {
            Broken::Name
        } else if is_connect {
            Broken::Connection
        } else {
            Broken::Answer
        })
    }

    /// Whether the same request may succeed a moment later. The client has already tried as often as it may.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.retry() == Retry::Pause
    }

    /// Whether the API was asked too often, by this account or by others that share what it may ask.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        self.kind() == "throttled" && self.is_retryable()
    }

    /// Whether the API turned this account away: its credentials, its permissions or the state of its service. Only
    /// someone's doing changes that, so wait a minute or more before the next call.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Api(error) => matches!(error.code.kind, "auth" | "permission" | "service"),
            Self::Credentials { source, .. } => source.is_refusal(),
            _ => false,
        }
    }

    /// The same without anything out of the body but the API's own words.
    pub(super) fn without_quotes(self) -> Self {
        match self {
            Self::Protocol { action, request_id, .. } => Self::Protocol {
                action,
                problem: "the body is no answer to it".to_owned(),
                sample: NOT_SHOWN.to_owned(),
                request_id,
            },
            other => other,
        }
    }

    /// `RequestId` of the answer, which Tencent's support asks for.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Protocol { request_id, .. } => request_id.as_deref(),
            Self::Api(error) => error.request_id.as_deref(),
            _ => None,
        }
    }

    pub(super) fn retry(&self) -> Retry {
        match self {
            Self::Network { .. } | Self::Timeout { .. } | Self::Status { .. } | Self::Protocol { .. } => Retry::Pause,
            Self::Credentials { .. } | Self::Redirect { .. } | Self::TooLarge { .. } => Retry::Never,
            Self::Api(error) => error.code.retry,
        }
    }
}

fn is_of_tls(cause: &(dyn std::error::Error + 'static)) -> bool {
    // An I/O error hides what it was made of from those who ask for its source; that may be another.
    let within = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    cause.is::<rustls::Error>() || within.is_some_and(|within| is_of_tls(within))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: &str) -> CallError {
        ApiError::new("DescribeLiveDomains", code, "says the API", Some("r-1".into())).into()
    }

    #[test]
    fn a_refused_permission_names_the_action_to_grant() {
        let error = api("UnauthorizedOperation");
        assert_eq!(
            error.to_string(),
            "DescribeLiveDomains: the API answered UnauthorizedOperation: says the API, request id r-1; grant the CAM \
             action live:DescribeLiveDomains; under a policy limited to domains, list them under domains"
        );
        assert!(error.is_refusal() && !error.is_retryable());
        assert_eq!(error.request_id(), Some("r-1"));
    }

    #[test]
    fn an_unknown_code_keeps_its_text_and_gets_no_label_of_its_own() {
        let error = api("Brandnew.Code");
        assert_eq!((error.kind(), error.code()), ("other", "other"));
        assert!(error.to_string().contains("answered Brandnew.Code: says the API, request id r-1"));
        assert!(!error.is_refusal() && !error.is_retryable());
    }
}
