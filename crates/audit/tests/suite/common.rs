//! Sample drivers and what the audit says of them.

use std::path::{Path, PathBuf};

use audit::{Audit, Finding, FindingKind};
use driver_image::Image;
use driver_image::symbols::Symbols;
use nt_types::Rva;

pub(crate) fn drivers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers")
}

/// The audit of a driver, with the symbols of its PDB.
pub(crate) fn audit(path: &Path) -> (Audit, Symbols) {
    let (image, symbols) = symbols(path);
    (audit::audit(&image, &[]).expect("the samples can be laid out"), symbols)
}

/// A driver and the symbols of its PDB.
pub(crate) fn symbols(path: &Path) -> (Image, Symbols) {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let image = Image::parse(bytes).expect("the samples are sound");
    let pdb = std::fs::read(path.with_extension("pdb")).expect("each sample has its PDB");
    let symbols = Symbols::from_pdb(&image, &pdb).expect("the PDB belongs to the sample");
    (image, symbols)
}

/// Findings as "function: kind", without those that are only possible, or information only.
pub(crate) fn findings(path: &Path) -> Vec<String> {
    let (audit, symbols) = audit(path);
    let counts =
        |finding: &&Finding| finding.assumes.is_none() && !matches!(finding.kind, FindingKind::RepeatLock { .. });
    let counted = audit.findings.iter().filter(counts);
    counted.map(|finding| format!("{}: {}", name(&symbols, finding.at), kind(&finding.kind))).collect()
}

pub(crate) fn name(symbols: &Symbols, rva: Rva) -> String {
    match symbols.symbolize(rva) {
        Some(symbol) => symbol.name.to_owned(),
        None => rva.to_string(),
    }
}

/// The name of the variant.
fn kind(kind: &FindingKind) -> String {
    let debug = format!("{kind:?}");
    debug.split([' ', '{', '(']).next().expect("there is a name").to_owned()
}
