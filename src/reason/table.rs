//! The reasons as one closed enum and one table.
//!
//! Facts (texts, codes) come from the official tables: cloud.tencent.com 267/35256, 440/35256, 267/47025, 267/32744 and
//! tencentcloud.com 267/31083, 267/38081. The one-word names and the classes are this project's own.
//! `tests/fixtures/reasons.json` holds the same facts as data; a test compares the two.

/// What kind of trouble a reason is: the `class` label, a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The account is overdue; pushing stops until it is topped up.
    Arrears,
    /// The push was refused because its signature, expiry or third-party check failed.
    Auth,
    /// The push was refused because of the address it came from or went to.
    Access,
    /// A limit on concurrent pushes was reached.
    Quota,
    /// The live service of the account is not available to it.
    Service,
    /// The push does not fit how the domain, the app or the channel is set up.
    Config,
    /// Somebody at the customer dropped or banned the stream.
    Operator,
    /// Another push took the stream over.
    Takeover,
    /// The link between the publisher and the platform failed.
    Network,
    /// The publisher sent data the platform cannot take.
    Media,
    /// The publisher stopped.
    Client,
    /// The platform failed or stopped the stream by itself.
    Platform,
    /// The platform, or this table, does not know why.
    Unknown,
}

impl Class {
    /// Every class, in the order of the enum.
    pub const ALL: [Class; 13] = [
        Class::Arrears,
        Class::Auth,
        Class::Access,
        Class::Quota,
        Class::Service,
        Class::Config,
        Class::Operator,
        Class::Takeover,
        Class::Network,
        Class::Media,
        Class::Client,
        Class::Platform,
        Class::Unknown,
    ];

    /// The value of the `class` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Arrears => "arrears",
            Class::Auth => "auth",
            Class::Access => "access",
            Class::Quota => "quota",
            Class::Service => "service",
            Class::Config => "config",
            Class::Operator => "operator",
            Class::Takeover => "takeover",
            Class::Network => "network",
            Class::Media => "media",
            Class::Client => "client",
            Class::Platform => "platform",
            Class::Unknown => "unknown",
        }
    }
}

/// Why a push ended: the `reason` label, a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Unknown error.
    UnknownError,
    /// The push client stopped the stream.
    ClientStopped,
    /// CSS system internal error.
    SystemInternalError,
    /// RTMP content error.
    RtmpContentError,
    /// Exceeded the maximum size allowed for a single RTMP frame.
    RtmpFrameTooLarge,
    /// The system stopped the stream because no data was generated for a long time.
    NoDataTimeout,
    /// The proxy layer received an interruption command.
    ProxyInterruptCommand,
    /// Network error for the push client.
    NetworkError,
    /// Failed to get the user information for the push URL.
    CustomerLookupFailed,
    /// Your CSS services have been suspended.
    ServiceSuspended,
    /// Your CSS services have been suspended due to overdue payments. Please top up your account balance.
    AccountArrears,
    /// We have suspended CSS services for your account.
    ServiceForciblySuspended,
    /// Push using an IP address is not allowed.
    IpPushNotAllowed,
    /// Unable to identify the push domain name.
    DomainUnrecognized,
    /// Invalid push domain name.
    DomainInvalid,
    /// The push domain name is disabled.
    DomainDisabled,
    /// The push application is disabled.
    AppDisabled,
    /// The stream is disabled.
    StreamForbidden,
    /// Channel mode is used, but there isn’t a push channel.
    ChannelMissing,
    /// Channel mode is used, but the current push channel is disabled.
    ChannelClosed,
    /// The push name contains unallowed characters.
    StreamNameInvalid,
    /// The push application name contains unallowed characters.
    AppNameInvalid,
    /// The push client’s IP address is on the blocklist.
    IpBlocklisted,
    /// The push client’s IP address is not on the allowlist.
    IpNotAllowlisted,
    /// The expiration time parameter is missing from the push URL.
    AuthExpiryMissing,
    /// The push URL has expired.
    AuthExpired,
    /// The authentication parameter is missing from the push URL.
    AuthMissing,
    /// Authentication failed.
    AuthFailed,
    /// Reached the maximum number of streams that can be pushed.
    StreamLimitExceeded,
    /// Reached the maximum number of streams that can be pushed using this stream name.
    StreamNameLimitExceeded,
    /// The priority of this stream is lower than another stream.
    LowerPriority,
    /// Third-party authentication failed.
    ThirdPartyAuthFailed,
    /// The stream was stopped at your request.
    CustomerDropRequest,
    /// The stream was disabled at your request.
    CustomerForbidRequest,
    /// A new push URL replaced the current one.
    ReplacedByNewPush,
    /// Unknown reason.
    UnknownReason,
    /// RTMP AMF error.
    RtmpAmfError,
    /// A new push URL replaced the current one that has no data.
    ReplacedIdlePush,
    /// SRS stopped the stream because it was not played.
    NotPlayed,
    /// Exceeded the maximum frame size allowed for push.
    PushFrameTooLarge,
    /// push url maybe invalid
    PushRejected,
    /// A text that no spelling of the table matches.
    Unmapped,
}

