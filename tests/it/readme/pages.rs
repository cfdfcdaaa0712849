//! The pages against each other: every one begins with what it is, is there in both languages, is linked to, and leads to
//! pages and headings that exist.

use std::fmt::Debug;

use super::*;

/// What a page of this name is called in `language`.
fn in_language(file: &str, language: &str) -> String {
    file.strip_suffix(language_of(file)).map_or_else(|| file.to_owned(), |name| format!("{name}{language}"))
}

/// The same page in the other language, as a link from it says.
fn translation(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    in_language(name, if language_of(file) == ENGLISH { CHINESE } else { ENGLISH })
}

/// What the links and pictures of a page lead to.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("](").filter_map(|(at, start)| text[at + start.len()..].split(')').next())
}

/// The headings of a page, each with its level.
fn headings(text: &str) -> Vec<(usize, String)> {
    let prose = prose(text);
    let lines = prose.lines().filter(|line| line.starts_with('#'));
    let heading = |line: &str| {
        let words = line.trim_start_matches('#');
        (line.len() - words.len(), words.trim().to_owned())
    };
    lines.map(heading).collect()
}

/// The anchors that GitHub gives the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (_, heading) in headings(text) {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let plain = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let numbered = (1..).map(|n| format!("{plain}-{n}"));
        let free = std::iter::once(plain.clone()).chain(numbered).find(|anchor| !anchors.contains(anchor));
        anchors.extend(free);
    }
    anchors
}

/// Relative links of a page that lead to no file, to no heading, or to a page that is there in its own language too.
fn wrong_links(file: &str, text: &str) -> Vec<String> {
    let folder = Path::new(file).parent().expect("a file is in a folder");
    let exists = |path: &str| root().join(folder).join(path).is_file();
    let wrong = |target: &str| {
        let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
        if !path.is_empty() && !exists(path) {
            return Some("does not exist");
        }
        let here = in_language(path, language_of(file));
        if here != path && path != translation(file) && exists(&here) {
            return Some("is there in this language too");
        }
        let has = |anchor: &str| {
            let page = if path.is_empty() { text.to_owned() } else { read(&folder.join(path).display().to_string()) };
            anchors(&page).contains(anchor)
        };
        anchor.filter(|anchor| !has(anchor)).map(|_| "is no heading")
    };
    let relative = targets(text).filter(|target| !target.contains("://"));
    relative.filter_map(|target| Some(format!("{target} {}", wrong(target)?))).collect()
}

#[test]
fn relative_links_lead_to_files_and_headings() {
    in_files(LANGUAGES.into_iter().flat_map(pages), wrong_links);
}

/// What a page does not begin with: its title, the way to the other language, and if it is none of the READMEs, a sentence
/// with the way back to its README.
fn wrong_beginning(file: &str, text: &str) -> Vec<String> {
    let translation = translation(file);
    let languages = if language_of(file) == ENGLISH {
        format!("English | [简体中文]({translation})")
    } else {
        format!("[English]({translation}) | 简体中文")
    };
    let back = format!("](../{}", readme(language_of(file)));
    let mut paragraphs = text.split("\n\n");
    let mut begins = |with: &dyn Fn(&str) -> bool| paragraphs.next().is_some_and(with);
    let title = begins(&|first| first.starts_with("# ") && !first.contains('\n'));
    let switch = begins(&|second| second == languages);
    let purpose = begins(&|third| third.contains(&back)) || !file.contains('/');
    let parts = [(title, "a title"), (switch, "the languages"), (purpose, "the way back to the README")];
    parts.into_iter().filter(|(there, _)| !there).map(|(_, part)| format!("does not begin with {part}")).collect()
}

#[test]
fn every_page_begins_with_its_title_its_languages_and_the_way_back() {
    in_files(LANGUAGES.into_iter().flat_map(pages), wrong_beginning);
}

/// Pages that are there in one language only.
fn without_translation(english: &[String], chinese: &[String]) -> Vec<String> {
    let names = |files: &[String]| files.iter().map(|file| in_language(file, ENGLISH)).collect();
    differences(&names(english), &names(chinese), ["is only in English", "is only in Chinese"])
}

/// Pages that the README of their language does not lead to.
fn not_linked(readme: &str, pages: &[String]) -> Vec<String> {
    let linked: BTreeSet<String> = targets(readme).map(str::to_owned).collect();
    beyond(&pages.iter().cloned().collect(), &linked, "is not linked to")
}

#[test]
fn every_page_is_there_in_both_languages_and_its_readme_leads_to_it() {
    let alone = without_translation(&pages(ENGLISH), &pages(CHINESE));
    assert!(alone.is_empty(), "\n{}", alone.join("\n"));
    in_files(LANGUAGES.map(readme), |readme, text| not_linked(text, &pages(language_of(readme))[1..]));
}

#[test]
fn the_first_two_commands_are_the_same_and_on_the_first_screen() {
    for file in LANGUAGES.map(readme) {
        let text = read(&file);
        let blocks = code_blocks(&text);
        assert_eq!(blocks[..2], [["sh", "cargo run --release -- demo"], ["sh", "./tests/run"]], "{file}");
        let fences = text.lines().take(24).filter(|line| line.starts_with("```")).count();
        assert!(fences >= 4, "{file}");
    }
}

