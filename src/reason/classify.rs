//! Text in, reason out.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization as _;

use super::{Reason, TABLE};

/// Matches `StopReason` texts against the table and the extra spellings of the configuration.
#[derive(Debug, Clone)]
pub struct Classifier {
    by_spelling: HashMap<String, Reason>,
    by_code: HashMap<&'static str, Reason>,
}

impl Classifier {
    /// The table plus `extra` spellings; an extra spelling wins over the table's.
    #[must_use]
    pub fn new(extra: &[(String, Reason)]) -> Self {
        let mut by_spelling = HashMap::new();
        let mut by_code = HashMap::new();
        for entry in TABLE.iter().filter(|entry| entry.reason != Reason::Unmapped) {
            for spelling in entry.zh.iter().chain(entry.en) {
                by_spelling.insert(normalise(spelling), entry.reason);
            }
            for code in entry.codes {
                by_code.insert(*code, entry.reason);
            }
        }
        for (spelling, reason) in extra {
            by_spelling.insert(normalise(spelling), *reason);
        }
        Self { by_spelling, by_code }
    }

    /// The reason that `text` names; [`Reason::Unmapped`] when nothing matches it whole.
    ///
    /// ```
    /// use tencent_live_exporter::reason::{Classifier, Reason};
    /// let classifier = Classifier::new(&[]);
    /// assert_eq!(classifier.classify("推流客户端主动断流"), Reason::ClientStopped);
    /// assert_eq!(classifier.classify("18/202"), Reason::AccountArrears);
    /// assert_eq!(classifier.classify("猫踩了键盘"), Reason::Unmapped);
    /// ```
    #[must_use]
    pub fn classify(&self, text: &str) -> Reason {
        let spelled = || self.by_spelling.get(&normalise(text)).copied();
        self.code(text.trim()).or_else(spelled).unwrap_or(Reason::Unmapped)
    }

    /// `N` stands for `N/0`.
    fn code(&self, text: &str) -> Option<Reason> {
        let code_like = text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'/');
        if !code_like {
            return None;
        }
        self.by_code.get(text).or_else(|| self.by_code.get(format!("{text}/0").as_str())).copied()
    }
}

/// NFKC, lower case, nothing but letters, marks and digits.
fn normalise(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_stops_width_case_and_spaces_do_not_matter() {
        let classifier = Classifier::new(&[]);
        for text in ["ＲＴＭＰ协议内容异常", "rtmp 协议内容异常 。", "RTMP content error", " RTMP  CONTENT ERROR. "]
        {
            assert_eq!(classifier.classify(text), Reason::RtmpContentError, "{text}");
        }
        assert_eq!(classifier.classify("There isn't one"), Reason::Unmapped);
        assert_eq!(classifier.classify("Channel mode is used, but there isn't a push channel"), Reason::ChannelMissing);
    }

    #[test]
    fn codes_match_with_and_without_a_sub_code() {
        let classifier = Classifier::new(&[]);
        assert_eq!(classifier.classify("19"), Reason::ThirdPartyAuthFailed);
        assert_eq!(classifier.classify("19/0"), Reason::ThirdPartyAuthFailed);
        assert_eq!(classifier.classify("21/103"), Reason::ReplacedIdlePush);
        assert_eq!(classifier.classify("18"), Reason::Unmapped);
        assert_eq!(classifier.classify("1/8/2"), Reason::Unmapped);
    }

    #[test]
    fn part_of_a_known_text_is_not_that_text() {
        let classifier = Classifier::new(&[]);
        assert_eq!(classifier.classify("主动断流"), Reason::Unmapped);
        assert_eq!(classifier.classify(""), Reason::Unmapped);
        assert_eq!(classifier.classify("。"), Reason::Unmapped);
    }

    #[test]
    fn an_extra_spelling_of_the_config_is_matched_like_the_table() {
        let classifier = Classifier::new(&[("新的断流原因文字".into(), Reason::NetworkError)]);
        assert_eq!(classifier.classify("新的 断流原因文字。"), Reason::NetworkError);
    }

    #[test]
    fn no_two_reasons_share_a_spelling() {
        let mut seen = HashMap::new();
        for entry in &TABLE {
            for spelling in entry.zh.iter().chain(entry.en) {
                let other = seen.insert(normalise(spelling), entry.reason);
                assert!(other.is_none_or(|reason| reason == entry.reason), "{spelling}");
            }
        }
    }
}
