//! The instruction forms that real drivers contain.

use std::collections::HashMap;

use iced_x86::{Code, Instruction};

use super::features::host_has;

/// The most frequent forms in 500 drivers: rank, iced-x86's name in capitals, and why a form is not compared.
const RANKED: &str = include_str!("forms.csv");

/// Forms that drivers contain less often or that belong to those: names.
const FURTHER: &str = include_str!("further_forms.csv");

/// One instruction form.
pub(crate) struct Form {
    pub(crate) name: String,
    pub(crate) plan: Plan,
}

/// What to do with a form.
pub(crate) enum Plan {
    Compare(Code),
    /// Not compared, for this reason.
    Skip(String),
}

/// All forms, the ranked ones first.
pub(crate) fn all() -> Vec<Form> {
    let codes: HashMap<String, Code> = Code::values().map(|code| (format!("{code:?}").to_uppercase(), code)).collect();
    let ranked = RANKED.lines().skip(1).map(|line| line.split_once(',').expect("rank,name,reason").1);
    let further = FURTHER.lines().skip(1);
    ranked.chain(further).map(|line| form(&codes, line)).collect()
}

/// From `name` or `name,reason`.
fn form(codes: &HashMap<String, Code>, line: &str) -> Form {
    let (name, reason) = line.split_once(',').unwrap_or((line, ""));
    let code = *codes.get(name).unwrap_or_else(|| panic!("`{name}` is no instruction form"));
    Form { name: name.to_owned(), plan: plan(code, reason) }
}

fn plan(code: Code, reason: &str) -> Plan {
    let mut instruction = Instruction::default();
    instruction.set_code(code);
    if !reason.is_empty() {
        Plan::Skip(reason.to_owned())
    } else if instruction.is_privileged() {
        Plan::Skip("privileged".to_owned())
    } else if let Some(feature) = instruction.cpuid_features().iter().find(|&&feature| !host_has(feature)) {
        Plan::Skip(format!("the host has no {feature:?}"))
    } else {
        Plan::Compare(code)
    }
}
