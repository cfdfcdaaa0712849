//! Which language a page speaks: the address decides, else the browser.

/// A language there are words in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// Both, in the order of the switch.
    pub(crate) const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// The value of the parameter `lang`.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    /// The value of the attribute `lang`.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// Its own name for itself.
    pub(crate) const fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Chinese => "中文",
        }
    }

    /// The language with this `code`.
    pub(crate) fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// The one that an `Accept-Language` header would rather have (RFC 9110 12.5.4); English where it names neither.
    /// Every region and script of a language is taken for that language.
    pub(crate) fn accepted(header: &str) -> Self {
        let mut best = (Self::English, 0.0);
        for range in header.split(',') {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
            let quality = match parameters.trim().strip_prefix("q=") {
                Some(quality) => quality.trim().parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)),
                None => Some(1.0),
            };
            // Of languages that are as welcome, the one that is named first.
            if let (Some(language), Some(quality)) = (Self::from_code(&primary), quality)
                && quality > best.1
            {
                best = (language, quality);
            }
        }
        best.0
    }

    /// The words of this language.
    pub(crate) const fn pick<T: Copy>(self, english: T, chinese: T) -> T {
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_the_language_it_would_rather_have() {
        for (header, expected) in [
            ("", Language::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("en-US,en;q=0.9,zh-CN;q=0.8", Language::English),
            ("de-DE,de;q=0.9,zh;q=0.3,en;q=0.2", Language::Chinese),
            ("fr, zh-Hant-TW;q=0.5", Language::Chinese),
            ("ZH", Language::Chinese),
            ("zh;q=0, en;q=0.1", Language::English),
            ("zh;q=0", Language::English),
            ("zh;q=7, *", Language::English),
            ("zhx, en;q=x", Language::English),
            (" zh ; q=0.5 ", Language::Chinese),
        ] {
            assert_eq!(Language::accepted(header), expected, "{header:?}");
        }
    }
}
