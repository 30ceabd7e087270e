//! Which reports count.

use report::{Code, Diagnostic, Level};

/// What `--deny` and `--allow` name: a level, codes by code or name (`K26`, `latent-fault`), or by a pattern (`A0*`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rule {
    /// Every report of this level or a graver one.
    Level(Level),
    /// Every report with one of these codes.
    Codes(Vec<String>),
}

/// The bug check that an audit tells by its own code: a lock or unlock of what is certainly no section.
const ONLY_BUG_CHECK: &str = "0x1A";

impl std::str::FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Rule, String> {
        let level = [Level::Info, Level::Warning, Level::Error].into_iter().find(|level| level.word() == text);
        match (level, codes(text)) {
            (Some(level), _) => Ok(Rule::Level(level)),
            (None, codes) if !codes.is_empty() => Ok(Rule::Codes(codes)),
            (None, _) => {
                Err("expected error, warning or info, a code such as K13, the name of one such as latent-fault, or a \
                 pattern such as A0* that some have; `nonpaged explain --list` lists them"
                    .into())
            }
        }
    }
}

/// The codes that a text means: one by its code or its name, or all of which either fits a pattern.
fn codes(text: &str) -> Vec<String> {
    let is_pattern = text.contains(['*', '?', '[']);
    let pattern = glob::Pattern::new(text).ok().filter(|_| is_pattern);
    // Case and leading zeros do not matter.
    let page = report::explain::find(text).map(|page| page.name).filter(|_| !is_pattern);
    let any_case = glob::MatchOptions { case_sensitive: false, ..glob::MatchOptions::new() };
    let meant = |code: &str, name: &str| {
        let fits = |pattern: &glob::Pattern| [code, name].iter().any(|text| pattern.matches_with(text, any_case));
        page == Some(code) || pattern.as_ref().is_some_and(fits)
    };
    let findings = report::Finding::ALL.iter().map(|finding| (finding.id(), finding.name()));
    let all = findings.chain([(ONLY_BUG_CHECK, ONLY_BUG_CHECK)]);
    all.filter(|(code, name)| meant(code, name)).map(|(code, _)| code.to_owned()).collect()
}

impl Rule {
    fn names(&self, report: &Diagnostic) -> bool {
        match self {
            Rule::Level(level) => report.level() >= *level,
            Rule::Codes(codes) => codes.contains(&report.code().to_string()),
        }
    }
}

/// Which reports count as findings and make the exit code 11, unless a baseline knows them.
#[derive(Clone, Default, Debug)]
pub struct Policy {
    /// What counts beyond warnings and errors.
    pub deny: Vec<Rule>,
    /// What does not count, and is not shown. A code here wins over a level in `deny`.
    pub allow: Vec<Rule>,
}

impl Policy {
    /// Is the report shown?
    pub fn shows(&self, report: &Diagnostic) -> bool {
        self.counts(report) || (report.code() == Code::Note && !self.allows(report))
    }

    /// Does the report count?
    pub fn counts(&self, report: &Diagnostic) -> bool {
        let denied = report.level() >= Level::Warning || self.deny.iter().any(|rule| rule.names(report));
        report.code() != Code::Note && denied && !self.allows(report)
    }

    fn allows(&self, report: &Diagnostic) -> bool {
        let denied_by_code = self.deny.iter().any(|rule| matches!(rule, Rule::Codes(_)) && rule.names(report));
        self.allow.iter().any(|rule| match rule {
            Rule::Level(level) => report.level() <= *level && !denied_by_code,
            Rule::Codes(_) => rule.names(report),
        })
    }
}

#[cfg(test)]
mod tests {
    use report::cause::{Cause, Layout};

    use super::*;

    fn report(layout: Layout) -> Diagnostic {
        Diagnostic::from(Cause::Layout(layout))
    }

    fn warning() -> Diagnostic {
        report(Layout::MixedSection { section: "PAGE".into() })
    }

    fn information() -> Diagnostic {
        report(Layout::SmallPageable { code: true, bytes: 1 })
    }

    fn policy(deny: &[&str], allow: &[&str]) -> Policy {
        let rules = |names: &[&str]| names.iter().map(|name| name.parse().expect("a rule")).collect();
        Policy { deny: rules(deny), allow: rules(allow) }
    }

    #[test]
    fn warnings_count_and_information_does_not() {
        assert!(Policy::default().counts(&warning()) && !Policy::default().counts(&information()));
    }

    /// `--deny` and `--allow` take each finding by number and by name.
    #[test]
    fn each_finding_can_be_named() {
        for finding in report::Finding::ALL {
            let rule = Ok(Rule::Codes(vec![finding.id().to_owned()]));
            assert_eq!(finding.id().parse::<Rule>(), rule);
            assert_eq!(finding.name().parse::<Rule>(), rule);
        }
    }

    /// A pattern stands for all codes of which the code or the name fits; one that fits none is refused.
    #[test]
    fn a_pattern_names_several() {
        let of = |text: &str| match text.parse() {
            Ok(Rule::Codes(codes)) => codes,
            other => panic!("{text}: {other:?}"),
        };
        let starts = |with: &str| -> Vec<String> {
            let all = report::Finding::ALL.iter().map(|finding| finding.id().to_owned());
            all.filter(|code| code.starts_with(with)).collect()
        };
        assert_eq!(of("A0*"), starts("A0"));
        assert_eq!(of("k2?"), starts("K2"));
        assert_eq!(of("isr-*"), ["K09"]);
        assert!(policy(&["K2*"], &[]).counts(&information()) && !policy(&[], &["k1*"]).counts(&warning()));
        assert!("B*".parse::<Rule>().is_err() && "[".parse::<Rule>().is_err());
    }

    #[test]
    fn rules_are_levels_codes_and_names() {
        assert!(policy(&["info"], &[]).counts(&information()));
        assert!(policy(&["k27"], &[]).counts(&information()));
        assert!(!policy(&[], &["mixed-section"]).counts(&warning()));
        assert!(!policy(&[], &["warning"]).counts(&warning()));
        assert!(policy(&["K17"], &["warning"]).counts(&warning()), "a code is more exact than a level");
        assert!("K99".parse::<Rule>().is_err());
        assert!("0xD1".parse::<Rule>().is_err(), "an audit finds no such bug checks");
    }
}
