//! `cargo xtask fuzz`: builds the fuzz targets, runs each from a corpus that mostly decodes, and prints a report.
//!
//! It needs a nightly toolchain and `cargo install cargo-fuzz`.
//!
//! * By default AddressSanitizer is on, as in cargo-fuzz.
//! * With `--bulk` AddressSanitizer, traced comparisons and the weighting of the corpus are off. A run is then several
//!   times faster. Debug assertions and overflow checks stay on, and the crates forbid `unsafe`.
//! * The corpora are in `fuzz/corpus/TARGET` and grow with each run. `fuzz/src/seeds.rs` creates their first files.
//! * If `PORTOLAN_CORPUS` names a collection, the decoders also get its STUN messages, and the targets for session
//!   descriptions get parts of its descriptions.

use crate::Findings;
use crate::output::print;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The options of the command line.
struct Options {
    targets: Vec<String>,
    runs: u64,
    build: Build,
}

/// The kind of build.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Build {
    /// With AddressSanitizer.
    Sanitized,
    /// Without AddressSanitizer, for many executions.
    Bulk,
    /// With a seeded bug in each target, which the fuzzer must find.
    Seeded,
}

impl Build {
    /// The target folder of this build.
    fn folder(self, root: &Path) -> PathBuf {
        root.join("fuzz/target").join(match self {
            Self::Sanitized => "fuzzed",
            Self::Bulk => "bulk",
            Self::Seeded => "seeded",
        })
    }

    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Sanitized => &[],
            Self::Bulk => &["--sanitizer", "none", "--no-trace-compares"],
            Self::Seeded => &["--sanitizer", "none", "--features", "seeded-bugs"],
        }
    }
}

/// The targets whose input is an encoded STUN message.
const DECODERS: [&str; 3] = ["stun_decode", "explain", "stun_differential"];

/// The targets whose input is a session description, or a line of one.
const DESCRIPTIONS: [&str; 6] =
    ["sdp_read", "sdp_typed", "sdp_answer", "sdp_differential", "sdp_candidate", "sdp_people"];

/// The default number of executions of each target.
const RUNS: u64 = 20_000;

/// The default number of executions within which a seeded bug must be found.
const PROOF_RUNS: u64 = 1_000_000;

/// Runs the command with these arguments.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Findings {
    let options = Options::read(root, arguments).map_err(|fault| vec![fault])?;
    build(root, &options).map_err(|fault| vec![fault])?;
    print(Report::HEAD);
    let mut faults = Vec::new();
    for target in &options.targets {
        match run_target(root, target, &options) {
            Ok(report) => print(report),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let what = if options.build == Build::Seeded { "every seeded bug was found" } else { "no bug was found" };
    Ok(format!("fuzz: {} targets, {what}", options.targets.len()))
}

impl Options {
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
                    runs = Some(number.ok_or("--runs needs a number of executions")?);
                }
                target if known.iter().any(|known| known == target) => targets.push(target.to_owned()),
                other => return Err(format!("no target `{other}`; the targets are: {}", known.join(" "))),
            }
        }
        if targets.is_empty() {
            targets = known;
        }
        let runs = runs.unwrap_or(if build == Build::Seeded { PROOF_RUNS } else { RUNS });
        Ok(Self { targets, runs, build })
    }
}

/// Returns the names of all targets, from the names of their files.
fn known(root: &Path) -> Result<Vec<String>, String> {
    let files = crate::files(&root.join("fuzz/fuzz_targets"), "rs");
    let names: Vec<_> = files.iter().filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect();
    if names.is_empty() { Err("fuzz/fuzz_targets has no targets".into()) } else { Ok(names) }
}

fn build(root: &Path, options: &Options) -> Result<(), String> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root.join("fuzz")).args(["+nightly", "fuzz", "build", "--fuzz-dir", ".", "--target-dir"]);
    cargo.arg(options.build.folder(root)).args(options.build.arguments());
    run_program(&mut cargo, "is there a nightly toolchain, and was `cargo install cargo-fuzz` run?").map(drop)?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root.join("fuzz")).args(["build", "--release", "--features", "corpora", "--bin", "seeds"]);
    run_program(&mut cargo, "").map(drop)
}

/// Runs a program and returns its output. If the program fails, the error contains the last lines of the output.
fn run_program(command: &mut Command, advice: &str) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|why| format!("{command:?}: {why}; {advice}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(text);
    }
    let lines: Vec<_> = text.lines().collect();
    let end = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n");
    Err(format!("{command:?} failed; {advice}\n{end}"))
}

/// The result of one target. Its text is a row of a Markdown table.
struct Report<'t> {
    target: &'t str,
    /// The number of corpus files that decode, at the start and at the end of the run, such as `20 of 40`.
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

