//! `cargo xtask package`: packs every publishable crate, and builds and tests what was packed.
//!
//! The packed library crates are unpacked to `target/package-check`, a workspace of its own. There no file outside a
//! crate can be read, and the dependencies on each other are replaced by the unpacked crates. The build shares the target
//! folder and the versions of `Cargo.lock`, so that only the crates themselves are built.
//!
//! `cargo xtask package --minimal` checks the unpacked crates with the lowest version that each manifest allows: with the
//! default features, and with all features.

use crate::output::print;
use crate::{Findings, files, read};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files that each packed crate must contain, besides its sources.
const REQUIRED: [&str; 4] = ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"];

pub(crate) fn run(root: &Path, minimal: bool) -> Findings {
    let metadata = MetadataCommand::new().manifest_path(root.join("Cargo.toml")).exec();
    let metadata = metadata.map_err(|why| vec![format!("cargo metadata: {why}")])?;
    let packages: Vec<&Package> = published(&metadata);
    let mut faults: Vec<String> = packages.iter().flat_map(|package| manifest_faults(package)).collect();
    let unpacked = pack(root, &metadata, &packages).map_err(|fault| vec![fault])?;
    for (package, folder) in packages.iter().zip(&unpacked.folders) {
        let contents = contents(folder);
        print(format_args!("{} {}: {}", package.name, package.version, contents.join(" ")));
        faults.extend(content_faults(&contents).map(|fault| format!("{}: {fault}", package.name)));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let libraries: Vec<&Package> = packages.iter().copied().filter(|package| is_library(package)).collect();
    let done = if minimal { unpacked.check_minimal(&libraries) } else { unpacked.build(&libraries) };
    done.map_err(|fault| vec![fault])?;
    Ok(format!(
        "package: {} crates packed, {} libraries {}",
        packages.len(),
        libraries.len(),
        match minimal {
            true => "checked with the lowest versions that their manifests allow, with default and with all features",
            false => "built and tested outside the workspace",
        }
    ))
}

/// Returns the packages that may be published.
fn published(metadata: &Metadata) -> Vec<&Package> {
    let may = |package: &&Package| package.publish.as_ref().is_none_or(|registries| !registries.is_empty());
    metadata.workspace_packages().into_iter().filter(may).collect()
}

fn is_library(package: &Package) -> bool {
    package.targets.iter().any(|target| target.is_lib())
}

/// Returns whether a package has a feature that is not one of its default features.
fn has_optional_features(package: &Package) -> bool {
    let features = &package.features;
    let defaults = features.get("default").map(Vec::as_slice).unwrap_or_default();
    features.keys().any(|feature| feature != "default" && !defaults.contains(feature))
}

/// Returns the fields that a published manifest must have, and this one does not.
fn manifest_faults(package: &Package) -> Vec<String> {
    let missing = [
        ("description", package.description.is_none()),
        ("license", package.license.is_none()),
        ("documentation", package.documentation.is_none()),
        ("readme", package.readme.is_none()),
        ("rust-version", package.rust_version.is_none()),
        ("keywords (1 to 5)", package.keywords.is_empty() || package.keywords.len() > 5),
        ("categories (1 to 5)", package.categories.is_empty() || package.categories.len() > 5),
    ];
    missing.iter().filter(|(_, is)| *is).map(|(field, _)| format!("{}: no `{field}`", package.name)).collect()
}

/// The packed crates, in a workspace of their own.
struct Unpacked {
    root: PathBuf,
    target: PathBuf,
    /// The folders of the crates, in the order of the packages.
    folders: Vec<PathBuf>,
}

fn pack(root: &Path, metadata: &Metadata, packages: &[&Package]) -> Result<Unpacked, String> {
    let target = metadata.target_directory.as_std_path().to_path_buf();
    let mut cargo = cargo(root);
    // The lock file of a packed crate would need the registry; the check uses the lock file of the workspace.
    cargo.args(["package", "--quiet", "--no-verify", "--allow-dirty", "--exclude-lockfile"]);
    cargo.args(packages.iter().flat_map(|package| ["--package", package.name.as_str()]));
    run_program(&mut cargo)?;
    let unpacked = target.join("package-check");
    if unpacked.exists() {
        std::fs::remove_dir_all(&unpacked).map_err(|why| format!("{}: {why}", unpacked.display()))?;
    }
    std::fs::create_dir_all(&unpacked).map_err(|why| format!("{}: {why}", unpacked.display()))?;
    let mut folders = Vec::new();
    for package in packages {
        let name = format!("{}-{}", package.name, package.version);
        let archive = target.join("package").join(format!("{name}.crate"));
        // `-m`: the archive has one old time for all files, by which cargo would not see that a file has changed.
        run_program(Command::new("tar").arg("-xmzf").arg(archive).arg("-C").arg(&unpacked))?;
        folders.push(unpacked.join(name));
    }
    let manifest = workspace_manifest(&read(&root.join("Cargo.toml"))?, packages);
    let write =
        |name: &str, text: &str| std::fs::write(unpacked.join(name), text).map_err(|why| format!("{name}: {why}"));
    write("Cargo.toml", &manifest)?;
    write("Cargo.lock", &read(&root.join("Cargo.lock"))?)?;
    Ok(Unpacked { root: unpacked, target, folders })
}

/// Returns the manifest of a workspace of the unpacked libraries, with the profiles of this workspace, so that the built
/// dependencies can be shared.
fn workspace_manifest(root: &str, packages: &[&Package]) -> String {
    let libraries = packages.iter().filter(|package| is_library(package));
    let folder = |package: &Package| format!("{}-{}", package.name, package.version);
    let members: Vec<String> = libraries.clone().map(|package| format!("\"{}\"", folder(package))).collect();
    let patches: String =
        libraries.map(|package| format!("{} = {{ path = \"{}\" }}\n", package.name, folder(package))).collect();
    let profiles = root.find("[profile.").and_then(|at| root.get(at..)).unwrap_or_default();
    let members = members.join(", ");
    format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n\n[patch.crates-io]\n{patches}\n{profiles}")
}

impl Unpacked {
    /// Checks each library alone, with the features of its own manifest. Then builds all libraries and examples, and runs
    /// the unit tests.
    fn build(&self, libraries: &[&Package]) -> Result<(), String> {
        for library in libraries {
            self.cargo(&["check", "--package", &library.name])?;
        }
        self.cargo(&["test", "--workspace", "--lib", "--examples"])
    }

    /// Checks each library with the lowest versions of its direct dependencies, and once more with its optional features.
    fn check_minimal(&self, libraries: &[&Package]) -> Result<(), String> {
        self.nightly(&["update", "-Z", "direct-minimal-versions"])?;
        for library in libraries {
            self.nightly(&["check", "--package", &library.name])?;
            if has_optional_features(library) {
                self.nightly(&["check", "--all-features", "--package", &library.name])?;
            }
        }
        Ok(())
    }

    fn nightly(&self, arguments: &[&str]) -> Result<(), String> {
        let mut rustup = Command::new("rustup");
        rustup.args(["run", "nightly", "cargo"]).args(arguments).arg("--quiet").current_dir(&self.root);
        run_program(rustup.env("CARGO_TARGET_DIR", self.target.join("minimal")))
    }

    fn cargo(&self, arguments: &[&str]) -> Result<(), String> {
        run_program(
            cargo(&self.root).args(arguments).args(["--offline", "--quiet"]).env("CARGO_TARGET_DIR", &self.target),
        )
    }
}

/// Returns the paths of the files in an unpacked crate.
fn contents(folder: &Path) -> Vec<String> {
    let inside = |path: PathBuf| path.strip_prefix(folder).map(|path| path.display().to_string()).unwrap_or_default();
    let mut names: Vec<String> = files(folder, "").into_iter().map(inside).collect();
    names.sort();
    names
}

/// Returns the faults of the contents of a packed crate.
fn content_faults(contents: &[String]) -> impl Iterator<Item = String> {
    let missing = REQUIRED.into_iter().filter(|name| !contents.iter().any(|found| found == name));
    let is_expected = |name: &&String| {
        let place = name.split('/').next().unwrap_or_default();
        REQUIRED.contains(&name.as_str())
            || ["src", "examples", "Cargo.toml.orig", ".cargo_vcs_info.json"].contains(&place)
    };
    let extra = contents.iter().filter(move |name| !is_expected(name));
    missing.map(|name| format!("does not contain {name}")).chain(extra.map(|name| format!("contains {name}")))
}

fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(folder);
    cargo
}

/// Runs a program. An error is its output.
fn run_program(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|why| format!("{command:?}: {why}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} failed:\n{text}"))
}

#[cfg(test)]
mod tests {
    use super::content_faults;

    #[test]
    fn a_missing_licence_and_a_file_of_the_tests_are_found() {
        let contents = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let complete = ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE", "src/lib.rs", "examples/a.rs"];
        assert_eq!(content_faults(&contents(&complete)).count(), 0);
        let faults: Vec<_> =
            content_faults(&contents(&["Cargo.toml", "README.md", "LICENSE-MIT", "tests/a.rs"])).collect();
        assert_eq!(faults, ["does not contain LICENSE-APACHE", "contains tests/a.rs"]);
    }
}