/// One line of the taxonomy.
#[derive(Debug)]
pub struct Entry {
    /// The reason this line defines.
    pub reason: Reason,
    /// The value of the `reason` label, lower-case words joined by `_`.
    pub name: &'static str,
    /// The class it belongs to.
    pub class: Class,
    /// Chinese spellings, the one to show first; empty where no official text is known.
    pub zh: &'static [&'static str],
    /// English spellings, the one to show first.
    pub en: &'static [&'static str],
    /// `errcode/sub_errcode` of the newest official table.
    pub codes: &'static [&'static str],
}

/// The whole taxonomy, in the order of the official table; [`Reason::Unmapped`] last.
pub static TABLE: [Entry; 42] = [
    Entry {
        reason: Reason::UnknownError,
        name: "unknown_error",
        class: Class::Unknown,
        zh: &["未知错误。"],
        en: &["Unknown error."],
        codes: &[],
    },
    Entry {
        reason: Reason::ClientStopped,
        name: "client_stopped",
        class: Class::Client,
        zh: &[
            "推流客户端主动断流。",
            "推流客户端主动断流",
            "客户端主动断流",
            "主播端主动断流",
            "主播端主动断开TCP连接",
            "主播端TCP连接异常",
        ],
        en: &[
            "The push client stopped the stream.",
            "Push client interrupted the push.",
            "The push client actively stopped the push.",
            "The push client actively stopped the push",
            "The client interrupted the stream",
            "The client actively interrupts the stream",
            "recv rtmp deleteStream",
            "recv rtmp closeStream",
            "recv() return 0",
            "recv() return error",
        ],
        codes: &["1/0", "2/0", "3/0", "4/0", "35/0"],
    },
    Entry {
        reason: Reason::SystemInternalError,
        name: "system_internal_error",
        class: Class::Platform,
        zh: &["直播系统内部错误。", "直播系统内部错误", "直播服务内部异常"],
        en: &[
            "CSS system internal error.",
            "Internal error in the CSS system.",
            "Internal error in the LVB system.",
            "The live streaming system has an internal error.",
        ],
        codes: &["5/0", "9/0", "11/0", "24/0", "38/0", "18/100", "18/101", "18/102", "18/103", "18/104"],
    },
    Entry {
        reason: Reason::RtmpContentError,
        name: "rtmp_content_error",
        class: Class::Media,
        zh: &["RTMP 协议内容异常。", "RTMP 协议内容异常"],
        en: &["RTMP content error.", "Abnormal RTMP protocol content.", "Exception with the RTMP protocol content."],
        codes: &["6/0", "23/0"],
    },
    Entry {
        reason: Reason::RtmpFrameTooLarge,
        name: "rtmp_frame_too_large",
        class: Class::Media,
        zh: &["RTMP 单个帧大小超过配置允许的最大值。", "RTMP 单个帧大小超过配置允许的最大值", "收到流数据异常"],
        en: &[
            "Exceeded the maximum size allowed for a single RTMP frame.",
            "Single RTMP frame size exceeds the upper limit.",
            "The size of a single RTMP frame exceeds the maximum value allowed by the configuration.",
            "rtmp message large than 1M",
        ],
        codes: &["7/0"],
    },
    Entry {
        reason: Reason::NoDataTimeout,
        name: "no_data_timeout",
        class: Class::Network,
        zh: &["系统主动断开长时间无数据的推流。", "系统主动断开长时间无数据的推流"],
        en: &[
            "The system stopped the stream because no data was generated for a long time.",
            "The system interrupted the stream because no data was generated for a long period.",
            "The system actively disconnected the push as there was no data for a prolonged time.",
            "The system actively disconnected the push as there was no data for a long time.",
            "The system actively stopped the push with no data for a long time.",
        ],
        codes: &["8/0", "20/0"],
    },
    Entry {
        reason: Reason::ProxyInterruptCommand,
        name: "proxy_interrupt_command",
        class: Class::Platform,
        zh: &["代理层收到断流命令。", "代理层收到断流命令"],
        en: &["The proxy layer received an interruption command."],
        codes: &["10/0"],
    },
    Entry {
        reason: Reason::NetworkError,
        name: "network_error",
        class: Class::Network,
        zh: &["推流链路网络异常。", "推流链路网络异常"],
        en: &[
            "Network error for the push client.",
            "Push client network exceptions.",
            "Exception with the push linkage network.",
            "Abnormal stream pushing link network.",
        ],
        codes: &["12/0", "13/0", "14/0", "15/0", "16/0", "17/0"],
    },
    Entry {
        reason: Reason::CustomerLookupFailed,
        name: "customer_lookup_failed",
        class: Class::Service,
        zh: &["获取推流链接对应的客户信息失败。", "获取推流链接对应的客户信息失败"],
        en: &[
            "Failed to get the user information for the push URL.",
            "Failed to get the user information corresponding to the push URL.",
            "Failed to get the customer information corresponding to the push link.",
        ],
        codes: &["18/200"],
    },
    Entry {
        reason: Reason::ServiceSuspended,
        name: "service_suspended",
        class: Class::Service,
        zh: &["您的直播服务已被关停。", "您的直播服务已被关停"],
        en: &[
            "Your CSS services have been suspended.",
            "Your CSS service has been suspended.",
            "Your CSS service has been disabled.",
            "Your LVB service has been disabled.",
        ],
        codes: &["18/201"],
    },
    Entry {
        reason: Reason::AccountArrears,
        name: "account_arrears",
        class: Class::Arrears,
        zh: &["账号欠费，您的直播服务已被暂时关停，请及时充值。", "账号欠费，您的直播服务已被暂时关停，请及时充值"],
        en: &[
            "Your CSS services have been suspended due to overdue payments. Please top up your account balance.",
            "Your CSS service has been suspended due to an overdue payment. Please make the payment to resume service.",
            "You CSS service has been temporarily disabled due to arrears of your account. Please top up promptly.",
            "You LVB service has been temporarily disabled due to arrears in your account. Please top up promptly.",
        ],
        codes: &["18/202"],
    },
    Entry {
        reason: Reason::ServiceForciblySuspended,
        name: "service_forcibly_suspended",
        class: Class::Service,
        zh: &["您的直播服务已被强制关停。", "您的直播服务已被强制关停"],
        en: &[
            "We have suspended CSS services for your account.",
            "Your CSS service has been forcibly disabled.",
            "Your LVB service has been forcibly disabled.",
        ],
        codes: &["18/203"],
    },
    Entry {
        reason: Reason::IpPushNotAllowed,
        name: "ip_push_not_allowed",
        class: Class::Access,
        zh: &["不允许直接使用 IP 地址推流。", "不允许直接使用 IP 地址推流"],
        en: &[
            "Push using an IP address is not allowed.",
            "Push via IP address is not allowed.",
            "Push with an IP address is not allowed.",
        ],
        codes: &["18/300"],
    },
    Entry {
        reason: Reason::DomainUnrecognized,
        name: "domain_unrecognized",
        class: Class::Config,
        zh: &["无法识别推流域名。", "无法识别推流域名"],
        en: &["Unable to identify the push domain name.", "Cannot recognize the push domain name."],
        codes: &["18/301"],
    },
    Entry {
        reason: Reason::DomainInvalid,
        name: "domain_invalid",
        class: Class::Config,
        zh: &["推流域名不合法。", "推流域名不合法"],
        en: &["Invalid push domain name.", "The push domain name is invalid."],
        codes: &["18/302"],
    },
    Entry {
        reason: Reason::DomainDisabled,
        name: "domain_disabled",
        class: Class::Config,
        zh: &["推流域名被禁用。", "推流域名被禁用"],
        en: &["The push domain name is disabled."],
        codes: &["18/303"],
    },
    Entry {
        reason: Reason::AppDisabled,
        name: "app_disabled",
        class: Class::Config,
        zh: &["推流应用名被禁用。", "推流应用名被禁用"],
        en: &["The push application is disabled.", "The push application name is disabled."],
        codes: &["18/304"],
    },
    Entry {
        reason: Reason::StreamForbidden,
        name: "stream_forbidden",
        class: Class::Operator,
        zh: &["推流流名称处于禁播状态。", "推流的流名称处于禁播状态"],
        en: &[
            "The stream is disabled.",
            "The pushed stream name is in forbidden status.",
            "The push stream name is currently forbidden.",
        ],
        codes: &["18/305"],
    },
    Entry {
        reason: Reason::ChannelMissing,
        name: "channel_missing",
        class: Class::Config,
        zh: &["接入模式为频道模式，但尚未创建相应的推流频道。", "接入模式为频道模式，但尚未创建相应的推流频道"],
        en: &[
            "Channel mode is used, but there isn’t a push channel.",
            "Channel mode is in use, yet no push channel exists.",
            "The access mode is channel mode, but the corresponding push channel has not been created yet.",
        ],
        codes: &["18/306"],
    },
    Entry {
        reason: Reason::ChannelClosed,
        name: "channel_closed",
        class: Class::Config,
        zh: &["接入模式为频道模式，但当前推流频道已关闭。", "接入模式为频道模式，但当前推流频道已关闭"],
        en: &[
            "Channel mode is used, but the current push channel is disabled.",
            "Channel mode is in use, yet the current push channel is disabled.",
            "The access mode is channel mode, but the current push channel has been disabled.",
        ],
        codes: &["18/307"],
    },
    Entry {
        reason: Reason::StreamNameInvalid,
        name: "stream_name_invalid",
        class: Class::Config,
        zh: &["推流流名称中含有非法字符。", "推流的流名称中含有非法字符"],
        en: &[
            "The push name contains unallowed characters.",
            "The stream name contains unallowed characters.",
            "The pushed stream name contains invalid characters.",
            "The push stream name contains invalid characters.",
        ],
        codes: &["18/308"],
    },
    Entry {
        reason: Reason::AppNameInvalid,
        name: "app_name_invalid",
        class: Class::Config,
        zh: &["推流应用名中含有非法字符。", "推流应用名中含有非法字符"],
        en: &[
            "The push application name contains unallowed characters.",
            "The push application name contains invalid characters.",
        ],
        codes: &["18/309"],
    },
    Entry {
        reason: Reason::IpBlocklisted,
        name: "ip_blocklisted",
        class: Class::Access,
        zh: &["推流客户端 IP 在黑名单中。", "推流客户端 IP 在黑名单中"],
        en: &[
            "The push client’s IP address is on the blocklist.",
            "The push client IP is in the blocklist.",
            "The push client IP is in the blacklist.",
        ],
        codes: &["18/400"],
    },
    Entry {
        reason: Reason::IpNotAllowlisted,
        name: "ip_not_allowlisted",
        class: Class::Access,
        zh: &["推流客户端 IP 不在白名单中。", "推流客户端 IP 不在白名单中"],
        en: &[
            "The push client’s IP address is not on the allowlist.",
            "The push client IP is not in the allowlist.",
            "The push client IP is not in the whitelist.",
        ],
        codes: &["18/401"],
    },
    Entry {
        reason: Reason::AuthExpiryMissing,
        name: "auth_expiry_missing",
        class: Class::Auth,
        zh: &["推流未携带过期时间参数。", "推流未携带过期时间参数"],
        en: &[
            "The expiration time parameter is missing from the push URL.",
            "The push URL carries no expiration time parameter.",
            "The push does not carry the expiration time parameter.",
            "The push does not have an expiration time parameter.",
        ],
        codes: &["18/500"],
    },
    Entry {
        reason: Reason::AuthExpired,
        name: "auth_expired",
        class: Class::Auth,
        zh: &["推流时间戳参数值已过期。", "推流时间戳参数值已过期"],
        en: &[
            "The push URL has expired.",
            "Reached the expiration time.",
            "The parameter value of the expiration time has expired.",
        ],
        codes: &["18/501"],
    },
    Entry {
        reason: Reason::AuthMissing,
        name: "auth_missing",
        class: Class::Auth,
        zh: &["推流未携带鉴权参数。", "推流未携带鉴权参数"],
        en: &[
            "The authentication parameter is missing from the push URL.",
            "The push URL carries no authentication parameter.",
            "The push does not carry the authentication parameter.",
            "The push does not have an authentication parameter.",
        ],
        codes: &["18/502"],
    },
    Entry {
        reason: Reason::AuthFailed,
        name: "auth_failed",
        class: Class::Auth,
        zh: &["校验鉴权参数不通过。", "校验鉴权参数不通过"],
        en: &["Authentication failed.", "Authentication parameter verification failed."],
        codes: &["18/503"],
    },
    Entry {
        reason: Reason::StreamLimitExceeded,
        name: "stream_limit_exceeded",
        class: Class::Quota,
        zh: &["当前推流条数超过配置允许的最大值。", "当前推流条数超过配置允许的最大值"],
        en: &[
            "Reached the maximum number of streams that can be pushed.",
            "The number of current push streams exceeds the upper limit.",
            "The current number of pushes exceeds the maximum value allowed by the configuration.",
        ],
        codes: &["18/600"],
    },
    Entry {
        reason: Reason::StreamNameLimitExceeded,
        name: "stream_name_limit_exceeded",
        class: Class::Quota,
        zh: &["当前流名称对应的推流条数超过配置允许的最大值。", "当前流名称对应的推流条数超过配置允许的最大值"],
        en: &[
            "Reached the maximum number of streams that can be pushed using this stream name.",
            "The number of push streams with this `StreamName` exceeds the upper limit.",
            "The number of pushes corresponding to the current stream name exceeds the maximum value allowed by the configuration.",
            "The number of push streams with this StreamName exceeds the upper limit.",
        ],
        codes: &["18/601"],
    },
    Entry {
        reason: Reason::LowerPriority,
        name: "lower_priority",
        class: Class::Takeover,
        zh: &["推流优先级参数低于已经存在的推流链接。", "推流优先级参数低于已经存在的推流链接"],
        en: &[
            "The priority of this stream is lower than another stream.",
            "The priority of the push URL is lower than an existing one.",
        ],
        codes: &["18/602"],
    },
    Entry {
        reason: Reason::ThirdPartyAuthFailed,
        name: "third_party_auth_failed",
        class: Class::Auth,
        zh: &["第三方鉴权失败。", "第三方鉴权失败", "第三方鉴权失败，服务端禁止推流"],
        en: &["Third-party authentication failed.", "Third-party authentication failure.", "3rdparty auth failed"],
        codes: &["19/0"],
    },
    Entry {
        reason: Reason::CustomerDropRequest,
        name: "customer_drop_request",
        class: Class::Operator,
        zh: &["收到客户调用的断流请求。", "收到客户调用的断流请求"],
        en: &[
            "The stream was stopped at your request.",
            "CSS received a request for stream interruption from the customer.",
            "A push interruption request from the client was received.",
            "A request from the client to stop the push was received.",
        ],
        codes: &["21/100"],
    },
    Entry {
        reason: Reason::CustomerForbidRequest,
        name: "customer_forbid_request",
        class: Class::Operator,
        zh: &["收到客户调用的禁播请求。", "收到客户调用的禁播请求"],
        en: &[
            "The stream was disabled at your request.",
            "CSS received a request to disable the stream from the customer.",
            "A playback forbidding request from the client was received.",
            "A request from the client to forbid the playback was received.",
        ],
        codes: &["21/101"],
    },
    Entry {
        reason: Reason::ReplacedByNewPush,
        name: "replaced_by_new_push",
        class: Class::Takeover,
        zh: &["收到新的推流链接顶替当前推流。", "收到新的推流链接顶替当前推流"],
        en: &[
            "A new push URL replaced the current one.",
            "A new push URL replaced this one.",
            "A new push link was received to replace the current push.",
        ],
        codes: &["21/102"],
    },
    Entry {
        reason: Reason::UnknownReason,
        name: "unknown_reason",
        class: Class::Unknown,
        zh: &["未知原因。", "未知原因"],
        en: &["Unknown reason."],
        codes: &["0/0", "22/0", "25/0", "26/0", "27/0", "28/0", "29/0", "30/0", "31/0", "32/0", "34/0", "36/0"],
    },
    Entry {
        reason: Reason::RtmpAmfError,
        name: "rtmp_amf_error",
        class: Class::Media,
        zh: &["RTMP AMF 数据异常。"],
        en: &[
            "RTMP AMF error.",
            "RTMP AMF data exception.",
            "Exception with the RTMP AMF data.",
            "Abnormal RTMP AMF data.",
        ],
        codes: &["33/0"],
    },
    Entry {
        reason: Reason::ReplacedIdlePush,
        name: "replaced_idle_push",
        class: Class::Takeover,
        zh: &["收到新的推流链接顶替当前无数据的推流"],
        en: &["A new push URL replaced the current one that has no data."],
        codes: &["21/103"],
    },
    Entry {
        reason: Reason::NotPlayed,
        name: "not_played",
        class: Class::Platform,
        zh: &[],
        en: &["SRS stopped the stream because it was not played."],
        codes: &["37/0"],
    },
    Entry {
        reason: Reason::PushFrameTooLarge,
        name: "push_frame_too_large",
        class: Class::Media,
        zh: &[],
        en: &["Exceeded the maximum frame size allowed for push."],
        codes: &["39/0"],
    },
    Entry {
        reason: Reason::PushRejected,
        name: "push_rejected",
        class: Class::Auth,
        zh: &["推流鉴权失败，服务端禁止推流"],
        en: &["push url maybe invalid"],
        codes: &[],
    },
    Entry {
        reason: Reason::Unmapped,
        name: "unmapped",
        class: Class::Unknown,
        zh: &["未收录的断流原因。"],
        en: &["A reason text this exporter does not know yet."],
        codes: &[],
    },
];
