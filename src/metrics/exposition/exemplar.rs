//! The exemplar of the class counter: the stream of the latest disconnect, and when it ended.

/// The name of its only label.
pub(super) const LABEL: &str = "stream";

/// OpenMetrics 1.0, "Exemplars": most characters of all names and values of an exemplar's labels together. Prometheus
/// drops what is longer.
const MOST_CHARACTERS: usize = 128;

/// `stream` as far as an exemplar may tell it.
pub(super) fn value(stream: &str) -> &str {
    let end = stream.char_indices().nth(MOST_CHARACTERS - LABEL.len());
    end.map_or(stream, |(end, _)| &stream[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_between_characters() {
        for (stream, characters) in [("", 0), ("room", 4), (&*"房".repeat(122), 122), (&*"房".repeat(123), 122)] {
            assert_eq!(value(stream).chars().count(), characters);
        }
        assert_eq!(value(&"x".repeat(200)).len(), 122);
    }
}
