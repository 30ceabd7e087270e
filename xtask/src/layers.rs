//! `cargo xtask layers`: the normal dependencies between our crates are those that `layers.toml` allows, no others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// Crate name to the crates it may (or does) depend on.
type Layers = BTreeMap<String, BTreeSet<String>>;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for a normal dependency, `dev` or `build` for the others.
    kind: Option<String>,
    /// Present for crates of this workspace.
    path: Option<String>,
}

/// Fails naming every edge that `layers.toml` does not allow.
pub(crate) fn run(root: &Path) -> Result<()> {
    let file = root.join("layers.toml");
    let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let allowed: Layers = toml::from_str(&text).with_context(|| format!("parsing {}", file.display()))?;
    let actual = workspace_dependencies(root)?;
    let problems = violations(&allowed, &actual);
    if !problems.is_empty() {
        bail!("layers.toml does not allow:\n  {}", problems.join("\n  "));
    }
    println!("layers: {} crates, {} dependencies", actual.len(), actual.values().map(BTreeSet::len).sum::<usize>());
    Ok(())
}

fn workspace_dependencies(root: &Path) -> Result<Layers> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("running cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("parsing cargo metadata")?;
    Ok(metadata.packages.into_iter().map(|package| (package.name, ours(package.dependencies))).collect())
}

fn ours(dependencies: Vec<Dependency>) -> BTreeSet<String> {
    dependencies.into_iter().filter(|d| d.kind.is_none() && d.path.is_some()).map(|d| d.name).collect()
}

fn violations(allowed: &Layers, actual: &Layers) -> Vec<String> {
    let unknown = actual.keys().filter(|name| !allowed.contains_key(*name)).map(|name| format!("crate {name}"));
    let gone = allowed.keys().filter(|name| !actual.contains_key(*name)).map(|name| format!("{name}: no such crate"));
    let edges = actual.iter().flat_map(|(name, dependencies)| {
        let permitted = allowed.get(name);
        dependencies
            .iter()
            .filter(move |dependency| !permitted.is_some_and(|set| set.contains(*dependency)))
            .map(move |dependency| format!("{name} -> {dependency}"))
    });
    unknown.chain(gone).chain(edges).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(rows: &[(&str, &[&str])]) -> Layers {
        rows.iter().map(|(name, to)| ((*name).to_owned(), to.iter().map(|t| (*t).to_owned()).collect())).collect()
    }

    #[test]
    fn allowed_edges_pass() {
        let allowed = layers(&[("a", &["b"]), ("b", &[])]);
        assert!(violations(&allowed, &allowed).is_empty());
        assert!(violations(&allowed, &layers(&[("a", &[]), ("b", &[])])).is_empty());
    }

    #[test]
    fn extra_edges_and_unlisted_crates_are_named() {
        let allowed = layers(&[("a", &[]), ("gone", &[])]);
        let found = violations(&allowed, &layers(&[("a", &["b"]), ("b", &[])]));
        assert_eq!(found, ["crate b", "gone: no such crate", "a -> b"]);
    }
}
