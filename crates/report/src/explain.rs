//! The long form of each code. One page each, in Markdown, in the folder `explain`.

use core::fmt::Write;

/// A page of the catalogue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// The code as reports write it.
    pub name: &'static str,
    /// The page.
    pub text: &'static str,
}

macro_rules! catalogue {
    ($($name:literal)*) => {
        const PAGES: &[Page] = &[$(Page { name: $name, text: include_str!(concat!("../explain/", $name, ".md")) },)*];
    };
}

catalogue! {
    "0x01" "0x0A" "0x1A" "0x1E" "0x35" "0x40" "0x44" "0x4A" "0x4E" "0x50" "0x76" "0x77" "0x7A" "0x7E" "0x7F" "0x94" "0xB8" "0xBE" "0xC1" "0xC2" "0xC4" "0xC7" "0xC8" "0xC9"
    "0xCB" "0xCC" "0xCD" "0xCE" "0xD1" "0xD3" "0xD4" "0xD5" "0xD6" "0xDA" "0xE1" "0xE3" "0xE4" "0xF7" "0xFC" "0x12E" "0x139"
    "K01" "K02" "K03" "K04" "K05" "K06" "K07" "K08" "K09" "K10" "K11" "K12" "K13" "K14" "K15" "K16" "K17" "K18" "K19"
    "K20" "K21" "K22" "K23" "K24" "K25" "K26" "K27" "K28"
    "A01" "A02" "A03" "A04" "A05"
    "unsupported" "limit" "exit-codes"
}

impl Page {
    /// The documented name that follows the code in the heading; empty where there is none.
    pub(crate) fn title(&self) -> &'static str {
        self.text
            .lines()
            .next()
            .and_then(|heading| heading.strip_prefix("# ")?.strip_prefix(self.name))
            .unwrap_or("")
            .trim()
    }

    /// The sentence below the heading.
    pub(crate) fn lead(&self) -> &'static str {
        self.text.lines().nth(2).unwrap_or("")
    }

    /// What stands below "Cause".
    pub(crate) fn cause(&self) -> &'static str {
        let (_, cause) = self.text.split_once("## Cause\n").unwrap_or_default();
        cause.split("\n## ").next().unwrap_or_default().trim()
    }

    /// Where the first document that the page names is found.
    pub(crate) fn link(&self) -> Option<&'static str> {
        let (_, link) = self.text.split_once("<https://")?;
        let start = self.text.len() - link.len() - "https://".len();
        self.text[start..].split('>').next()
    }
}

/// All pages: bug checks, findings, and the rest.
pub fn pages() -> impl Iterator<Item = &'static Page> {
    PAGES.iter()
}

/// The page of a code. Case and leading zeros do not matter, and the documented name will do: `0xd1`, `0x000000D1`, `k8`,
/// `latent-fault` and `DRIVER_IRQL_NOT_LESS_OR_EQUAL` are all found.
pub fn find(code: &str) -> Option<&'static Page> {
    let wanted = normal(code);
    let titled = |page: &Page| !page.title().is_empty() && normal(page.title()) == wanted;
    pages().find(|page| normal(page.name) == wanted || titled(page))
}

/// Lower case, without the zeros that lead a number.
fn normal(code: &str) -> String {
    let lower = code.trim().to_ascii_lowercase();
    let (prefix, digits) = match (lower.strip_prefix("0x"), lower.strip_prefix('k')) {
        (Some(digits), _) => ("0x", digits),
        (_, Some(digits)) => ("k", digits),
        _ => return lower,
    };
    format!("{prefix}{}", digits.trim_start_matches('0'))
}

/// One line a page.
pub fn list() -> String {
    let mut list = String::new();
    for page in pages() {
        // Writing to a String cannot fail.
        let _ = writeln!(list, "{:<12} {}", page.name, page.lead());
    }
    list
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use nt_types::BugCheckCode;

    use super::{find, pages};
    use crate::exit_code::ExitCode;
    use crate::finding::Finding;

    #[test]
    fn each_finding_has_a_page_under_its_name() {
        for finding in Finding::ALL {
            let page = find(finding.id()).unwrap_or_else(|| panic!("{} has no page", finding.id()));
            assert_eq!(page.title(), finding.name());
            assert_eq!(find(finding.name()), Some(page));
            let level = page.lead().split([':', ',', ' ']).next();
            assert!(matches!(level, Some("Error" | "Warning" | "Information")), "{}: {}", finding.id(), page.lead());
            assert!(
                page.link().is_some_and(|link| link.starts_with("https://learn.microsoft.com/")),
                "{}",
                finding.id()
            );
            assert!(page.cause().ends_with(['.', '`', '|']), "{}: {}", finding.id(), page.cause());
        }
    }

    #[test]
    fn each_bug_check_page_bears_the_documented_name() {
        for page in pages().filter(|page| page.name.starts_with("0x")) {
            let number = u32::from_str_radix(&page.name[2..], 16).expect("a hexadecimal number");
            assert_eq!(BugCheckCode(number).name(), Some(page.title()));
            assert_eq!(BugCheckCode(number).to_string(), page.name);
        }
    }

    /// The text of all sources of a crate.
    fn sources(of: &str) -> String {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(of).join("src")];
        let mut text = String::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("the folder is there") {
                let path = entry.expect("it can be read").path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => text += &fs::read_to_string(path).expect("it is text"),
                }
            }
        }
        text
    }

    /// What the machine can stop with: the constants that it names. None is written as a number, which would have no name.
    #[test]
    fn each_bug_check_that_the_machine_raises_has_a_name_and_a_page() {
        let text = sources("kernel") + &sources("memory");
        assert!(!text.contains("BugCheckCode(0x"), "a bug check without a name");
        let named = |part: &str| {
            let end = part.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
            part[..end.unwrap_or(part.len())].to_owned()
        };
        let raised: BTreeSet<String> = text.split("Code::").skip(1).map(named).filter(|name| name.len() > 3).collect();
        assert!(raised.len() > 30 && raised.contains("PFN_LIST_CORRUPT"), "{raised:?}");
        let without: Vec<&String> = raised.iter().filter(|name| find(name).is_none()).collect();
        assert!(without.is_empty(), "{without:?} have no page");
    }

    #[test]
    fn each_page_has_all_its_parts() {
        for page in pages() {
            assert!(page.lead().ends_with('.'), "{}: the lead is a sentence", page.name);
            for part in ["## Cause", "## Documentation"] {
                assert!(page.text.contains(part), "{} lacks {part}", page.name);
            }
            let long_form = page.name != "exit-codes";
            assert_eq!(page.text.contains("## Minimal "), long_form, "{}: minimal driver", page.name);
            assert_eq!(page.text.contains("## Repair"), long_form, "{}: repair", page.name);
        }
    }

    #[test]
    fn each_exit_code_is_documented() {
        let page = find("exit-codes").expect("it has a page");
        for code in ExitCode::ALL {
            let row = format!("| {} | {}", code.number(), code.meaning());
            assert!(page.text.contains(&row), "{row}");
        }
    }

    #[test]
    fn codes_are_found_however_they_are_written() {
        for (written, name) in
            [("0xd1", "0xD1"), ("0x000000D1", "0xD1"), ("0xa", "0x0A"), ("k8", "K08"), (" K08 ", "K08")]
        {
            assert_eq!(find(written).map(|page| page.name), Some(name), "{written}");
        }
        assert_eq!(find("driver_irql_not_less_or_equal").map(|page| page.name), Some("0xD1"));
        assert_eq!(find("0xdead"), None);
        assert_eq!(find(""), None);
    }
}
