//! The families a reader asked for by name, as `promhttp` has it: `/metrics?name[]=a&name[]=b`.

use std::collections::BTreeSet;

/// Names of families; none means all.
///
/// A counter goes by its name with `_total`, as its lines do and as `promhttp` knows it, and also without, since that is
/// what an OpenMetrics page calls the family. A histogram goes by its family's name, not by those of its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter(BTreeSet<String>);

impl FromIterator<String> for Filter {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

impl Filter {
    /// Whether the family that is called `name` in text 0.0.4 was asked for.
    pub(super) fn takes(&self, name: &str) -> bool {
        let Self(names) = self;
        names.is_empty()
            || names.contains(name)
            || name.strip_suffix("_total").is_some_and(|family| names.contains(family))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_has_two_names_and_nothing_else_has() {
        let filter = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Filter>();
        assert!(filter(&[]).takes("a_total"));
        assert!(filter(&["a_total"]).takes("a_total") && filter(&["b", "a"]).takes("a_total"));
        assert!(!filter(&["a_total"]).takes("a") && !filter(&["a"]).takes("ab"));
        assert!(!filter(&[""]).takes("a") && !filter(&["a_seconds_bucket"]).takes("a_seconds"));
    }
}
