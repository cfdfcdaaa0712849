//! The words of the page in both languages, and the taxonomy in them.

use super::super::layout::Language;
use super::filters::{PRESETS, Problem};
use crate::reason::{Class, Reason};

/// Sentences and labels that stand on the page as they are.
pub(super) struct Words {
    pub(super) title: &'static str,
    pub(super) intro: &'static str,
    pub(super) jump: &'static str,
    pub(super) filters: &'static str,
    pub(super) domain: &'static str,
    pub(super) app: &'static str,
    pub(super) stream: &'static str,
    pub(super) stream_match: &'static str,
    pub(super) exact: &'static str,
    pub(super) contains: &'static str,
    pub(super) reason: &'static str,
    pub(super) class: &'static str,
    pub(super) any: &'static str,
    pub(super) range: &'static str,
    pub(super) own_range: &'static str,
    pub(super) start: &'static str,
    pub(super) end: &'static str,
    pub(super) zone: &'static str,
    pub(super) page_size: &'static str,
    pub(super) show: &'static str,
    pub(super) reset: &'static str,
    pub(super) without: &'static str,
    pub(super) active: &'static str,
    pub(super) refused: &'static str,
    pub(super) cut: &'static str,
    pub(super) timeline: &'static str,
    pub(super) timeline_table: &'static str,
    pub(super) time: &'static str,
    pub(super) disconnects: &'static str,
    pub(super) by_class: &'static str,
    pub(super) top_reasons: &'static str,
    pub(super) top_streams: &'static str,
    pub(super) count: &'static str,
    pub(super) share: &'static str,
    pub(super) records: &'static str,
    pub(super) records_caption: &'static str,
    pub(super) ended: &'static str,
    pub(super) started: &'static str,
    pub(super) lasted: &'static str,
    pub(super) publisher: &'static str,
    pub(super) none: &'static str,
    pub(super) none_hint: &'static str,
    pub(super) newest: &'static str,
    pub(super) older: &'static str,
    pub(super) pages: &'static str,
    pub(super) download: &'static str,
    pub(super) permanent: &'static str,
    pub(super) other_language: &'static str,
    pub(super) advice: &'static str,
    pub(super) as_told: &'static str,
    pub(super) name: &'static str,
    pub(super) account: &'static str,
    pub(super) resolution: &'static str,
    pub(super) first_seen: &'static str,
    pub(super) before_counting: &'static str,
    pub(super) no_name: &'static str,
}

static ENGLISH: Words = Words {
    title: "Disconnect records",
    intro: "When pushes ended, why, and what to do about it.",
    jump: "To the records ↓",
    filters: "Filters",
    domain: "Push domain",
    app: "App",
    stream: "Stream",
    stream_match: "Stream name",
    exact: "is exactly",
    contains: "contains",
    reason: "Reason",
    class: "Class",
    any: "Any",
    range: "Time range",
    own_range: "From and to, below",
    start: "From",
    end: "To",
    zone: "Time zone",
    page_size: "Rows",
    show: "Show",
    reset: "Reset",
    without: "Remove this filter:",
    active: "Active filters",
    refused: "Nothing was looked up, since this part of the address or form is not understood:",
    cut: "The range is longer than 30 days; only a part of it is shown.",
    timeline: "Timeline",
    timeline_table: "The timeline as a table",
    time: "Time",
    disconnects: "Disconnects",
    by_class: "By class",
    top_reasons: "Top reasons",
    top_streams: "Top streams",
    count: "Count",
    share: "Share",
    records: "Records",
    records_caption: "Disconnects, newest first",
    ended: "Ended",
    started: "Started",
    lasted: "Lasted",
    publisher: "Publisher",
    none: "No disconnects match.",
    none_hint: "Try a longer range, or remove a filter.",
    newest: "Newest",
    older: "Older",
    pages: "Pages of records",
    download: "Download CSV",
    permanent: "Link to this view",
    other_language: "In Chinese",
    advice: "What to do",
    as_told: "As Tencent put it",
    name: "Label",
    account: "Account",
    resolution: "Resolution",
    first_seen: "First seen",
    before_counting: "Recorded, but from before counting began: not in the counters",
    no_name: "(empty)",
};

