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