/// Where two pages part in their headings, code or rows: what stands there in each. Two items are the same if what `by`
/// makes of them is.
fn parting<T: Debug, K: PartialEq>(english: &[T], chinese: &[T], by: impl Fn(&T) -> K) -> Option<String> {
    let mut pairs = (0..english.len().max(chinese.len())).map(|at| (english.get(at), chinese.get(at)));
    let (english, chinese) = pairs.find(|(left, right)| left.map(&by) != right.map(&by))?;
    let shown = |item: Option<&T>| item.map_or("nothing".to_owned(), |item| format!("{item:?}"));
    Some(format!("{} in English is {} in Chinese", shown(english), shown(chinese)))
}

/// Headings, code, tables, links and names that a page has in one language only.
fn wrong_translation(english: &str, chinese: &str) -> Vec<String> {
    let told = ["is only in English", "is only in Chinese"];
    let links = |text: &str| -> BTreeSet<String> {
        let paths = targets(text).map(|target| target.split('#').next().unwrap_or(target));
        paths.map(|path| in_language(path, ENGLISH)).collect()
    };
    let names = differences(&code_spans(english), &code_spans(chinese), told);
    let links = differences(&links(english), &links(chinese), told);
    let rows = |text: &str| tables(text).concat();
    let partings = [
        parting(&headings(english), &headings(chinese), |(level, _)| *level),
        parting(&code_blocks(english), &code_blocks(chinese), |block| block.join("\n")),
        parting(&rows(english), &rows(chinese), |row| (row.len(), code_spans(&row.join(" ")))),
    ];
    [names, links, partings.into_iter().flatten().collect()].concat()
}

#[test]
fn both_languages_have_the_same_headings_code_tables_links_and_names() {
    in_files(pages(ENGLISH), |file, english| wrong_translation(english, &read(&in_language(file, CHINESE))));
}

#[test]
fn a_planted_mistake_is_caught() {
    let none: [&str; 0] = [];
    let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();

    assert_eq!(headings("# a\n```\n# no\n```\n## b"), [(1, "a".to_owned()), (2, "b".to_owned())]);
    let found = anchors("# TLS and_passwords\n## 查询 API，核对账本\n## It's 1.0: `x-y`\n## It's 1.0: `x-y`");
    let slugs = ["tls-and_passwords", "查询-api核对账本", "its-10-x-y", "its-10-x-y-1"];
    assert_eq!(found, list(&slugs).into_iter().collect::<BTreeSet<_>>());

    let links = "# Here\n[a](README.md) [b](https://x/y#z) [c](NO.md) [d](README.md#state) [e](README.md#stat) [f](#here) \
                 [g](#there)";
    let wrong = ["NO.md does not exist", "README.md#stat is no heading", "#there is no heading"];
    assert_eq!(wrong_links("CHANGELOG.md", links), wrong);
    let inside = "[a](../README.md) [b](web.md#reload) [c](docs/web.md) [d](../README.zh-CN.md) [e](keys.zh-CN.md)";
    let wrong = ["docs/web.md does not exist", "../README.zh-CN.md is there in this language too"];
    assert_eq!(wrong_links("docs/keys.md", inside), wrong);
    assert_eq!(
        wrong_links("docs/keys.zh-CN.md", "[a](../README.zh-CN.md#状态) [b](keys.md) [c](web.md#reload)"),
        ["web.md#reload is there in this language too"]
    );

    let page = "# A\n\nEnglish | [简体中文](a.zh-CN.md)\n\nAbout a. Back to the [README](../README.md).\n\nB";
    assert_eq!(wrong_beginning("docs/a.md", page), none);
    let bare = page.replace("# A", "A").replace("a.zh", "b.zh").replace("README.md", "README.zh-CN.md");
    let parts = ["a title", "the languages", "the way back to the README"];
    assert_eq!(wrong_beginning("docs/a.md", &bare), parts.map(|part| format!("does not begin with {part}")));

    let chinese = ["docs/a.zh-CN.md", "docs/c.zh-CN.md"];
    let alone = without_translation(&list(&["docs/a.md", "docs/b.md"]), &list(&chinese));
    assert_eq!(alone, ["docs/b.md is only in English", "docs/c.md is only in Chinese"]);
    assert_eq!(
        not_linked("[a](docs/a.zh-CN.md), docs/c.zh-CN.md", &list(&chinese)),
        ["docs/c.zh-CN.md is not linked to"]
    );

    let english = "# A\n`a` [b](b.md#c)\n```\nrun\n```\n| x | `y` |\n|---|---|\n| `z` | 1 |\n";
    assert_eq!(wrong_translation(english, &english.replace("# A", "# 甲").replace("b.md#c", "b.zh-CN.md#丙")), none);
    let plant = |from, to| wrong_translation(english, &english.replace(from, to));
    assert_eq!(plant("`a`", "`d`"), ["a is only in English", "d is only in Chinese"]);
    assert_eq!(plant("b.md", "d.md"), ["b.md is only in English", "d.md is only in Chinese"]);
    assert_eq!(plant("# A", "## A"), ["(1, \"A\") in English is (2, \"A\") in Chinese"]);
    assert_eq!(plant("run", "walk"), ["[\"\", \"run\"] in English is [\"\", \"walk\"] in Chinese"]);
    assert_eq!(
        plant("| `z` | 1 |\n", ""),
        ["z is only in English", "[\"`z`\", \"1\"] in English is nothing in Chinese"]
    );
}