static CHINESE: Words = Words {
    title: "断流记录",
    intro: "推流何时中断、为何中断、该怎么办。",
    jump: "直达记录 ↓",
    filters: "筛选",
    domain: "推流域名",
    app: "推流路径",
    stream: "流名称",
    stream_match: "流名称匹配",
    exact: "精确",
    contains: "包含",
    reason: "断流原因",
    class: "类别",
    any: "不限",
    range: "时间范围",
    own_range: "自定义起止时间",
    start: "开始",
    end: "结束",
    zone: "时区",
    page_size: "每页",
    show: "查询",
    reset: "重置",
    without: "移除筛选条件：",
    active: "当前筛选",
    refused: "未进行查询，因为地址或表单中有无法识别的内容：",
    cut: "时间范围超过 30 天，仅显示其中一部分。",
    timeline: "时间分布",
    timeline_table: "以表格查看时间分布",
    time: "时间",
    disconnects: "断流次数",
    by_class: "按类别",
    top_reasons: "主要断流原因",
    top_streams: "断流最多的流",
    count: "次数",
    share: "占比",
    records: "记录",
    records_caption: "断流记录，最新的在前",
    ended: "断流时间",
    started: "开播时间",
    lasted: "持续时长",
    publisher: "推流端",
    none: "没有符合条件的断流记录。",
    none_hint: "请扩大时间范围，或移除某个筛选条件。",
    newest: "最新",
    older: "更早",
    pages: "记录分页",
    download: "下载 CSV",
    permanent: "本视图的链接",
    other_language: "英文",
    advice: "处理建议",
    as_told: "腾讯云原文",
    name: "标签",
    account: "账号",
    resolution: "分辨率",
    first_seen: "首次发现",
    before_counting: "仅记录：早于计数开始，不在计数器中",
    no_name: "（空）",
};

pub(super) fn words(language: Language) -> &'static Words {
    language.pick(&ENGLISH, &CHINESE)
}

/// A preset range.
pub(super) fn preset(language: Language, name: &str) -> String {
    let unit = |one: &str, many: &str, zh: &str, count: &str| match (language, count) {
        (Language::English, "1") => format!("Last {one}"),
        (Language::English, _) => format!("Last {count} {many}"),
        (Language::Chinese, _) => format!("近 {count} {zh}"),
    };
    let (count, letter) = name.split_at(name.len() - 1);
    match letter {
        "m" => unit("minute", "minutes", "分钟", count),
        "h" => unit("hour", "hours", "小时", count),
        _ => unit("day", "days", "天", count),
    }
}

/// What is accepted where something was not.
pub(super) fn problem(language: Language, problem: Problem) -> String {
    let presets = || PRESETS.map(|(name, _)| name).join(", ");
    let (english, chinese) = match problem {
        Problem::Name => ("A name is longer than 256 bytes.", "名称超过 256 字节。"),
        Problem::Match => ("match is exact or contains.", "match 只能是 exact 或 contains。"),
        Problem::Reason => {
            ("reason is not in the taxonomy; choose one in the form.", "reason 不在原因表中，请在表单中选择。")
        }
        Problem::Class => {
            ("class is not in the taxonomy; choose one in the form.", "class 不在类别表中，请在表单中选择。")
        }
        Problem::Range => {
            return match language {
                Language::English => format!("range is one of {}, custom.", presets()),
                Language::Chinese => format!("range 只能是 {}、custom 之一。", presets()),
            };
        }
        Problem::Time => (
            "A time is a date and time (2026-01-31T08:00), RFC 3339 (2026-01-31T00:00:00Z) or Unix seconds.",
            "时间须为日期时间（2026-01-31T08:00）、RFC 3339（2026-01-31T00:00:00Z）或 Unix 秒。",
        ),
        Problem::Order => ("The start is later than the end.", "开始时间晚于结束时间。"),
        Problem::Limit => ("limit is a whole number from 1 to 1000.", "limit 须为 1 到 1000 的整数。"),
        Problem::Zone => (
            "tz is a name of the IANA's (Asia/Shanghai) or an offset (+08:00).",
            "tz 须为 IANA 时区名（Asia/Shanghai）或偏移（+08:00）。",
        ),
        Problem::Cursor => (
            "cursor is not one that a page has given; start again with the newest.",
            "cursor 不是本页面给出的游标，请从最新一页重新开始。",
        ),
    };
    language.pick(english, chinese).to_owned()
}

