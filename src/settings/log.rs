//! How much is logged, and in which form.

use super::section::Section;

/// The least level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Every poll.
    Debug,
    /// Started, stopped, caught up.
    Info,
    /// What was recovered from.
    Warn,
    /// What somebody must act on.
    Error,
}

impl LogLevel {
    const CHOICES: [(&str, LogLevel); 4] =
        [("debug", LogLevel::Debug), ("info", LogLevel::Info), ("warn", LogLevel::Warn), ("error", LogLevel::Error)];

    /// The level as it is written in the settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::CHOICES[self as usize].0
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value`, as Prometheus programs log.
    Logfmt,
    /// One object a line.
    Json,
}

/// The log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// The least level that is logged.
    pub level: LogLevel,
    /// The form of a line.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Logfmt }
    }
}

impl Log {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let formats = [("logfmt", LogFormat::Logfmt), ("json", LogFormat::Json)];
        Self {
            level: section.choice("level", default.level, &LogLevel::CHOICES),
            format: section.choice("format", default.format, &formats),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_written_as_it_is_read() {
        for (word, level) in LogLevel::CHOICES {
            assert_eq!(level.as_str(), word);
        }
    }
}
