//! What the landing page says, in both languages.

use super::super::layout::Language;

/// Words of one language.
pub(super) struct Words {
    pub(super) what: &'static str,
    /// By the truth of it.
    pub(super) healthy: [&'static str; 2],
    pub(super) ready: [&'static str; 2],
    pub(super) version: &'static str,
    pub(super) revision: &'static str,
    pub(super) running_since: &'static str,
    pub(super) pages: &'static str,
    pub(super) metrics: &'static str,
    /// Where else the page leads: paths of this site, and what to call them.
    pub(super) links: [(&'static str, &'static str); 6],
    pub(super) accounts: &'static str,
    pub(super) account_columns: [&'static str; 5],
    pub(super) no_error: &'static str,
    pub(super) not_yet: &'static str,
    pub(super) ago: &'static str,
    /// Seconds, minutes, hours, days.
    pub(super) units: [&'static str; 4],
    pub(super) series: &'static str,
    pub(super) on_the_page: &'static str,
    pub(super) limit: &'static str,
    pub(super) held: &'static str,
    pub(super) held_disconnects: &'static str,
    pub(super) idle: &'static str,
    pub(super) overflowed: &'static str,
}

/// The words of a language.
pub(super) fn words(language: Language) -> &'static Words {
    language.pick(&ENGLISH, &CHINESE)
}

static ENGLISH: Words = Words {
    what: "Stream disconnects (断流记录) of Tencent Cloud Live for Prometheus.",
    healthy: ["not healthy", "healthy"],
    ready: ["not ready", "ready"],
    version: "Version",
    revision: "revision",
    running_since: "running since",
    pages: "Pages",
    metrics: "Metrics",
    links: [
        ("/disconnects", "Disconnect records: what broke off, when, why, and what to do about it"),
        ("/api/v1/disconnects", "The records as JSON"),
        ("/api/v1/status", "This page as JSON"),
        ("/api/v1/openapi.yaml", "OpenAPI file"),
        ("/-/healthy", "Health"),
        ("/-/ready", "Readiness"),
    ],
    accounts: "Accounts",
    account_columns: ["Account", "Last poll", "Last success", "Listed up to (watermark)", "Last error"],
    no_error: "none",
    not_yet: "not yet",
    ago: " ago",
    units: [" s", " min", " h", " d"],
    series: "Series of the stream counter",
    on_the_page: "On the metrics page",
    limit: "Limit (series.limit)",
    held: "Held at their baseline until scrapers have read it",
    held_disconnects: "Disconnects that wait behind them",
    idle: "Off the page as idle (series.idle_ttl)",
    overflowed: "Disconnects folded into __overflow__ since the start",
};

static CHINESE: Words = Words {
    what: "面向 Prometheus 的腾讯云直播断流记录。",
    healthy: ["不健康", "健康"],
    ready: ["未就绪", "就绪"],
    version: "版本",
    revision: "修订",
    running_since: "启动于",
    pages: "页面",
    metrics: "指标",
    links: [
        ("/disconnects", "断流记录：哪条流、何时、为何中断，该怎么处理"),
        ("/api/v1/disconnects", "断流记录（JSON）"),
        ("/api/v1/status", "本页内容（JSON）"),
        ("/api/v1/openapi.yaml", "OpenAPI 文件"),
        ("/-/healthy", "健康检查"),
        ("/-/ready", "就绪检查"),
    ],
    accounts: "账号",
    account_columns: ["账号", "最近一次轮询", "最近一次成功", "已查询到（水位线）", "最近一次错误"],
    no_error: "无",
    not_yet: "尚无",
    ago: "前",
    units: [" 秒", " 分钟", " 小时", " 天"],
    series: "按流计数器的序列",
    on_the_page: "在指标页面上",
    limit: "上限（series.limit）",
    held: "停留在基线，等待抓取方读取",
    held_disconnects: "因此等待显示的断流",
    idle: "因空闲离开页面（series.idle_ttl）",
    overflowed: "启动以来并入 __overflow__ 的断流",
};
