//! `cargo xtask no-std`: the proofs in `proofs/`, and what they refuse.
//!
//! Everything happens in a copy of the crates under `target/no-std/`, so that faults can be planted in it. Both proofs
//! are built, linked into a program without libc and run. Then a clock from `std` is planted in each crate that a proof
//! names, one at a time, and an allocation in each crate that needs `core` alone; each time the build must fail, and for
//! the right reason: the standard library brings a second panic handler, `alloc` asks for an allocator.

use crate::floors::{Needs, Table, read_table};
use crate::{Findings, files, read};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A clock from the standard library, as a crate below the line must not have one.
const CLOCK: &str = "
extern crate std;
/// Planted.
#[must_use]
pub fn planted() -> std::time::Instant {
    std::time::Instant::now()
}
";

/// An allocation, as a crate that needs `core` alone must not have one.
const ALLOCATION: &str = "
extern crate alloc;
/// Planted.
#[must_use]
pub fn planted(bytes: &[u8]) -> alloc::vec::Vec<u8> {
    bytes.to_vec()
}
";

/// What the compiler says of a library with a panic handler of its own that leads to `std`.
const SECOND_HANDLER: &str = "found duplicate lang item `panic_impl`";

/// What the compiler says of a library without an allocator that leads to `alloc`.
const NO_ALLOCATOR: &str = "no global memory allocator found";

struct Proof {
    name: &'static str,
    /// The crates that it must name.
    crates: Vec<String>,
}

pub(crate) fn run(root: &Path) -> Findings {
    let table = read_table(root).map_err(|fault| vec![fault])?;
    let yard = Yard::lay(root).map_err(|fault| vec![fault])?;
    let mut faults = Vec::new();
    let mut done = Vec::new();
    for proof in proofs(&table) {
        match yard.prove(&proof) {
            Ok(()) => done.push(format!("{} built, linked and ran ({})", proof.name, proof.crates.join(", "))),
            Err(fault) => {
                faults.push(format!("{}: {fault}", proof.name));
                continue;
            }
        }
        for its in &proof.crates {
            match yard.refuses(&proof, its, CLOCK, SECOND_HANDLER) {
                Ok(()) => done.push(format!("{} refused a clock from std in `{its}`", proof.name)),
                Err(fault) => faults.push(format!("{}: a clock from std in `{its}` {fault}", proof.name)),
            }
            if proof.name != "no-std-core" {
                continue;
            }
            match yard.refuses(&proof, its, ALLOCATION, NO_ALLOCATOR) {
                Ok(()) => done.push(format!("{} refused an allocation in `{its}`", proof.name)),
                Err(fault) => faults.push(format!("{}: an allocation in `{its}` {fault}", proof.name)),
            }
        }
    }
    if faults.is_empty() { Ok(format!("no-std: {}", done.join("\nno-std: "))) } else { Err(faults) }
}

/// Both proofs with the crates that the table puts below the line.
fn proofs(table: &Table) -> [Proof; 2] {
    let built = |wanted: &[Needs]| {
        let rows = table.rows.iter().filter(|row| row.built && wanted.contains(&row.needs));
        rows.map(|row| row.folder.clone()).collect()
    };
    [
        Proof { name: "no-std-core", crates: built(&[Needs::Core]) },
        Proof { name: "no-std-alloc", crates: built(&[Needs::Core, Needs::Alloc]) },
    ]
}

/// A copy of the crates, in which faults may be planted.
struct Yard {
    root: PathBuf,
}

impl Yard {
    /// Copies what the proofs are built of, with the workspace's own `Cargo.lock` for each of them.
    fn lay(root: &Path) -> Result<Self, String> {
        let yard = Self { root: root.join("target/no-std") };
        for name in ["crates", "proofs"] {
            for extension in ["rs", "toml"] {
                for file in files(&root.join(name), extension) {
                    let inside = file.strip_prefix(root).unwrap_or(&file);
                    put(&yard.root.join(inside), &read(&file)?)?;
                }
                for file in files(&yard.root.join(name), extension) {
                    let inside = file.strip_prefix(&yard.root).unwrap_or(&file);
                    if !root.join(inside).exists() {
                        std::fs::remove_file(&file).map_err(|why| format!("{}: {why}", file.display()))?;
                    }
                }
            }
        }
        put(&yard.root.join("Cargo.toml"), &read(&root.join("Cargo.toml"))?)?;
        let lock = read(&root.join("Cargo.lock"))?;
        for proof in ["no-std-core", "no-std-alloc"] {
            put(&yard.root.join("proofs").join(proof).join("Cargo.lock"), &lock)?;
        }
        Ok(yard)
    }

