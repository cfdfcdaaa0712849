//! What to do about each reason: one line for whoever is on call, in two languages.
//!
//! The advice is this project's own. It names the likeliest cause first and the place to look, and tells where waiting is
//! the right thing to do.

use super::Reason;

/// One line of advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// In English.
    pub en: &'static str,
    /// In Chinese.
    pub zh: &'static str,
}

impl Reason {
    /// What to do when pushes end for this reason.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "it is a table")]
    pub const fn advice(self) -> Advice {
        let (en, zh) = match self {
            Reason::UnknownError => (
                "Compare time and publisher with other disconnects; if it repeats, send stream name and time to Tencent support.",
                "与同一时间、同一推流端的其他断流对照；反复出现时，带上流名称和时间提交腾讯云工单。",
            ),
            Reason::ClientStopped => (
                "Normal when a broadcast ends. If nobody stopped it, look at the encoder: a crash, a sleeping phone and a closed app look the same.",
                "正常下播即为此原因。若无人主动停播，请检查编码器：程序崩溃、手机休眠、应用被关闭也记为此原因。",
            ),
            Reason::SystemInternalError => (
                "Let the encoder reconnect. If several streams fail together, look at Tencent Cloud's status page and open an urgent ticket.",
                "让推流端自动重连。若多路流同时中断，请查看腾讯云健康看板并提交紧急工单。",
            ),
            Reason::RtmpContentError => (
                "Update or restart the encoder, and push the same source with OBS or FFmpeg: if that holds, the encoder's RTMP output is at fault.",
                "升级或重启编码器，并用 OBS 或 FFmpeg 推同一信号源：若正常，则是该编码器的 RTMP 输出有问题。",
            ),
            Reason::RtmpFrameTooLarge => (
                "Lower bitrate and resolution, shorten the keyframe interval to about 2 s, and keep key frames below 1 MB.",
                "降低码率和分辨率，关键帧间隔设为 2 秒左右，使单个关键帧小于 1 MB。",
            ),
            Reason::NoDataTimeout => (
                "The connection stood but no frames came: check camera, capture card and uplink at the site, then restart the encoder.",
                "连接还在但长时间没有音视频数据：检查现场的摄像机、采集卡和上行网络，然后重启编码器。",
            ),
            Reason::ProxyInterruptCommand => (
                "The platform closed the push; let the encoder reconnect. If nobody on your side asked for it and it repeats, ask support why.",
                "平台侧断开了推流，让推流端自动重连。若非己方操作且反复出现，请向腾讯云询问原因。",
            ),
            Reason::NetworkError => (
                "Check the publisher's uplink (packet loss, Wi-Fi, mobile). Many publishers of one region or carrier at once point at a backbone fault.",
                "检查推流端上行网络（丢包、Wi-Fi、移动网络）。同一地区或运营商的多路流同时断开，多半是骨干网故障。",
            ),
            Reason::CustomerLookupFailed => (
                "Check that the push domain still belongs to this account and is enabled in the console; if it is, open a ticket.",
                "在控制台确认推流域名仍属于本账号且已启用；若无误，请提交工单。",
            ),
            Reason::ServiceSuspended => (
                "All pushes of the account are refused: see the console's messages for why live streaming is off, and enable it again.",
                "账号下所有推流都会被拒绝：查看控制台消息了解直播服务停用的原因，并重新开通。",
            ),
            Reason::AccountArrears => (
                "All pushes of the account are refused until it is topped up: pay in the billing centre now, and set a balance alert.",
                "充值前账号下所有推流都会被拒绝：请立即到费用中心充值，并设置余额预警。",
            ),
            Reason::ServiceForciblySuspended => (
                "Tencent switched the service off, often for content or compliance: read the notice in the console and contact support at once.",
                "腾讯云强制关停了服务，多因内容或合规问题：阅读控制台站内信并立即联系腾讯云。",
            ),
            Reason::IpPushNotAllowed => (
                "Use the push domain in the encoder's URL, not an IP address; if DNS was the trouble, repair the resolver instead.",
                "推流地址请使用推流域名而不是 IP 地址；若是 DNS 解析有问题，请修复解析。",
            ),
            Reason::DomainUnrecognized => (
                "Check the domain in the push URL for typing errors, and that its CNAME and its entry in the console are in place.",
                "检查推流地址中的域名是否写错，并确认 CNAME 和控制台中的域名配置都在。",
            ),
            Reason::DomainInvalid => (
                "The domain is not one for pushing: take the push domain from the console, not the playback domain.",
                "该域名不能用于推流：请使用控制台中的推流域名，不要使用播放域名。",
            ),
            Reason::DomainDisabled => (
                "Enable the push domain in the console (Domain Management), after asking who disabled it.",
                "先问清是谁停用的，再到控制台“域名管理”中启用该推流域名。",
            ),
            Reason::AppDisabled => (
                "The path (AppName) is disabled on this domain: enable it in the console, or push to one that is allowed.",
                "该域名下的推流路径（AppName）被禁用：在控制台启用，或改推允许的路径。",
            ),
            Reason::StreamForbidden => (
                "Somebody disabled this stream: find it under disabled streams in the console and resume it, if that was not on purpose.",
                "该流已被禁推：到控制台“流管理”的禁推列表中查看，若非有意禁推请恢复。",
            ),
            Reason::ChannelMissing => (
                "The account is in channel mode: create the channel before pushing, or ask support to change the mode.",
                "账号使用频道模式：先创建推流频道再推流，或联系腾讯云调整接入模式。",
            ),
            Reason::ChannelClosed => (
                "The channel is closed: open it again in the console or with the API before the encoder reconnects.",
                "推流频道已关闭：先在控制台或通过 API 重新开启频道，再让推流端重连。",
            ),
            Reason::StreamNameInvalid => (
                "Keep to letters, digits, hyphens and underscores in the stream name, and sign the push URL again.",
                "流名称只使用字母、数字、连字符和下划线，并重新生成推流地址。",
            ),
            Reason::AppNameInvalid => (
                "Keep to letters, digits, hyphens and underscores in the AppName (usually live), and sign the push URL again.",
                "AppName 只使用字母、数字、连字符和下划线（通常为 live），并重新生成推流地址。",
            ),
            Reason::IpBlocklisted => (
                "Look up the publisher's address in the domain's IP blocklist: remove it if it is yours, else leave it and watch for more.",
                "在域名的 IP 黑名单中查找推流端地址：若是自己人则移除，否则保留并继续观察。",
            ),
            Reason::IpNotAllowlisted => (
                "Add the publisher's present public address to the domain's IP allowlist; mobile and dial-up addresses change.",
                "把推流端当前的公网 IP 加入域名的 IP 白名单；移动网络和拨号的地址会变化。",
            ),
            Reason::AuthExpiryMissing => (
                "The push URL has no txTime: make a new URL with the address generator and paste the whole of it into the encoder.",
                "推流地址缺少 txTime：用地址生成器重新生成，并把完整地址填入编码器。",
            ),
            Reason::AuthExpired => (
                "Issue a new push URL with a later txTime; if it should still be valid, check the clock of the server that signs.",
                "重新签发 txTime 更晚的推流地址；若本应有效，请检查签名服务器的时钟。",
            ),
            Reason::AuthMissing => (
                "The push URL has no txSecret: the encoder may cut everything behind the question mark; put path and parameters into the stream key.",
                "推流地址缺少 txSecret：编码器可能截掉了“?”之后的内容，请把路径和参数一起填入推流码。",
            ),
            Reason::AuthFailed => (
                "txSecret does not fit: check key, stream name and txTime on the signing server. A flood from strange addresses is somebody guessing.",
                "txSecret 不匹配：检查签名服务器的密钥、流名称和 txTime。陌生地址的大量失败是有人在试探。",
            ),
            Reason::StreamLimitExceeded => (
                "The account's limit of concurrent pushes is reached: stop streams nobody needs, and ask Tencent for a higher quota.",
                "账号的并发推流路数已达上限：停掉不需要的流，并向腾讯云申请提高配额。",
            ),
            Reason::StreamNameLimitExceeded => (
                "Several publishers push under one stream name: give each its own, or stop the encoder that was forgotten.",
                "多个推流端在使用同一个流名称：为每路分配独立名称，或停掉被遗忘的编码器。",
            ),
            Reason::LowerPriority => (
                "A push of higher priority holds this stream name: this is the standby at work; check the priority parameters if it is not.",
                "同名流已有更高优先级的推流：主备切换时属正常；否则请检查推流优先级参数。",
            ),
            Reason::ThirdPartyAuthFailed => (
                "Your own authentication callback refused the push or did not answer in time: look at its logs and latency.",
                "您自己的推流鉴权回调拒绝了推流或未及时应答：查看回调服务的日志和延迟。",
            ),
            Reason::CustomerDropRequest => (
                "Somebody on your side called DropLiveStream or used the console: CloudAudit tells who; the stream may come back.",
                "己方通过 DropLiveStream 接口或控制台断开了该流：到操作审计中查看操作人；该流可以重新推送。",
            ),
            Reason::CustomerForbidRequest => (
                "Somebody on your side called ForbidLiveStream or used the console: CloudAudit tells who; resume it if that was wrong.",
                "己方通过 ForbidLiveStream 接口或控制台禁推了该流：到操作审计中查看操作人；若有误请恢复推流。",
            ),
            Reason::ReplacedByNewPush => (
                "Another push took the name over, as a reconnect does. If both go on in turn, two encoders fight for it: stop one.",
                "同名的新推流顶替了它，重连时属正常。若来回顶替，则有两个编码器在争用，请停掉一个。",
            ),
            Reason::UnknownReason => (
                "The platform gives no cause: compare with network and client disconnects of that time, and open a ticket if it goes on.",
                "平台未给出原因：与同一时间的网络类、客户端类断流对照；持续出现请提交工单。",
            ),
            Reason::RtmpAmfError => (
                "The encoder sends broken AMF metadata: update it, switch off custom metadata, and test with OBS or FFmpeg.",
                "编码器发送的 AMF 元数据异常：升级编码器，关闭自定义元数据，并用 OBS 或 FFmpeg 对比测试。",
            ),
            Reason::ReplacedIdlePush => (
                "A new push replaced one that sent no data, as after a hung link; find out why the old one fell silent.",
                "新的推流顶替了没有数据的旧推流，常见于链路卡死之后；请查明旧推流为何无数据。",
            ),
            Reason::NotPlayed => (
                "It stopped because nobody watched: normal for relays on demand; else check that players ask for the right stream.",
                "因无人观看而停止：按需拉流时属正常；否则请检查播放端请求的流是否正确。",
            ),
            Reason::PushFrameTooLarge => (
                "Frames are larger than the platform takes: lower bitrate and resolution, and use shorter keyframe intervals.",
                "推流的帧超过平台上限：降低码率和分辨率，并缩短关键帧间隔。",
            ),
            Reason::PushRejected => (
                "The push URL was refused: make a new one and compare domain, AppName, stream name, txTime and txSecret part by part.",
                "推流地址被拒绝：重新生成地址，并逐项核对域名、AppName、流名称、txTime 和 txSecret。",
            ),
            Reason::Unmapped => (
                "Read Tencent's text beside it, and give it a reason under reasons in the configuration if it comes again.",
                "阅读旁边的腾讯云原文；若再次出现，请在配置的 reasons 中为它指定原因。",
            ),
        };
        Advice { en, zh }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::reason::TABLE;

    #[test]
    fn every_reason_has_its_own_line_of_advice_in_both_languages() {
        let mut seen = HashSet::new();
        for entry in &TABLE {
            let Advice { en, zh } = entry.reason.advice();
            assert!(seen.insert(en) && seen.insert(zh), "{}: the same advice as another reason", entry.name);
            assert!(en.ends_with('.') && (40..=150).contains(&en.len()), "{}: {} bytes", entry.name, en.len());
            assert!(en.is_ascii(), "{}", entry.name);
            let characters = zh.chars().count();
            assert!(zh.ends_with('。') && (15..=75).contains(&characters), "{}: {characters} characters", entry.name);
            assert!(zh.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{}", entry.name);
        }
    }
}
