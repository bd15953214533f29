//! The crates of the workspace, from `cargo metadata` and the sources.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The crates in `crates/`.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) crates: Vec<Crate>,
}

/// One crate in `crates/`.
#[derive(Clone, Debug, Default)]
pub(super) struct Crate {
    pub(super) folder: String,
    pub(super) package: String,
    pub(super) dependencies: Vec<Dependency>,
    /// All packages on which the crate depends by normal and build dependencies, directly or indirectly.
    pub(super) reachable: BTreeSet<String>,
    pub(super) features: Vec<String>,
    /// The text of `src/lib.rs` or `src/main.rs`.
    pub(super) root: String,
    /// The texts of all files in `src/`.
    pub(super) sources: Vec<String>,
}

/// One dependency in a manifest.
#[derive(Clone, Debug)]
pub(super) struct Dependency {
    pub(super) package: String,
    pub(super) kind: Kind,
    /// Whether the manifest requires a version.
    pub(super) versioned: bool,
    pub(super) default_features: bool,
}

/// The kind of a dependency. Build dependencies count as normal dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Development,
}

impl Workspace {
    pub(super) fn read(root: &Path) -> Result<Self, String> {
        let metadata = MetadataCommand::new().manifest_path(root.join("Cargo.toml")).exec();
        let metadata = metadata.map_err(|why| format!("cargo metadata: {why}"))?;
        let mut crates = Vec::new();
        for package in metadata.workspace_packages() {
            let folder = package.manifest_path.parent().and_then(|path| path.strip_prefix(root.join("crates")).ok());
            let folder = folder.ok_or_else(|| format!("the package `{}` is not in crates/", package.name))?;
            crates.push(Crate::read(folder.as_str(), package, &metadata)?);
        }
        Ok(Self { crates })
    }
}

impl Crate {
    fn read(folder: &str, package: &Package, metadata: &Metadata) -> Result<Self, String> {
        let source = package.manifest_path.with_file_name("src");
        let root = ["lib.rs", "main.rs"].iter().find_map(|name| std::fs::read_to_string(source.join(name)).ok());
        let root = root.ok_or_else(|| format!("crates/{folder} has neither src/lib.rs nor src/main.rs"))?;
        let sources = crate::files(source.as_std_path(), "rs");
        let sources: Result<Vec<String>, String> = sources.iter().map(|path| crate::read(path)).collect();
        Ok(Self {
            folder: folder.to_string(),
            package: package.name.to_string(),
            dependencies: package.dependencies.iter().map(Dependency::read).collect(),
            reachable: reachable(&package.id, metadata),
            features: package.features.keys().cloned().collect(),
            root,
            sources: sources?,
        })
    }

    /// Whether the code names the package. Lines of comments do not count.
    pub(super) fn sources_name(&self, package: &str) -> bool {
        let name = package.replace('-', "_");
        let code = self.sources.iter().flat_map(|source| source.lines());
        code.map(str::trim_start).filter(|line| !line.starts_with("//")).any(|line| line.contains(&name))
    }
}

impl Dependency {
    fn read(dependency: &cargo_metadata::Dependency) -> Self {
        Self {
            package: dependency.name.clone(),
            kind: if dependency.kind == DependencyKind::Development { Kind::Development } else { Kind::Normal },
            versioned: !dependency.req.comparators.is_empty(),
            default_features: dependency.uses_default_features,
        }
    }
}

/// Returns the names of all direct and indirect normal and build dependencies of a package.
fn reachable(from: &PackageId, metadata: &Metadata) -> BTreeSet<String> {
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let nodes: BTreeMap<&PackageId, _> = nodes.map(|node| (&node.id, node)).collect();
    let names: BTreeMap<&PackageId, &str> =
        metadata.packages.iter().map(|package| (&package.id, package.name.as_str())).collect();
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(id) = open.pop() {
        for dependency in nodes.get(id).iter().flat_map(|node| &node.deps) {
            let counts = dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development);
            if counts && seen.insert(&dependency.pkg) {
                open.push(&dependency.pkg);
            }
        }
    }
    seen.into_iter().filter_map(|id| names.get(id)).map(|name| (*name).to_string()).collect()
}
