//! `cargo xtask fuzz`: builds the fuzz targets, runs them from a corpus of which most is understood, and says what was
//! reached.
//!
//! It needs a nightly toolchain and `cargo install cargo-fuzz`. AddressSanitizer is on, as cargo-fuzz has it; with `--bulk` it
//! is left out, and so are traced comparisons and the weighing of the corpus: the crates forbid `unsafe`, debug assertions and
//! overflow checks stay on, and a run is several times as quick. The corpora lie in `fuzz/corpus/TARGET`, grow from run to
//! run, and begin with what `fuzz/src/seeds.rs` makes; where `PORTOLAN_CORPUS` names a collection of messages, the decoders
//! get those too, and the targets of descriptions parts of those in it.

use crate::Findings;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is asked for on the command line.
struct Wish {
    targets: Vec<String>,
    runs: u64,
    build: Build,
}

/// Which build is run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Build {
    /// With AddressSanitizer.
    Sanitized,
    /// Without it, for many executions.
    Bulk,
    /// With a fault in each target, which is expected to be found.
    Seeded,
}

impl Build {
    /// Where it lies beside the others.
    fn folder(self, root: &Path) -> PathBuf {
        root.join("fuzz/target").join(match self {
            Self::Sanitized => "fuzzed",
            Self::Bulk => "bulk",
            Self::Seeded => "seeded",
        })
    }

    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Sanitized => &[],
            Self::Bulk => &["--sanitizer", "none", "--no-trace-compares"],
            Self::Seeded => &["--sanitizer", "none", "--features", "seeded-bugs"],
        }
    }
}

/// The targets that take messages as they are on the wire.
const DECODERS: [&str; 3] = ["stun_decode", "explain", "stun_differential"];

/// The targets that take session descriptions, or lines of them.
const DESCRIPTIONS: [&str; 6] =
    ["sdp_read", "sdp_typed", "sdp_answer", "sdp_differential", "sdp_candidate", "sdp_people"];

/// Executions of each target unless told otherwise.
const RUNS: u64 = 20_000;

/// Executions within which a seeded bug must be found unless told otherwise.
const PROOF_RUNS: u64 = 1_000_000;

/// Runs what `arguments` ask for.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Findings {
    let wish = Wish::read(root, arguments).map_err(|fault| vec![fault])?;
    build(root, &wish).map_err(|fault| vec![fault])?;
    println!("{}", Report::HEAD);
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
    let what = if wish.build == Build::Seeded { "every seeded bug was found" } else { "nothing was found" };
    Ok(format!("fuzz: {} targets, {what}", wish.targets.len()))
}

impl Wish {
    fn read(root: &Path, arguments: &[&str]) -> Result<Self, String> {
        let (mut targets, mut runs, mut build) = (Vec::new(), None, Build::Sanitized);
        let mut arguments = arguments.iter();
        let known = known(root)?;
        while let Some(argument) = arguments.next() {
            match *argument {
                "--prove" => build = Build::Seeded,
                "--bulk" => build = Build::Bulk,
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
        let runs = runs.unwrap_or(if build == Build::Seeded { PROOF_RUNS } else { RUNS });
        Ok(Self { targets, runs, build })
    }
}

/// The targets by the names of their files.
fn known(root: &Path) -> Result<Vec<String>, String> {
    let files = crate::files(&root.join("fuzz/fuzz_targets"), "rs");
    let names: Vec<_> = files.iter().filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect();
    if names.is_empty() { Err("fuzz/fuzz_targets has no targets".into()) } else { Ok(names) }
}

fn build(root: &Path, wish: &Wish) -> Result<(), String> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root.join("fuzz")).args(["+nightly", "fuzz", "build", "--fuzz-dir", ".", "--target-dir"]);
    cargo.arg(wish.build.folder(root)).args(wish.build.options());
    said(&mut cargo, "is there a nightly toolchain, and was `cargo install cargo-fuzz` run?").map(drop)?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root.join("fuzz")).args(["build", "--release", "--features", "corpora", "--bin", "seeds"]);
    said(&mut cargo, "").map(drop)
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

/// What came of one target: a row of a table in Markdown.
struct Report<'t> {
    target: &'t str,
    /// Which part of what the run started from, and ended with, gets past the front door.
    first: String,
    last: String,
    executions: u64,
    edges: String,
    milliseconds: u64,
    found: Option<String>,
}

impl Report<'_> {
    const HEAD: &'static str = "\
| target | starts from, decoding | ends with, decoding | executions | edges | a second | found |
|---|---|---|---|---|---|---|";
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, first, last, executions, edges, milliseconds, found } = self;
        let speed = executions.saturating_mul(1000) / milliseconds.max(&1);
        let found = found.as_deref().unwrap_or("nothing");
        write!(f, "| `{target}` | {first} | {last} | {executions} | {edges} | {speed} | {found} |")
    }
}

