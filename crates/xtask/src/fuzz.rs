//! `cargo xtask fuzz`: builds the fuzz targets, runs them from a corpus of which most is understood, and says what was
//! reached.
//!
//! It needs a nightly toolchain and `cargo install cargo-fuzz`; AddressSanitizer is on, as cargo-fuzz has it. The corpora lie
//! in `fuzz/corpus/TARGET`, grow from run to run, and begin with what `fuzz/src/seeds.rs` makes; where `PORTOLAN_CORPUS`
//! names a collection of messages, the decoders get those too.

use crate::Findings;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is asked for on the command line.
struct Wish {
    targets: Vec<String>,
    runs: u64,
    /// Run the build with a fault in each target, and expect it to be found.
    prove: bool,
}

/// The targets that take messages as they are on the wire.
const DECODERS: [&str; 3] = ["stun_decode", "explain", "stun_differential"];

/// Executions of each target unless told otherwise.
const RUNS: u64 = 20_000;

/// Executions within which a seeded bug must be found unless told otherwise.
const PROOF_RUNS: u64 = 2_000_000;

/// Runs what `arguments` ask for.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Findings {
    let wish = Wish::read(root, arguments).map_err(|fault| vec![fault])?;
    build(root, &wish).map_err(|fault| vec![fault])?;
    let mut faults = Vec::new();
    for target in &wish.targets {
        match one(root, target, &wish) {
            Ok(report) => println!("{report}"),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let what = if wish.prove { "every seeded bug was found" } else { "nothing was found" };
    Ok(format!("fuzz: {} targets, {what}", wish.targets.len()))
}

impl Wish {
    fn read(root: &Path, arguments: &[&str]) -> Result<Self, String> {
        let (mut targets, mut runs, mut prove) = (Vec::new(), None, false);
        let mut arguments = arguments.iter();
        let known = known(root)?;
        while let Some(argument) = arguments.next() {
            match *argument {
                "--prove" => prove = true,
                "--runs" => {
                    let number = arguments.next().and_then(|number| number.replace('_', "").parse().ok());
                    runs = Some(number.ok_or("--runs wants a number of executions")?);
                }
                target if known.iter().any(|known| known == target) => targets.push(target.to_owned()),
                other => return Err(format!("no target `{other}`; there are: {}", known.join(" "))),
            }
        }
        if targets.is_empty() {
            targets = known;
        }
        let runs = runs.unwrap_or(if prove { PROOF_RUNS } else { RUNS });
        Ok(Self { targets, runs, prove })
    }
}

/// The targets by the names of their files.
fn known(root: &Path) -> Result<Vec<String>, String> {
    let files = crate::files(&root.join("fuzz/fuzz_targets"), "rs");
    let names: Vec<_> = files.iter().filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect();
    if names.is_empty() { Err("fuzz/fuzz_targets has no targets".into()) } else { Ok(names) }
}

/// Where the build with faults lies beside the other.
fn folder(root: &Path, prove: bool) -> PathBuf {
    root.join("fuzz/target").join(if prove { "seeded" } else { "fuzzed" })
}

fn build(root: &Path, wish: &Wish) -> Result<(), String> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root.join("fuzz")).args(["+nightly", "fuzz", "build", "--fuzz-dir", ".", "--target-dir"]);
    cargo.arg(folder(root, wish.prove));
    if wish.prove {
        cargo.args(["--features", "seeded-bugs"]);
    }
    said(&mut cargo, "is there a nightly toolchain, and was `cargo install cargo-fuzz` run?").map(drop)?;
    let mut cargo = Command::new("cargo");
    said(cargo.current_dir(root.join("fuzz")).args(["build", "--release", "--bin", "seeds"]), "").map(drop)
}

/// What a program printed; the end of it is the fault where it failed.
fn said(command: &mut Command, advice: &str) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|why| format!("{command:?}: {why}; {advice}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(text);
    }
    let lines: Vec<_> = text.lines().collect();
    let end = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n");
    Err(format!("{command:?} failed; {advice}\n{end}"))
}

/// What came of one target.
struct Report<'t> {
    target: &'t str,
    executions: String,
    edges: String,
    share: String,
    seconds: u64,
    found: Option<String>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, executions, edges, share, seconds, found } = self;
        write!(f, "{target:<18} {executions:>11} executions  {edges:>6} edges  {seconds:>5} s  inside: {share}")?;
        found.as_ref().map_or(Ok(()), |found| write!(f, "  found: {found}"))
    }
}

fn one<'t>(root: &Path, target: &'t str, wish: &Wish) -> Result<Report<'t>, String> {
    let corpus = root.join(if wish.prove { "fuzz/target/proof" } else { "fuzz/corpus" }).join(target);
    if wish.prove && corpus.exists() {
        // What an earlier proof came upon must not be given to this one.
        std::fs::remove_dir_all(&corpus).map_err(|why| format!("{}: {why}", corpus.display()))?;
    }
    let seeds = || Command::new(root.join("fuzz/target/release/seeds"));
    said(seeds().args(["write", target]).arg(&corpus), "")?;
    let mut fuzzer = Command::new(folder(root, wish.prove).join(host()?).join("release").join(target));
    let artifacts = root.join("fuzz/artifacts").join(target);
    std::fs::create_dir_all(&artifacts).map_err(|why| format!("{}: {why}", artifacts.display()))?;
    fuzzer.arg(format!("-runs={}", wish.runs)).args([
        "-print_final_stats=1",
        "-max_len=1024",
        "-timeout=20",
        "-seed=1",
    ]);
    fuzzer.arg(format!("-artifact_prefix={}/", artifacts.display())).arg(&corpus);
    if let Some(messages) = std::env::var_os("PORTOLAN_CORPUS").filter(|_| DECODERS.contains(&target)) {
        fuzzer.args(folders(&Path::new(&messages).join("stun")));
    }
    let started = std::time::Instant::now();
    let output = fuzzer.stdin(Stdio::null()).output().map_err(|why| format!("{fuzzer:?}: {why}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let found = text.lines().skip_while(|line| !line.contains("panicked at") && !line.contains("ERROR:")).nth(1);
    if output.status.success() == wish.prove {
        let end = text.lines().rev().take(30).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
        let what = if wish.prove { "its seeded bug was not found" } else { "a finding" };
        return Err(format!("{target}: {what}\n{end}"));
    }
    // A corpus that a fault has walked through would end the one that counts, too.
    let share = if wish.prove { "–".into() } else { said(seeds().args(["share", target]).arg(&corpus), "")? };
    Ok(Report {
        target,
        executions: statistic(&text, "stat::number_of_executed_units:"),
        edges: edges(&text),
        share: share.trim().to_owned(),
        seconds: started.elapsed().as_secs(),
        found: found.filter(|_| wish.prove).map(|line| line.chars().take(90).collect()),
    })
}

/// The folders of a collection: libFuzzer reads all files below each.
fn folders(collection: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(collection).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// The triple that cargo-fuzz builds for.
fn host() -> Result<String, String> {
    let text = said(Command::new("rustc").arg("-vV"), "")?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc names no host".into())
}

/// One of libFuzzer's final figures.
fn statistic(text: &str, name: &str) -> String {
    let figure = text.lines().rev().find_map(|line| line.strip_prefix(name));
    figure.map_or_else(|| "?".into(), |figure| figure.trim().to_owned())
}

/// The last `cov:` that libFuzzer printed.
fn edges(text: &str) -> String {
    let words = text.lines().rev().find_map(|line| line.split_once(" cov: ")).map(|(_, after)| after);
    words.and_then(|words| words.split_whitespace().next()).unwrap_or("?").to_owned()
}