/// A class as people say it; its label stands beside it.
pub(super) fn class_name(language: Language, class: Class) -> &'static str {
    let (english, chinese) = match class {
        Class::Arrears => ("Arrears", "欠费"),
        Class::Auth => ("Authentication", "鉴权"),
        Class::Access => ("Access", "访问限制"),
        Class::Quota => ("Quota", "配额"),
        Class::Service => ("Service off", "服务停用"),
        Class::Config => ("Configuration", "配置"),
        Class::Operator => ("Operator", "人工操作"),
        Class::Takeover => ("Takeover", "顶替"),
        Class::Network => ("Network", "网络"),
        Class::Media => ("Media", "媒体数据"),
        Class::Client => ("Client stopped", "客户端主动"),
        Class::Platform => ("Platform", "平台"),
        Class::Unknown => ("Unknown", "未知"),
    };
    language.pick(english, chinese)
}

/// The official text in a language; English where Tencent has no Chinese one, and its language.
pub(super) fn reason_text(language: Language, reason: Reason) -> (&'static str, Language) {
    let entry = reason.entry();
    let english = entry.en.first().map(|text| (*text, Language::English));
    let chinese = entry.zh.first().map(|text| (*text, Language::Chinese));
    let (first, second) = language.pick((english, chinese), (chinese, english));
    first.or(second).unwrap_or((entry.name, Language::English))
}

/// Seconds as `1d 2h`, `3h 4m`, `5m 6s`: the two largest units.
pub(super) fn duration(language: Language, seconds: u64) -> String {
    let units = [(86_400, "d", " 天"), (3_600, "h", " 小时"), (60, "m", " 分"), (1, "s", " 秒")];
    let first = units.iter().position(|(size, ..)| seconds >= *size).unwrap_or(3);
    let mut left = seconds;
    let mut parts = Vec::new();
    for (size, english, chinese) in units.iter().skip(first).take(2) {
        if left >= *size || parts.is_empty() {
            parts.push(format!("{}{}", left / size, language.pick(*english, *chinese)));
        }
        left %= size;
    }
    parts.join(" ")
}

/// A count with its thousands apart.
pub(super) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How much `count` is of `total`.
pub(super) fn percent(count: u64, total: u64) -> String {
    if total == 0 {
        return "0%".to_owned();
    }
    let share = count as f64 * 100.0 / total as f64;
    if share > 0.0 && share < 0.1 { "<0.1%".to_owned() } else { format!("{share:.1}%") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::TABLE;

    #[test]
    fn every_reason_can_be_said_in_both_languages() {
        for entry in &TABLE {
            assert_eq!(reason_text(Language::English, entry.reason).1, Language::English, "{}", entry.name);
            assert!(!reason_text(Language::Chinese, entry.reason).0.is_empty(), "{}", entry.name);
        }
        assert_eq!(reason_text(Language::Chinese, Reason::NetworkError), ("推流链路网络异常。", Language::Chinese));
        assert_eq!(reason_text(Language::Chinese, Reason::NotPlayed).1, Language::English, "there is no Chinese one");
    }

    #[test]
    fn figures_are_as_people_write_them() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (61, "1m 1s"), (3_600, "1h"), (7_384, "2h 3m"), (90_061, "1d 1h")]
        {
            assert_eq!(duration(Language::English, seconds), text);
        }
        assert_eq!(duration(Language::Chinese, 7_384), "2 小时 3 分");
        for (count, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(count), text);
        }
        for (count, total, text) in [(0, 0, "0%"), (1, 3, "33.3%"), (1, 10_000, "<0.1%"), (3, 3, "100.0%")] {
            assert_eq!(percent(count, total), text);
        }
    }

    #[test]
    fn presets_have_names() {
        assert_eq!(preset(Language::English, "15m"), "Last 15 minutes");
        assert_eq!(preset(Language::English, "1h"), "Last hour");
        assert_eq!(preset(Language::Chinese, "30d"), "近 30 天");
    }
}