fn one<'t>(root: &Path, target: &'t str, wish: &Wish) -> Result<Report<'t>, String> {
    let is_proof = wish.build == Build::Seeded;
    let corpus = root.join(if is_proof { "fuzz/target/proof" } else { "fuzz/corpus" }).join(target);
    if is_proof && corpus.exists() {
        // What an earlier proof came upon must not be given to this one.
        std::fs::remove_dir_all(&corpus).map_err(|why| format!("{}: {why}", corpus.display()))?;
    }
    let seeds = || Command::new(root.join("fuzz/target/release/seeds"));
    let collection = std::env::var_os("PORTOLAN_CORPUS").filter(|_| !is_proof).map(PathBuf::from);
    let descriptions = collection.as_ref().filter(|_| DESCRIPTIONS.contains(&target)).map(|all| all.join("sdp"));
    said(seeds().args(["write", target]).arg(&corpus).args(descriptions), "")?;
    let messages = collection.as_ref().filter(|_| DECODERS.contains(&target)).map(|all| all.join("stun"));
    let collected = messages.map(|messages| folders(&messages)).unwrap_or_default();
    let share = || said(seeds().args(["share", target]).arg(&corpus).args(&collected), "");
    let started_from = at_least_half(&share()?).map_err(|fault| format!("{target}: {fault}"))?;
    let started = std::time::Instant::now();
    let mut fuzzer = fuzzer(root, target, wish)?;
    let output = fuzzer.arg(&corpus).args(&collected).output().map_err(|why| format!("{fuzzer:?}: {why}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let found = text.lines().skip_while(|line| !line.contains("panicked at") && !line.contains("ERROR:")).nth(1);
    if output.status.success() == is_proof {
        let end = text.lines().rev().take(30).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
        let what = if is_proof { "its seeded bug was not found" } else { "a finding" };
        return Err(format!("{target}: {what}\n{end}"));
    }
    // A corpus that a fault has walked through would end the one that counts, too.
    let grown = if is_proof { "–".into() } else { share()? };
    Ok(Report {
        target,
        first: started_from,
        last: grown.trim().to_owned(),
        executions: statistic(&text, "stat::number_of_executed_units:").unwrap_or_default(),
        edges: edges(&text),
        milliseconds: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        found: found.filter(|_| is_proof).map(|line| line.chars().take(60).collect()),
    })
}

/// A share as `seeds` prints it, where it is half or more: a run from less tests little but the front door.
fn at_least_half(share: &str) -> Result<String, String> {
    let share = share.trim();
    let numbers = share.split_once(" of ").and_then(|(inside, all)| Some((inside.parse().ok()?, all.parse().ok()?)));
    let (inside, all): (u64, u64) = numbers.ok_or_else(|| format!("`{share}` is no share"))?;
    if inside * 2 < all {
        return Err(format!("of the corpus that it starts from only {share} get past the front door"));
    }
    Ok(share.to_owned())
}

/// The target's program with all but its corpora.
fn fuzzer(root: &Path, target: &str, wish: &Wish) -> Result<Command, String> {
    // What a seeded bug left behind is no finding.
    let proof = wish.build == Build::Seeded;
    let artifacts = root.join(if proof { "fuzz/target/proved" } else { "fuzz/artifacts" }).join(target);
    std::fs::create_dir_all(&artifacts).map_err(|why| format!("{}: {why}", artifacts.display()))?;
    let mut fuzzer = Command::new(wish.build.folder(root).join(host()?).join("release").join(target));
    fuzzer.arg(format!("-runs={}", wish.runs)).args([
        "-print_final_stats=1",
        "-timeout=20",
        "-seed=1",
        // Nobody else adds to the corpus while it runs.
        "-reload=0",
    ]);
    // What is shorter is tried more often.
    fuzzer.arg(format!("-max_len={}", if DESCRIPTIONS.contains(&target) { 512 } else { 1024 }));
    if wish.build == Build::Bulk {
        // To exchange inputs for shorter ones that reach the same takes half the time.
        fuzzer.args(["-entropic=0", "-reduce_inputs=0"]);
    }
    fuzzer.arg(format!("-artifact_prefix={}/", artifacts.display())).stdin(Stdio::null());
    Ok(fuzzer)
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
fn statistic(text: &str, name: &str) -> Option<u64> {
    text.lines().rev().find_map(|line| line.strip_prefix(name)).and_then(|figure| figure.trim().parse().ok())
}

/// The last `cov:` that libFuzzer printed.
fn edges(text: &str) -> String {
    let words = text.lines().rev().find_map(|line| line.split_once(" cov: ")).map(|(_, after)| after);
    words.and_then(|words| words.split_whitespace().next()).unwrap_or("?").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_half_is_refused() {
        assert_eq!(at_least_half("20 of 40\n"), Ok("20 of 40".into()));
        assert!(at_least_half("19 of 40").is_err_and(|fault| fault.contains("19 of 40")));
        assert!(at_least_half("no target").is_err());
    }

    #[test]
    fn figures_are_the_last_that_were_printed() {
        let text = "#2\tINITED cov: 5 ft: 5\n#9\tDONE   cov: 17 ft: 44\nstat::number_of_executed_units: 9\n";
        assert_eq!(edges(text), "17");
        assert_eq!(statistic(text, "stat::number_of_executed_units:"), Some(9));
        assert_eq!(statistic(text, "stat::peak_rss_mb:"), None);
    }
}
