//! `nonpaged check` in CI: baselines, and the example of `docs/ci.md`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use yaml_rust2::{Yaml, YamlLoader};

const DOCS: &str = include_str!("../../../docs/ci.md");

fn drivers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers")
}

/// The path of a broken sample.
fn broken(name: &str) -> String {
    drivers().join("broken").join(name).display().to_string()
}

fn check(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nonpaged"));
    command.arg("check").args(arguments).output().expect("the program starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_slice(&check(arguments).stdout).expect("it is JSON")
}

/// The fingerprints of all findings in a folder of samples, with their files.
fn fingerprints(folder: &Path) -> Vec<(String, String)> {
    let found = json(&[&folder.display().to_string(), "--format", "json", "--level", "possible", "--deny", "info"]);
    let files = found["files"].as_array().expect("there are files").clone();
    let of_file = |file: &Value| {
        let (path, prints) = (file["path"].to_string(), file["fingerprints"].as_array().expect("a list").clone());
        prints.into_iter().map(move |print| (path.clone(), print.to_string())).collect::<Vec<_>>()
    };
    files.iter().flat_map(of_file).collect()
}

/// No two findings of one image share a fingerprint, nor do findings of different images.
#[test]
fn each_finding_has_a_fingerprint_of_its_own() {
    let all = fingerprints(&drivers());
    assert!(all.len() > 100, "{}", all.len());
    let mut prints: Vec<&String> = all.iter().map(|(_, print)| print).collect();
    prints.sort_unstable();
    prints.dedup();
    assert_eq!(prints.len(), all.len());
}

#[test]
fn what_is_known_does_not_count_and_what_is_gone_is_named() {
    let folder = TempDir::new().expect("a temporary folder");
    let baseline = folder.path().join("baseline").display().to_string();
    let (dpc, isr) = (broken("x28-dpc-pageable.sys"), broken("x19-isr-pageable.sys"));
    assert_eq!(check(&[&dpc, "--write-baseline", &baseline]).status.code(), Some(11));
    let known = check(&[&dpc, "--baseline", &baseline]);
    assert_eq!(known.status.code(), Some(0), "{known:?}");
    assert!(
        stderr(&known).starts_with("ok: 0 findings in 1 file, ") && stderr(&known).contains(" known by the baseline; ")
    );
    // What is new is added, and what is known stays.
    let both = [&dpc, &isr, "--baseline", &baseline];
    assert_eq!(check(&[&both[..], &["--write-baseline", &baseline]].concat()).status.code(), Some(11));
    assert_eq!(check(&both).status.code(), Some(0));
    // The repaired driver has the name of the broken one: its findings are gone, and those of the other are no matter.
    let repaired = folder.path().join("x28-dpc-pageable.sys");
    std::fs::copy(broken("x28-dpc-pageable-fixed.sys"), &repaired).expect("it can be copied");
    let gone = check(&[&repaired.display().to_string(), "--baseline", &baseline]);
    assert_eq!(gone.status.code(), Some(0), "{gone:?}");
    assert!(stderr(&gone).contains("of the baseline is gone\n     = note: it was: x28-dpc-pageable.sys!"), "{gone:?}");
    assert!(!stderr(&gone).contains("x19"), "{gone:?}");
}

/// A finding that `--level` or `--allow` hides is not gone.
#[test]
fn what_is_hidden_is_not_gone() {
    let folder = TempDir::new().expect("a temporary folder");
    let baseline = folder.path().join("baseline").display().to_string();
    let all = broken("");
    check(&[&all, "--level", "possible", "--deny", "info", "--write-baseline", &baseline]);
    for arguments in [&["--level", "high"][..], &["--allow", "error"]] {
        let output = check(&[&[all.as_str(), "--baseline", &baseline], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(!stderr(&output).contains("gone"), "{output:?}");
    }
}

/// Drivers of one name in two folders have fingerprints of their own, whichever way the folder is named; one that is named itself
/// is known by its file name.
#[test]
fn drivers_of_one_name_are_told_apart() {
    let folder = TempDir::new().expect("a temporary folder");
    let paths = ["net", "disk"].map(|name| folder.path().join(name).join("x.sys"));
    for path in &paths {
        std::fs::create_dir(path.parent().expect("it has one")).expect("it can be made");
        std::fs::copy(broken("x28-dpc-pageable.sys"), path).expect("it can be copied");
    }
    let (all, [net, disk]) = (folder.path().display().to_string(), paths.map(|path| path.display().to_string()));
    let fingerprints = |named: &[&str]| -> Vec<String> {
        let checked = json(&[named, &["--format", "json"]].concat());
        let of_file = |file: &Value| file["fingerprints"][0].as_str().expect("there is one").to_owned();
        checked["files"].as_array().expect("files").iter().map(of_file).collect()
    };
    let [in_disk, in_net] = fingerprints(&[&all]).try_into().expect("two files");
    assert_ne!(in_disk, in_net);
    assert_eq!(fingerprints(&[&net, &disk]), [in_net.clone(), in_disk]);
    assert_ne!(fingerprints(&[&net]), [in_net], "alone, the file name is enough");
    assert_eq!(fingerprints(&[&net]), fingerprints(&[&disk]));
}

/// Without a PDB the output says once what is missing and how to give it, where code is told of; SARIF has a notification.
#[test]
fn a_missing_pdb_is_told() {
    let folder = TempDir::new().expect("a temporary folder");
    let alone = folder.path().join("x.sys");
    std::fs::copy(broken("x28-dpc-pageable.sys"), &alone).expect("it can be copied");
    let (alone, beside) = (alone.display().to_string(), broken("x28-dpc-pageable.sys"));
    let title = "names of functions and source lines of `x.sys` are missing: there is no PDB";
    let text = stderr(&check(&[&alone]));
    assert_eq!(text.matches(title).count(), 1, "{text}");
    assert!(text.contains("x.pdb`") && text.contains("x28-dpc-pageable.pdb"), "{text}");
    for quiet in [&[beside.as_str()][..], &[&alone, "--allow", "info"], &[&alone, "--allow", "K*"]] {
        assert!(!stderr(&check(quiet)).contains("are missing"), "{quiet:?}");
    }
    let sarif = json(&[&alone, "--format", "sarif"]);
    let notified = sarif["runs"][0]["invocations"][0]["toolExecutionNotifications"].to_string();
    assert!(notified.contains(title), "{notified}");
}

/// In SARIF, source files are relative to the root that is named: then there is a file of that name in the repository.
#[test]
fn source_files_are_found_in_the_repository() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let dpc = broken("x28-dpc-pageable.sys");
    let artifact = |arguments: &[&str]| {
        let log = json(&[&[dpc.as_str(), "--format", "sarif"], arguments].concat());
        log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"].clone()
    };
    let below = artifact(&["--source-root", &repository.display().to_string()]);
    assert_eq!(below["uriBaseId"], "%SRCROOT%");
    assert!(repository.join(below["uri"].as_str().expect("a path")).is_file(), "{below}");
    for root in ["D:\\a\\repo", "."] {
        assert_eq!(artifact(&["--source-root", root]), below, "the sample's PDB has relative paths");
    }
    assert!(artifact(&[]).get("uriBaseId").is_none());
}

#[test]
fn baselines_that_do_not_help() {
    let dpc = broken("x28-dpc-pageable.sys");
    for (arguments, code, problem) in [
        (["--baseline", "/missing/file"], 64, "baseline `/missing/file` cannot be read"),
        (["--baseline", dpc.as_str()], 64, "baseline `"),
        (["--write-baseline", "/missing/file"], 64, "baseline `/missing/file` cannot be created"),
        (["--allow", "dpc-pagable"], 64, "a code such as K13, the name of one such as latent-fault"),
        (["--allow", "0xD1"], 64, "a code such as K13"),
        (["--allow", "B*"], 64, "a pattern such as A0* that some have"),
    ] {
        let output = check(&[&[dpc.as_str()], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(stderr(&output).contains(problem), "{output:?}");
    }
}

/// The example is YAML, uploads what it writes, and each of its commands is one that the program takes.
#[test]
fn the_example_for_github_actions_holds() {
    let (_, yaml) = DOCS.split_once("```yaml\n").expect("there is an example");
    let (yaml, _) = yaml.split_once("```").expect("it has an end");
    let workflow = &YamlLoader::load_from_str(yaml).expect("it is YAML")[0];
    assert_eq!(workflow["permissions"]["security-events"].as_str(), Some("write"), "uploads need it");
    let root = workflow["jobs"]["audit"]["env"]["SOURCE_ROOT"].as_str().expect("it says where the sources were");
    let steps = workflow["jobs"]["audit"]["steps"].as_vec().expect("there are steps");
    let uses =
        |step: &&Yaml| step["uses"].as_str().is_some_and(|uses| uses.starts_with("github/codeql-action/upload-sarif@"));
    let upload = steps.iter().find(uses).expect("it uploads");
    let written = upload["with"]["sarif_file"].as_str().expect("it says which file");
    let commands: Vec<&str> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    let writes = format!("--source-root \"$SOURCE_ROOT\" --format sarif > {written}");
    assert!(commands.iter().any(|command| command.ends_with(&writes)), "{commands:?}");
    let (_, listed) = DOCS.split_once("```\n").expect("there are commands");
    let listed = listed.split("```").next().unwrap_or_default().lines();
    let folder = TempDir::new().expect("a temporary folder");
    let audits = commands.into_iter().chain(listed).filter_map(|command| command.strip_prefix("nonpaged check "));
    let mut count = 0;
    for audit in audits {
        let audit = audit.split(['>', '#']).next().unwrap_or_default().replace("build/*.sys", "build");
        let word = |word: &str| match word {
            "build" => drivers().join("mixer").display().to_string(),
            "\"$SOURCE_ROOT\"" => root.to_owned(),
            word => word.to_owned(),
        };
        let arguments: Vec<String> = audit.split_whitespace().map(word).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_nonpaged"));
        let output = command.current_dir(folder.path()).arg("check").args(arguments).output().expect("it starts");
        assert_eq!(output.status.code(), Some(0), "{audit}: {output:?}");
        count += 1;
    }
    assert!(count >= 6, "{count} commands");
}

/// A driver author copies the example and names this program's place: then it stands alone.
#[test]
fn the_example_crate_can_be_copied() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (example, folder) = (repository.join("examples/driver-ci"), TempDir::new().expect("a temporary folder"));
    for name in ["src/lib.rs", "tests/schedules.rs"] {
        let to = folder.path().join(name);
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("it is made");
        std::fs::copy(example.join(name), to).expect("it is copied");
    }
    std::fs::copy(repository.join("Cargo.lock"), folder.path().join("Cargo.lock")).expect("it is copied");
    let manifest = std::fs::read_to_string(example.join("Cargo.toml")).expect("it is there");
    let ours = format!("{:?}", env!("CARGO_MANIFEST_DIR"));
    assert!(manifest.contains("\"../../crates/nonpaged\""), "{manifest}");
    let manifest = manifest.replace("\"../../crates/nonpaged\"", &ours);
    std::fs::write(folder.path().join("Cargo.toml"), manifest).expect("it is written");
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.args(["metadata", "--offline", "--format-version", "1"]).current_dir(folder.path()).output();
    let output = output.expect("cargo starts");
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn the_workflow_of_the_example_is_yaml() {
    let text = include_str!("../../../examples/driver-ci/workflow.yml");
    let documents = YamlLoader::load_from_str(text).expect("it is YAML");
    let steps = &documents[0]["jobs"]["schedules"]["steps"];
    let mut runs = steps.as_vec().into_iter().flatten().filter_map(|step| step["run"].as_str());
    assert!(runs.any(|run| run.starts_with("cargo test ")));
}
