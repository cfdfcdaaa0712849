//! The table of faults (`FAULTS.md`) is complete and true: one row a number, every test in its row, every row with a
//! test or with a reason.
//!
//! The sources are read as text. A test begins with the numbers of its faults, `a5_a6_…`; a script of `tests/real` has
//! none and is only looked for.

mod access;
mod bodies;
mod certificates;
mod crowded;
mod network;
mod page;
mod process;
mod rows;
mod told_again;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Letters of the catalogue and how many faults each has.
const CATALOGUE: [(char, u32); 9] = [
    ('a', 28), // answers
    ('b', 15), // transport
    ('c', 7),  // time
    ('d', 13), // storage
    ('e', 8),  // ends
    ('f', 17), // the HTTP server
    ('g', 11), // metrics
    ('h', 5),  // pages
    ('k', 8),  // settings and the process
];

/// Fewest words of a reason.
const REASON_WORDS: usize = 5;

/// The names of the tests of each file.
type Tests = BTreeMap<String, BTreeSet<String>>;

/// A row's number in lower case, and what shows it.
struct Row<'a> {
    number: String,
    shown: &'a str,
}

/// The rows of the table, in its order; headings and rules are none.
fn rows(table: &str) -> Vec<Row<'_>> {
    let cells = table.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    let rows = cells.map(|cells| match cells.split('|').map(str::trim).collect::<Vec<_>>()[..] {
        [number, _, shown] => Row { number: number.to_lowercase(), shown },
        _ => panic!("not three cells: {cells}"),
    });
    rows.filter(|row| is_number(&row.number)).collect()
}

/// Whether `word` is a letter of the catalogue and a number.
fn is_number(word: &str) -> bool {
    let mut characters = word.chars();
    let letter = characters.next().is_some_and(|letter| CATALOGUE.iter().any(|(known, _)| *known == letter));
    let digits = characters.as_str();
    letter && !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit())
}

/// The numbers that a test's name begins with.
fn numbers(test: &str) -> Vec<&str> {
    test.split('_').take_while(|word| is_number(word)).collect()
}

/// What stands in backticks and names a file.
fn cited(cell: &str) -> Vec<&str> {
    let spans = cell.split('`').skip(1).step_by(2);
    spans.filter(|span| span.contains(".rs::") || span.starts_with("tests/real/")).collect()
}

/// The tests in a source file: functions below a test attribute.
fn tests(source: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut below_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            below_test |= line.ends_with("test]") || line.contains("test(");
        } else if !line.starts_with("//") && !line.is_empty() {
            let name = line.trim_start_matches("async ").strip_prefix("fn ");
            if let Some(name) = name.filter(|_| below_test) {
                names.insert(name.split(['(', '<']).next().unwrap_or(name).to_owned());
            }
            below_test = false;
        }
    }
    names
}

/// Everything wrong with `table`, one line each.
fn problems(table: &str, tests: &Tests, scripts: &BTreeSet<String>) -> Vec<String> {
    let rows = rows(table);
    let mut wrong = Vec::new();
    for (letter, most) in CATALOGUE {
        for number in (1..=most).map(|n| format!("{letter}{n}")) {
            let count = rows.iter().filter(|row| row.number == number).count();
            if count != 1 {
                wrong.push(format!("{number}: {count} rows"));
            }
        }
    }
    for Row { number, shown } in &rows {
        let known = CATALOGUE.iter().any(|(letter, most)| (1..=*most).any(|n| *number == format!("{letter}{n}")));
        if !known {
            wrong.push(format!("{number}: no such fault"));
        }
        let cited = cited(shown);
        let words = shown.split_whitespace().count();
        if cited.is_empty() && (words < REASON_WORDS || !shown.ends_with('.')) {
            wrong.push(format!("{number}: neither a test nor a reason"));
        }
        for name in cited {
            match name.split_once("::") {
                None if scripts.contains(name) => {}
                Some((file, test)) if tests.get(file).is_some_and(|tests| tests.contains(test)) => {
                    if !numbers(test).contains(&number.as_str()) {
                        wrong.push(format!("{number}: {name} is not about it"));
                    }
                }
                _ => wrong.push(format!("{number}: there is no {name}")),
            }
        }
    }
    for (file, tests) in tests {
        for test in tests {
            let name = format!("{file}::{test}");
            for number in numbers(test) {
                let row = rows.iter().find(|row| row.number == number);
                if !row.is_some_and(|row| cited(row.shown).contains(&name.as_str())) {
                    wrong.push(format!("{number}: {name} is not in its row"));
                }
            }
        }
    }
    wrong
}

/// The tests of every source file below `folder`, by path from `root`.
fn collect(root: &Path, folder: &Path, into: &mut Tests) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            into.insert(name, tests(&std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn the_table_of_faults_is_complete_and_true() {
    let root = Path::new("tests/it");
    let mut tests = Tests::new();
    collect(root, root, &mut tests);
    let scripts = std::fs::read_dir("tests/real").unwrap();
    let scripts = scripts.map(|entry| entry.unwrap().path().to_str().unwrap().to_owned()).collect();
    let wrong = problems(&std::fs::read_to_string(root.join("FAULTS.md")).unwrap(), &tests, &scripts);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_planted_gap_in_the_table_is_caught() {
    let source = |names: &[&str]| -> BTreeSet<String> {
        let tested = names.iter().map(|name| format!("#[test]\n{} {name}() {{}}\n", "fn"));
        tests(&tested.collect::<Vec<_>>().concat())
    };
    let tests = Tests::from([("one.rs".into(), source(&["a1_b2_both", "a3_three", "plain"]))]);
    let scripts = BTreeSet::from(["tests/real/script.py".to_owned()]);
    let filler = "| something | It cannot happen to this program. |";
    let shown = |number: &str| match number {
        "a1" | "b2" => format!("| {number} | both | `one.rs::a1_b2_both`, `tests/real/script.py` |"),
        "a3" => format!("| {number} | three | `one.rs::a3_three` |"),
        number => format!("| {number} {filler}"),
    };
    let sound: Vec<String> =
        CATALOGUE.iter().flat_map(|(letter, most)| (1..=*most).map(move |n| shown(&format!("{letter}{n}")))).collect();
    assert_eq!(problems(&sound.join("\n"), &tests, &scripts), [""; 0]);
    for (at, row, problem) in [
        (3, String::new(), "a4: 0 rows"),
        (3, format!("| A5 {filler}"), "a4: 0 rows, a5: 2 rows"),
        (3, format!("| A4 {filler}\n| A29 {filler}"), "a29: no such fault"),
        (3, "| A4 | four | later |".into(), "a4: neither a test nor a reason"),
        (3, "| A4 | four | `one.rs::a3_three` |".into(), "a4: one.rs::a3_three is not about it"),
        (3, "| A4 | four | `one.rs::a4_four` |".into(), "a4: there is no one.rs::a4_four"),
        (3, "| A4 | four | `two.rs::a3_three` |".into(), "a4: there is no two.rs::a3_three"),
        (3, "| A4 | four | `tests/real/other.py` |".into(), "a4: there is no tests/real/other.py"),
        (2, format!("| A3 {filler}"), "a3: one.rs::a3_three is not in its row"),
        (29, format!("| B2 {filler}"), "b2: one.rs::a1_b2_both is not in its row"),
    ] {
        let mut rows = sound.clone();
        rows[at] = row;
        assert_eq!(problems(&rows.join("\n"), &tests, &scripts).join(", "), problem);
    }
    let unmarked = format!("{} a1_helper() {{}}", "fn");
    assert!(self::tests(&unmarked).is_empty(), "a function without the attribute is no test");
}