    /// Builds, links and runs a proof that names exactly the crates that it must.
    fn prove(&self, proof: &Proof) -> Result<(), String> {
        let manifest = read(&self.root.join("proofs").join(proof.name).join("Cargo.toml"))?;
        same_crates(&manifest, &proof.crates)?;
        self.cargo(proof, "build").map_err(|text| format!("does not build:\n{text}"))?;
        let target = self.root.join("target").join(proof.name);
        let program = target.join("proof");
        let arguments =
            ["-nostdlib", "-nostartfiles", "-static", "-no-pie", "-Wl,--gc-sections", "-Wl,-e,_start", "-o"];
        let linker = Command::new("cc")
            .args(arguments)
            .args([program.as_os_str(), target.join("release/libproof.a").as_os_str()])
            .output()
            .map_err(|why| format!("`cc` cannot be run: {why}"))?;
        if !linker.status.success() {
            return Err(format!("does not link without libc:\n{}", String::from_utf8_lossy(&linker.stderr)));
        }
        let status = Command::new(&program).env_clear().status().map_err(|why| format!("cannot be run: {why}"))?;
        if status.success() { Ok(()) } else { Err(format!("ran, and ended with {status}")) }
    }

    /// Whether the proof no longer builds once `fault` is planted in a crate, and for the right reason.
    fn refuses(&self, proof: &Proof, folder: &str, fault: &str, reason: &str) -> Result<(), String> {
        let file = self.root.join("crates").join(folder).join("src/lib.rs");
        let sound = read(&file)?;
        put(&file, &format!("{sound}{fault}"))?;
        let built = self.cargo(proof, "check");
        put(&file, &sound)?;
        match built {
            Ok(()) => Err("was not refused: does the proof name that crate in code?".into()),
            Err(text) if text.contains(reason) => Ok(()),
            Err(text) => Err(format!("was refused for another reason than `{reason}`:\n{text}")),
        }
    }

    /// Runs cargo on a proof; what it said where it failed.
    fn cargo(&self, proof: &Proof, verb: &str) -> Result<(), String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsStr::new("cargo").into());
        let output = Command::new(cargo)
            .args([verb, "--quiet", "--release", "--manifest-path"])
            .arg(self.root.join("proofs").join(proof.name).join("Cargo.toml"))
            .arg("--target-dir")
            .arg(self.root.join("target").join(proof.name))
            .output()
            .map_err(|why| format!("cargo cannot be run: {why}"))?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }
}

/// Writes a file unless it holds the text already: cargo looks at times.
fn put(path: &Path, text: &str) -> Result<(), String> {
    if std::fs::read_to_string(path).is_ok_and(|its| its == text) {
        return Ok(());
    }
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder.and_then(|()| std::fs::write(path, text)).map_err(|why| format!("{}: {why}", path.display()))
}

/// Whether a proof's manifest names these crates of ours and no other.
fn same_crates(manifest: &str, wanted: &[String]) -> Result<(), String> {
    let lines = manifest.lines().filter_map(|line| line.strip_prefix("portolan-"));
    let named: Vec<&str> = lines.filter_map(|line| line.split_once(" =").map(|(name, _)| name)).collect();
    if let Some(missing) = wanted.iter().find(|folder| !named.contains(&folder.as_str())) {
        return Err(format!("does not name `{missing}`, which the table puts below the line"));
    }
    match named.iter().find(|folder| !wanted.iter().any(|its| its == *folder)) {
        Some(extra) => Err(format!("names `{extra}`, which the table does not put here")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::same_crates;

    #[test]
    fn a_proof_that_leaves_a_crate_out_is_found() {
        let manifest = "[dependencies]\nportolan-stun = { path = \"x\" }\n";
        let crates = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(same_crates(manifest, &crates(&["stun"])), Ok(()));
        let left_out = same_crates(manifest, &crates(&["stun", "nat"])).unwrap_err();
        assert_eq!(left_out, "does not name `nat`, which the table puts below the line");
        let too_many = same_crates(manifest, &crates(&[])).unwrap_err();
        assert_eq!(too_many, "names `stun`, which the table does not put here");
    }
}