fn run_target<'t>(root: &Path, target: &'t str, options: &Options) -> Result<Report<'t>, String> {
    let is_proof = options.build == Build::Seeded;
    let corpus = root.join(if is_proof { "fuzz/target/proof" } else { "fuzz/corpus" }).join(target);
    if is_proof && corpus.exists() {
        // The corpus of an earlier proof may contain an input that finds the bug, so it is removed.
        std::fs::remove_dir_all(&corpus).map_err(|why| format!("{}: {why}", corpus.display()))?;
    }
    let seeds = || Command::new(root.join("fuzz/target/release/seeds"));
    let collection = std::env::var_os("PORTOLAN_CORPUS").filter(|_| !is_proof).map(PathBuf::from);
    let descriptions = collection.as_ref().filter(|_| DESCRIPTIONS.contains(&target)).map(|all| all.join("sdp"));
    run_program(seeds().args(["write", target]).arg(&corpus).args(descriptions), "")?;
    let messages = collection.as_ref().filter(|_| DECODERS.contains(&target)).map(|all| all.join("stun"));
    let collected = messages.map(|messages| folders(&messages)).unwrap_or_default();
    let share = || run_program(seeds().args(["share", target]).arg(&corpus).args(&collected), "");
    let started_from = at_least_half(&share()?).map_err(|fault| format!("{target}: {fault}"))?;
    let started = std::time::Instant::now();
    let mut fuzzer = fuzzer(root, target, options)?;
    let output = fuzzer.arg(&corpus).args(&collected).output().map_err(|why| format!("{fuzzer:?}: {why}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let found = text.lines().skip_while(|line| !line.contains("panicked at") && !line.contains("ERROR:")).nth(1);
    if output.status.success() == is_proof {
        let end = text.lines().rev().take(30).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
        let what = if is_proof { "the seeded bug was not found" } else { "a bug was found" };
        return Err(format!("{target}: {what}\n{end}"));
    }
    // After a proof the corpus may contain inputs that also end the program that computes the share.
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

/// Checks that the share that `seeds` prints is at least half. A run from a corpus of which less decodes tests little
/// more than the decoder's first checks.
fn at_least_half(share: &str) -> Result<String, String> {
    let share = share.trim();
    let numbers = share.split_once(" of ").and_then(|(inside, all)| Some((inside.parse().ok()?, all.parse().ok()?)));
    let (inside, all): (u64, u64) = numbers.ok_or_else(|| format!("`{share}` is not a share"))?;
    if inside * 2 < all {
        return Err(format!("only {share} files of the corpus decode at the start"));
    }
    Ok(share.to_owned())
}

/// Returns the command for the target's program, without its corpora.
fn fuzzer(root: &Path, target: &str, options: &Options) -> Result<Command, String> {
    // The artifacts of a seeded bug are kept apart from real findings.
    let proof = options.build == Build::Seeded;
    let artifacts = root.join(if proof { "fuzz/target/proved" } else { "fuzz/artifacts" }).join(target);
    std::fs::create_dir_all(&artifacts).map_err(|why| format!("{}: {why}", artifacts.display()))?;
    let mut fuzzer = Command::new(options.build.folder(root).join(host()?).join("release").join(target));
    fuzzer.arg(format!("-runs={}", options.runs)).args([
        "-print_final_stats=1",
        "-timeout=20",
        "-seed=1",
        // No other process adds files to the corpus during the run.
        "-reload=0",
    ]);
    // Short inputs allow more executions.
    fuzzer.arg(format!("-max_len={}", if DESCRIPTIONS.contains(&target) { 512 } else { 1024 }));
    if options.build == Build::Bulk {
        // Without these options libFuzzer would spend half of the time on replacing inputs by shorter ones.
        fuzzer.args(["-entropic=0", "-reduce_inputs=0"]);
    }
    fuzzer.arg(format!("-artifact_prefix={}/", artifacts.display())).stdin(Stdio::null());
    Ok(fuzzer)
}

/// Returns the folders of a collection. libFuzzer reads all files below each folder.
fn folders(collection: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(collection).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Returns the target triple for which cargo-fuzz builds.
fn host() -> Result<String, String> {
    let text = run_program(Command::new("rustc").arg("-vV"), "")?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc names no host".into())
}

/// Returns one of libFuzzer's final statistics.
fn statistic(text: &str, name: &str) -> Option<u64> {
    text.lines().rev().find_map(|line| line.strip_prefix(name)).and_then(|figure| figure.trim().parse().ok())
}

/// Returns the last `cov:` figure that libFuzzer printed.
fn edges(text: &str) -> String {
    let words = text.lines().rev().find_map(|line| line.split_once(" cov: ")).map(|(_, after)| after);
    words.and_then(|words| words.split_whitespace().next()).unwrap_or("?").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_below_half_is_an_error() {
        assert_eq!(at_least_half("20 of 40\n"), Ok("20 of 40".into()));
        assert!(at_least_half("19 of 40").is_err_and(|fault| fault.contains("19 of 40")));
        assert!(at_least_half("no target").is_err());
    }

    #[test]
    fn the_last_printed_statistics_count() {
        let text = "#2\tINITED cov: 5 ft: 5\n#9\tDONE   cov: 17 ft: 44\nstat::number_of_executed_units: 9\n";
        assert_eq!(edges(text), "17");
        assert_eq!(statistic(text, "stat::number_of_executed_units:"), Some(9));
        assert_eq!(statistic(text, "stat::peak_rss_mb:"), None);
    }
}
