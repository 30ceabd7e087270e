//! Which reports count.

use report::{Code, Diagnostic, Level};

/// What `--deny` and `--allow` name: a level, or a code such as `K26`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rule {
    /// Every report of this level or a graver one.
    Level(Level),
    /// Every report with this code.
    Code(String),
}

/// The bug check that an audit tells by its own code: a lock or unlock of what is certainly no section.
const ONLY_BUG_CHECK: &str = "0x1A";

impl std::str::FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Rule, String> {
        let level = [Level::Info, Level::Warning, Level::Error].into_iter().find(|level| level.word() == text);
        // Case and leading zeros do not matter, and the name will do.
        let page = report::explain::find(text).map(|page| page.name);
        let is_code = |name: &&str| *name == ONLY_BUG_CHECK || report::Finding::ALL.iter().any(|one| one.id() == *name);
        let code = page.filter(is_code);
        match (level, code) {
            (Some(level), _) => Ok(Rule::Level(level)),
            (None, Some(code)) => Ok(Rule::Code(code.to_owned())),
            (None, None) => {
                Err("expected error, warning or info, a code such as K13, or the name of one such as latent-fault; \
                 `nonpaged explain --list` lists them"
                    .into())
            }
        }
    }
}

impl Rule {
    fn names(&self, report: &Diagnostic) -> bool {
        match self {
            Rule::Level(level) => report.level() >= *level,
            Rule::Code(code) => report.code().to_string() == *code,
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
        let denied_by_code = self.deny.iter().any(|rule| matches!(rule, Rule::Code(_)) && rule.names(report));
        self.allow.iter().any(|rule| match rule {
            Rule::Level(level) => report.level() <= *level && !denied_by_code,
            Rule::Code(_) => rule.names(report),
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
            let rule = Ok(Rule::Code(finding.id().to_owned()));
            assert_eq!(finding.id().parse::<Rule>(), rule);
            assert_eq!(finding.name().parse::<Rule>(), rule);
        }
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
